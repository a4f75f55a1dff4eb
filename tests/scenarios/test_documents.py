"""Documents over HTTP: who gets which, and what is refused."""

import json
from dataclasses import dataclass, field, replace
from typing import Final

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import update
from tests.conftest import RolledBackDatabase
from tests.scenarios.conftest import Begun, Fork

from mediation_api.database import tables as t
from mediation_api.dev.office import Caller, Office, Story
from mediation_api.outreach.documents import Document, Printer, PrinterBusy, PrintSize

HAN: Final = "\u674e\u96f7"


@dataclass
class Watched:
    """What was printed."""

    documents: list[Document] = field(default_factory=list)

    @property
    def last(self) -> str:
        """What the last document says."""
        return json.dumps(self.documents[-1].blocks, ensure_ascii=False)


@pytest.fixture
def watched(app: FastAPI, monkeypatch: pytest.MonkeyPatch) -> Watched:
    """Notes what is printed."""
    made, printer = Watched(), app.state.service.printer
    print_now = Printer.print_now

    def noted(self: Printer, document: Document, size: PrintSize) -> bytes:
        made.documents.append(document)
        return print_now(self, document, size)

    monkeypatch.setattr(type(printer), "print_now", noted)
    return made


async def got(who: Caller, path: str, status: int = 200) -> httpx.Response:
    response = await who.send("GET", path)
    assert response.status_code == status, response.text
    if status == 200:
        assert response.headers["content-type"] == "application/pdf"
        assert response.content.startswith(b"%PDF-")
    return response


def of_agreement(story: Story, what: str = "document") -> str:
    return f"/v1/agreements/{story.agreement['id']}/{what}"


async def test_everybody_who_may_read_a_text_gets_the_same_file_of_it(signed: Begun, fork: Fork) -> None:
    story = signed()
    async with fork():
        made = {(await got(who, of_agreement(story))).content for who in (*story.everybody, story.office.director)}
        assert len(made) == 1
        story.office.clock.advance(days=3)
        story.office.tokens.clear()
        again = await got(story.office.coordinator, of_agreement(story))
        assert {again.content} == made
        assert again.headers["content-disposition"] == 'inline; filename="confidentiality-1.pdf"'
        assert again.headers["content-language"] == "en"
        assert again.headers["cache-control"] == "no-store"
        large = await got(story.office.coordinator, f"{of_agreement(story)}?print=large")
        assert large.content != again.content
        refused = await got(story.office.coordinator, f"{of_agreement(story)}?print=huge", 422)
        assert refused.json()["errors"][0]["parameter"] == "print"
        unchanged = await story.office.client.get(
            of_agreement(story),
            headers={
                "Authorization": f"Bearer {story.office.coordinator.token}",
                "If-None-Match": again.headers["etag"],
            },
        )
        assert (unchanged.status_code, unchanged.content) == (304, b"")


async def test_each_document_is_printed_in_each_size(signed: Begun) -> None:
    story = signed()
    shown = await story.office.shown_disclosure()
    for path in (
        of_agreement(story),
        of_agreement(story, "certificate"),
        f"/v1/sessions/{story.session_id}/notice",
        f"/v1/disclosures/{shown}/form",
    ):
        who = story.office.public if path.endswith("form") else story.complainants[0]
        default, normal, large = [
            (await got(who, path + query)).content for query in ("", "?print=normal", "?print=large")
        ]
        assert default == normal != large


async def test_a_document_has_the_text_word_for_word_and_its_hash_and_nobodys_name(
    signed: Begun, fork: Fork, watched: Watched
) -> None:
    story = signed()
    async with fork():
        await story.make_agreement(languages=["en", "es"])
        await got(story.complainants[0], of_agreement(story))
        sha256 = str(story.agreement["sha256"])
        assert sha256 in watched.last.replace(" ", "")
        assert "[2/2] Español" in watched.last
        assert watched.documents[-1].made_at.isoformat() == str(story.agreement["made_at"]).replace("Z", "000+00:00")
        for party in story.parties:
            assert str(party["name"]) not in watched.last


async def test_the_office_and_the_mediator_see_who_signed_and_a_party_its_own_signature(
    signed: Begun, watched: Watched
) -> None:
    story = signed()
    names = [str(party["name"]) for party in story.parties]
    for who in (story.office.coordinator, story.mediator):
        assert who is not None
        await got(who, of_agreement(story, "certificate"))
        assert all(name in watched.last for name in names)
        assert "Electronically" in watched.last
    for who in (story.complainants[0], story.officers[0]):
        await got(who, of_agreement(story, "certificate"))
        assert not any(name in watched.last for name in names)
        assert watched.last.count('"Party"') == 1
        assert "You see your own signature alone." in watched.last


