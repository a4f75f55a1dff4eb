"""A language is added by adding files: `mediation-api serve` shows it, has people sign it, and refuses in it."""

import re
import shutil
from pathlib import Path
from typing import Final

import httpx
import pytest
from tests.contract.instance import environment
from tests.promises.production import serving

from mediation_api.dev.office import Office, RealClock
from mediation_api.settings import Settings

ROOT: Final = Path(__file__).parents[2]
MADE_UP: Final = "qaa"
"""Reserved for local use. Source: ISO 639-2."""


def add_language(texts: Path) -> None:
    """Copy the English files, and begin each title, heading, sentence, item and phrase with "Qaa"."""
    for english in list(texts.rglob("*.en.md")):
        if english.name.startswith("details"):
            pattern, pair = "^- (.*)$", r"- \1\n  Qaa \1"
            translated = re.sub(pattern, pair, english.read_text(encoding="utf-8"), flags=re.MULTILINE)
            english.with_name(f"details.{MADE_UP}.md").write_text(translated, encoding="utf-8")
            continue
        translated = re.sub(
            r"^(#+ |- (?:[a-z0-9_-]+: )?|)(?=\S)", r"\1Qaa ", english.read_text(encoding="utf-8"), flags=re.MULTILINE
        )
        english.with_name(english.name.replace(".en.", f".{MADE_UP}.")).write_text(translated, encoding="utf-8")


@pytest.mark.program
async def test_a_language_is_added_by_adding_files(committed: Settings, keys: Path, tmp_path: Path) -> None:
    for name in ("src", "migrations"):
        shutil.copytree(ROOT / name, tmp_path / name)
    add_language(tmp_path / "src" / "mediation_api" / "texts")
    variables = environment(committed, keys, PYTHONPATH=str(tmp_path / "src"))
    with serving(variables, tmp_path) as running:
        async with httpx.AsyncClient(base_url=running.api, timeout=60) as client:
            office = Office(client, committed, RealClock())

            disclosures = (await office.public.get("/v1/disclosures"))["items"]
            assert isinstance(disclosures, list)
            assert [each["language"] for each in disclosures] == ["en", "es", MADE_UP]
            assert disclosures[2]["text"].startswith("Qaa Before you answer: what mediation means for you\n")
            office.disclosures["en"] = disclosures[2]["sha256"]

            story = await (await office.file(complainants=[{"language": MADE_UP}])).to_ready()
            made = await story.make_agreement(languages=["en", MADE_UP])
            assert "[2/2] Qaa English\n\nQaa Agreement to keep mediation confidential" in str(made["text"])
            for who in story.everybody:
                await story.sign(who)
            verified = await office.auditor.get(f"/v1/agreements/{made['id']}/verification")
            assert (verified["text_intact"], verified["signatures_intact"]) == (True, True)

            refused = await client.get("/v1/cases", headers={"Accept-Language": MADE_UP})
            assert (refused.json()["title"], refused.headers["Content-Language"]) == ("Qaa Not signed in", MADE_UP)
            assert refused.json()["detail"] == "Qaa A valid bearer token is needed."