async def test_a_certificate_says_that_nobody_signed_or_that_the_text_was_replaced(
    signed: Begun, fork: Fork, watched: Watched
) -> None:
    story = signed()
    async with fork():
        earlier = of_agreement(story, "certificate")
        await story.make_agreement()
        for who in (story.office.coordinator, story.complainants[0]):
            await got(who, earlier)
            assert "A later text has replaced this one." in watched.last
            await got(who, of_agreement(story, "certificate"))
            assert "Nobody has signed this text." in watched.last
            assert "A later text has replaced this one." not in watched.last


async def test_a_notice_is_in_the_language_of_the_reader_and_names_nobody(
    signed: Begun, fork: Fork, watched: Watched
) -> None:
    story = signed()
    async with fork():
        path = f"/v1/sessions/{story.session_id}/notice"
        headers = {"Authorization": f"Bearer {story.officers[0].token}", "Accept-Language": "es"}
        response = await story.office.client.get(path, headers=headers)
        assert response.headers["content-language"] == "es"
        assert "Aviso de una sesión" in watched.last
        assert "Room 4, City Hall" in watched.last
        assert not any(str(party["name"]) in watched.last for party in story.parties)
        await story.session("cancel")
        await got(story.officers[0], path)
        assert "Notice that a session is cancelled" in watched.last


async def test_anybody_gets_the_form_to_answer_a_disclosure(office: Office, watched: Watched) -> None:
    for language, question in (("en", "I agree to take part"), ("es", "acepto participar")):
        sha256 = await office.shown_disclosure(language)
        response = await got(office.public, f"/v1/disclosures/{sha256}/form")
        assert response.headers["content-language"] == language
        assert question in watched.last
        assert sha256 in watched.last.replace(" ", "")
    await got(office.public, f"/v1/disclosures/{'f' * 64}/form", 404)


async def test_a_character_without_a_font_is_named_in_the_language_of_the_reader(signed: Begun, fork: Fork) -> None:
    story = signed()
    async with fork():
        await story.session("reschedule", story.booking(place=f"Room {HAN}"))
        response = await got(story.complainants[0], f"/v1/sessions/{story.session_id}/notice", 409)
        assert response.json()["code"] == "not-printable"
        assert response.json()["detail"] == "No font has the character \u674e (U+674E)."
        headers = {"Authorization": f"Bearer {story.complainants[0].token}", "Accept-Language": "es"}
        spanish = await story.office.client.get(f"/v1/sessions/{story.session_id}/notice", headers=headers)
        assert spanish.json()["detail"] == "Ningún tipo de letra tiene el carácter \u674e (U+674E)."


async def test_terms_are_printed_unless_they_cannot_be_or_were_purged(
    signed: Begun, fork: Fork, watched: Watched, database: RolledBackDatabase
) -> None:
    story = signed()
    async with fork():
        await story.session("start", {})
        await story.session("complete")
        for terms, code in ((f"{HAN} explains.", "not-printable"), ("x\n" * 9_999, "document-too-long")):
            await story.make_agreement(kind="resolution", terms=terms)
            response = await got(story.complainants[0], of_agreement(story), 409)
            assert response.json()["code"] == code
        await story.make_agreement(kind="resolution", terms="We meet again.", terms_confidential=True)
        response = await got(story.complainants[0], of_agreement(story))
        assert response.headers["content-disposition"] == 'inline; filename="resolution-3.pdf"'
        assert "The parties agree to keep these terms confidential." in watched.last
        async with database.transaction() as connection:
            purged = update(t.agreements).values(text=None, purged_at=story.office.clock.now)
            await connection.execute(purged.where(t.agreements.c.kind == "resolution"))
        await got(story.office.coordinator, of_agreement(story), 404)
        await got(story.office.coordinator, of_agreement(story, "certificate"))


async def test_a_signer_whose_name_no_font_has_is_refused_and_named_by_the_character(
    office: Office, fork: Fork
) -> None:
    async with fork():
        story = await (await office.file(complainants=[{"name": HAN}])).to_signed()
        response = await got(office.coordinator, of_agreement(story, "certificate"), 409)
        assert response.json()["code"] == "not-printable"
        await got(story.officers[0], of_agreement(story, "certificate"))  # who is shown no name


async def test_an_office_whose_name_no_font_has_is_told(app: FastAPI, office: Office) -> None:
    service = app.state.service
    app.state.service = replace(service, settings=service.settings.model_copy(update={"office_name": HAN}))
    try:
        listed = (await office.public.get("/v1/disclosures?language=en"))["items"]
        assert isinstance(listed, list)
        response = await got(office.public, f"/v1/disclosures/{listed[0]['sha256']}/form", 409)
        assert response.json()["code"] == "not-printable"
    finally:
        app.state.service = service


async def test_who_comes_when_too_many_wait_is_told_to_come_back(
    app: FastAPI, office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def busy(*_: object) -> bytes:
        raise PrinterBusy

    monkeypatch.setattr(app.state.service.printer, "print", busy)
    response = await got(office.public, f"/v1/disclosures/{await office.shown_disclosure()}/form", 503)
    assert response.json()["code"] == "unavailable"
    assert response.headers["retry-after"]
