"""Mails on their way to a real SMTP server, which accepts them, puts them off, refuses them, or vanishes."""

import asyncio
import re
import ssl
from collections import Counter
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Final

import pytest
from pydantic import SecretStr
from sqlalchemy import func, select
from tests.certificates import certificate_authority
from tests.conftest import Clock, RolledBackDatabase
from tests.outreach.smtp import PASSWORD, USER, MailServerOfTest
from tests.promises.production import log_lines

from mediation_api.cli.check import _mail_server
from mediation_api.database import tables as t
from mediation_api.dev.office import Office, Story
from mediation_api.domain.values import MailState
from mediation_api.logs import JsonFormatter
from mediation_api.main import worker_context
from mediation_api.outreach.mail_delivery import MailDelivery
from mediation_api.outreach.worker import RunResult, WorkerContext, number_events
from mediation_api.repository import mails
from mediation_api.settings import MailTls, Settings, SettingsError

pytestmark = pytest.mark.drawn

SENDER: Final = "no-reply@city.example"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Callable[[], ssl.SSLContext]]:
    """The certificate of an authority, and what makes the context of a server with a certificate of it."""
    folder = tmp_path_factory.mktemp("mail")
    server = certificate_authority(folder, "city")
    return folder / "city.pem", server


@dataclass(slots=True)
class Post:
    """The worker's part in mail, and the mail server."""

    server: MailServerOfTest
    context: WorkerContext
    delivery: MailDelivery
    clock: Clock

    async def run(self, **later: float) -> RunResult:
        """Number the events, and do one run of the task, some time later."""
        self.clock.advance(**later)
        await number_events(self.context)
        return await self.delivery.run(self.context)

    async def states(self) -> Counter[str]:
        """How many mails are in each state."""
        async with self.context.database.reading() as connection:
            rows = await connection.execute(select(t.mails.c.state, func.count()).group_by(t.mails.c.state))
            return Counter({row[0]: row[1] for row in rows})

    async def mail_to(self, party_id: str | None) -> dict[str, object]:
        """The one mail to a party."""
        async with self.context.database.reading() as connection:
            rows = await connection.execute(select(t.mails).where(t.mails.c.party_id == party_id))
            return dict(rows.mappings().one())

    def recipients(self) -> list[str]:
        """The address of each mail that the server has taken; each is to one person alone."""
        for each in self.server.delivered:
            assert (each.sender, len(each.recipients)) == (SENDER, 1)
            assert [str(each.message["To"])] == list(each.recipients)
            assert not {"cc", "bcc", "reply-to"} & {name.lower() for name in each.message}
        return [each.recipients[0] for each in self.server.delivered]


Posting = Callable[..., "AsyncIterator[Post]"]


@pytest.fixture
async def post(
    settings: Settings,
    database: RolledBackDatabase,
    clock: Clock,
    authority: tuple[Path, Callable[[], ssl.SSLContext]],
) -> AsyncIterator[Post]:
    """A mail server with TLS and a sign-in, and a worker that was started before anything happened."""
    ca_file, server_context = authority
    server = MailServerOfTest()
    async with server.listening(server_context()) as port:
        made = with_mail(settings, port, mail_ca_file=ca_file)
        yield await posting(made, database, clock, server)


def with_mail(settings: Settings, port: int, **changes: object) -> Settings:
    """The settings with a mail server on this machine."""
    mail = {
        "mail_host": "127.0.0.1",
        "mail_port": port,
        "mail_user": USER,
        "mail_password": SecretStr(PASSWORD),
        "mail_from": SENDER,
        "portal_url": "https://portal.city.example",
        **changes,
    }
    return settings.model_copy(update=mail)


async def posting(settings: Settings, database: RolledBackDatabase, clock: Clock, server: MailServerOfTest) -> Post:
    context = replace(worker_context(settings), database=database, clock=clock)
    delivery = MailDelivery.of(context)
    assert delivery is not None
    post = Post(server, context, delivery, clock)
    assert await post.run() is RunResult.DONE
    return post


def person(name: str, **more: object) -> dict[str, object]:
    """Somebody who allows mail."""
    return {"email": f"{name}@example.org", "email_allowed": True, **more}


async def test_each_answer_of_the_server_has_its_consequence_and_nothing_is_lost(
    office: Office, post: Post, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    answers = {
        "accepted": [],
        "later": ["452 4.2.2 Mailbox full", "452 4.2.2 Mailbox full"],
        "refused": ["550 5.1.1 No such user"],
        "lost": ["lost"],
        "closing": ["421 4.3.2 Shutting down"],
    }
    post.server.answers = {f"{name}@example.org": [*said] for name, said in answers.items()}
    people = [*map(person, answers), person("silent", email_allowed=False), {}]
    story = await (await office.file(complainants=people)).to_confirming()

    await post.run()
    assert await post.states() == {"sent": 1, "queued": 3, "failed": 1}
    refused = await post.mail_to(story.complainants[2].party_id)
    assert (refused["state"], refused["smtp_code"], refused["attempts"]) == ("failed", 550, 1)
    await post.run()
    assert await post.states() == {"sent": 1, "queued": 3, "failed": 1}, "nothing is tried again before its time"
    await post.run(minutes=1)
    assert await post.states() == {"sent": 3, "queued": 1, "failed": 1}
    later = await post.mail_to(story.complainants[1].party_id)
    assert (later["smtp_code"], later["attempts"], later["finished_at"]) == (452, 2, None)
    await post.run(minutes=2)
    assert await post.states() == {"sent": 4, "failed": 1}
    assert Counter(post.recipients()) == {
        "accepted@example.org": 1,
        "later@example.org": 1,
        "lost@example.org": 2,  # the server had it, and its answer was lost
        "closing@example.org": 1,
    }
    first, second = (d.message for d in post.server.delivered if d.recipients == ("lost@example.org",))
    assert (first["Message-ID"], first["Date"]) == (second["Message-ID"], second["Date"])

    lines = log_lines(
        "\n".join(
            JsonFormatter().format(record) for record in caplog.records if record.name.startswith("mediation_api")
        )
    )
    assert Counter(line["state"] for line in lines if line["event"] == "mail") == {"sent": 4, "queued": 4, "failed": 1}
    assert "@" not in str(lines)


async def test_the_faults_of_a_server_are_not_those_of_a_mail(
    office: Office,
    settings: Settings,
    database: RolledBackDatabase,
    clock: Clock,
    authority: tuple[Path, Callable[[], ssl.SSLContext]],
    caplog: pytest.LogCaptureFixture,
) -> None:
    ca_file, server_context = authority
    server = MailServerOfTest(signs_in=False)
    async with server.listening(server_context()) as port, server.listening(None) as bare_port:
        await posting(with_mail(settings, port), database, clock, server)
        story = await (await office.file(complainants=[person("ana")])).to_confirming()
        faults = {
            "SSLCertVerificationError|SMTPConnectError": with_mail(settings, port),
            "SMTPAuthenticationError": with_mail(settings, port, mail_ca_file=ca_file),
            "SMTPException": with_mail(settings, bare_port, mail_user="", mail_password=SecretStr("")),
            "ConnectionRefusedError": with_mail(settings, 1, mail_ca_file=ca_file),
        }
        for error, faulty in faults.items():
            caplog.clear()
            post = await _tried(faulty, database, clock, server)
            lines = [record.getMessage() for record in caplog.records if "mail-server" in record.getMessage()]
            assert len(lines) == 1, error
            assert any(name in lines[0] for name in error.split("|")), lines
            assert (await post.mail_to(story.complainants[0].party_id))["attempts"] == 0
            assert not server.delivered
        server.signs_in, server.senders_refused = True, True
        post = await _tried(with_mail(settings, port, mail_ca_file=ca_file), database, clock, server)
        assert (await post.mail_to(story.complainants[0].party_id))["attempts"] == 0
        server.senders_refused = False
        await post.run(seconds=4)
        assert server.delivered == [], "the pause is not over"
        await post.run(seconds=1)
        assert post.recipients() == ["ana@example.org"]
        assert server.greeted_by == {"city.example"}, "the name of this machine would stand in the headers"


async def _tried(settings: Settings, database: RolledBackDatabase, clock: Clock, server: MailServerOfTest) -> Post:
    post = await posting(settings, database, clock, server)
    assert await post.states() == {"queued": 1}
    return post


async def test_the_check_of_the_mail_server_says_what_is_wrong_and_sends_nothing(
    settings: Settings, authority: tuple[Path, Callable[[], ssl.SSLContext]]
) -> None:
    ca_file, server_context = authority
    server = MailServerOfTest()
    async with server.listening(server_context()) as port:
        right = with_mail(settings, port, mail_ca_file=ca_file)
        assert await _mail_server(right) == f"127.0.0.1 accepts mails from {SENDER}, with TLS"
        wrong = {
            "MAIL_CA_FILE: does not vouch": with_mail(settings, port),
            "MAIL_USER: the mail server does not accept user and password (535)": with_mail(
                settings, port, mail_ca_file=ca_file, mail_password=SecretStr("another")
            ),
            "MAIL_HOST: cannot be used (ConnectionRefusedError)": with_mail(settings, 1),
            "MAIL_HOST: cannot be used (": with_mail(settings, port, mail_ca_file=ca_file, mail_tls=MailTls.TLS),
        }
        for words, each in wrong.items():
            with pytest.raises(SettingsError, match=re.escape(words)):
                await _mail_server(each)
        server.senders_refused = True
        with pytest.raises(SettingsError, match=r"MAIL_FROM: the mail server does not .* \(553\)"):
            await _mail_server(right)
    assert server.delivered == []
    assert await _mail_server(settings) == "none: no mail is sent"


async def test_mails_are_sent_over_tls_from_the_first_byte(
    settings: Settings, authority: tuple[Path, Callable[[], ssl.SSLContext]]
) -> None:
    ca_file, server_context = authority
    server = MailServerOfTest()
    async with server.listening(server_context(), from_first_byte=True) as port:
        made = with_mail(settings, port, mail_ca_file=ca_file, mail_tls=MailTls.TLS)
        assert (await _mail_server(made)).endswith("with TLS")


async def test_the_server_is_asked_again_after_pauses_that_grow(
    office: Office, settings: Settings, database: RolledBackDatabase, clock: Clock
) -> None:
    server = MailServerOfTest(senders_refused=True)
    async with server.listening(None) as port:
        made = with_mail(settings, port, mail_tls=MailTls.NONE, mail_user="", mail_password=SecretStr(""))
        post = await posting(made, database, clock, server)
        await (await office.file(complainants=[person("ana")])).to_confirming()
        tried, before = [], 0
        for second in range(80):
            await post.run(seconds=1)
            if (now := sum(server.connections.values())) > before:
                tried.append(second)
                before = now
    assert tried == [0, 5, 15, 35, 75]


async def test_more_mails_than_a_server_takes_on_one_connection_go_over_several(office: Office, post: Post) -> None:
    people = [person(f"p{number}") for number in range(24)]
    await (await office.file(complainants=people)).to_confirming()
    await post.run()
    assert await post.states() == {"sent": 24}
    assert len(post.server.connections) == 2


# ── at the time of sending ─────────────────────────────────────────────────────────────────────────────────────────


async def _withdraws(story: Story) -> None:
    await story.withdraw(story.complainants[0])


async def _is_removed(story: Story) -> None:
    await story.remove(story.complainants[0])


async def _forbids_mail(story: Story) -> None:
    await story.complainants[0].patch(f"/v1/parties/{story.complainants[0].party_id}", {"email_allowed": False})


async def _has_another_way_of_safe_contact(story: Story) -> None:
    await story.complainants[0].patch(
        f"/v1/parties/{story.complainants[0].party_id}", {"safe_contact": "Never in writing."}
    )


async def _answers(story: Story) -> None:
    await story.answer(story.complainants[0])


@pytest.mark.parametrize("does", [_withdraws, _is_removed, _forbids_mail, _has_another_way_of_safe_contact, _answers])
async def test_whoever_is_no_longer_to_be_written_to_when_a_mail_is_sent_gets_none(
    office: Office, post: Post, does: Callable[[Story], object]
) -> None:
    post.server.answers = {"ana@example.org": ["452 Later"], "bo@example.org": ["452 Later"]}
    story = await (await office.file(complainants=[person("ana"), person("bo")])).to_confirming()
    await post.run()
    await does(story)  # type: ignore[misc] # an awaitable
    await post.run(minutes=1)
    assert post.recipients() == ["bo@example.org"]
    assert (await post.mail_to(story.complainants[0].party_id))["state"] == MailState.DROPPED


async def test_a_mail_is_sent_by_another_process_if_one_dies_while_it_sends_it(office: Office, post: Post) -> None:
    await (await office.file(complainants=[person("ana")])).to_confirming()
    post.server.answers = {"ana@example.org": ["452 Later"]}
    await post.run()
    post.clock.advance(minutes=1)
    async with post.context.database.transaction() as connection:
        claimed = await mails.claim(connection, post.clock.now)
        assert claimed is not None
        assert await mails.claim(connection, post.clock.now) is None
    await post.run(minutes=4)
    assert post.recipients() == []
    await post.run(minutes=1)
    assert post.recipients() == ["ana@example.org"]
    async with post.context.database.transaction() as connection:  # the process was only slow
        await mails.retry(connection, claimed, post.clock.now, smtp_code=452)
    assert await post.states() == {"sent": 1}


async def test_a_mail_is_tried_for_three_days_and_then_shown_as_failed(office: Office, post: Post) -> None:
    post.server.answers = {"ana@example.org": ["452 Later"] * 3}
    story = await (await office.file(complainants=[person("ana")])).to_confirming()
    await post.run()
    await post.run(days=2, hours=23)
    assert await post.states() == {"queued": 1}
    await post.run(hours=4)
    mail = await post.mail_to(story.complainants[0].party_id)
    assert (mail["state"], mail["smtp_code"], mail["attempts"]) == ("failed", 452, 3)


# ── queueing ───────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_an_address_that_is_none_fails_its_own_mail_alone(
    office: Office, post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "mediation_api.domain.mails.address_to_write_to",
        lambda email, *, allowed: email.replace("broken@", "broken") if allowed else None,
    )
    story = await office.file(complainants=[person("broken"), person("well")])
    await story.screen()
    assert await post.run() is RunResult.DONE
    assert post.recipients() == ["well@example.org"]
    assert await post.states() == {"failed": 1, "sent": 1}


async def test_what_happened_before_mail_was_on_or_long_ago_is_no_reason_to_write(
    office: Office, settings: Settings, database: RolledBackDatabase, clock: Clock
) -> None:
    await (await office.file(complainants=[person("before")])).to_confirming()
    server = MailServerOfTest()
    async with server.listening(None) as port:
        made = with_mail(settings, port, mail_tls=MailTls.NONE, mail_user="", mail_password=SecretStr(""))
        await number_events(replace(worker_context(made), database=database, clock=clock))
        post = await posting(made, database, clock, server)
        await (await office.file(complainants=[person("long-ago")])).to_confirming()
        clock.advance(days=3)
        await (await office.file(complainants=[person("now")])).to_confirming()
        await post.run()
        assert post.recipients() == ["now@example.org"]


async def test_everybody_is_written_to_about_a_whole_case_in_their_own_language(office: Office, post: Post) -> None:
    story = await office.file(complainants=[person("ana", language="es")], officers=[person("dale")])
    mediator = await office.mediator(email="noor@example.org", email_allowed=True, languages=["en"])
    await story.to_confirming()
    await post.run()
    await story.answer(story.complainants[0])
    await post.run()
    await story.answer(story.officers[0])
    await story.propose(mediator)
    await post.run()
    await story.accept()
    starts_at = (office.clock.now + timedelta(days=3)).isoformat()
    ends_at = (office.clock.now + timedelta(days=3, hours=2)).isoformat()
    await story.schedule(starts_at=starts_at, ends_at=ends_at)
    await post.run()
    moved = story.booking(starts_at=starts_at, ends_at=ends_at, place="Room 5")
    await office.coordinator.post(f"/v1/sessions/{story.session_id}/reschedule", moved, 200)
    await story.make_agreement(languages=["en", "es"])
    await post.run()
    await story.sign(story.officers[0])
    await story.withdraw(story.complainants[0])
    await post.run()
    written = [(each.recipients[0].partition("@")[0], str(each.message["Subject"])) for each in post.server.delivered]
    assert Counter(written) == Counter(
        [
            ("ana", "Le espera un mensaje"),
            ("ana", "Una cita para usted"),
            ("ana", "Su cita ha cambiado"),
            ("ana", "Le espera un documento"),
            ("dale", "A message waits for you"),
            ("dale", "An appointment for you"),
            ("dale", "Your appointment was changed"),
            ("dale", "A document waits for you"),
            ("dale", "Your appointment was cancelled"),
            ("dale", "A message waits for you"),
            ("noor", "A proposal waits for you"),
            ("noor", "An appointment for you"),
            ("noor", "Your appointment was changed"),
            ("noor", "A document waits for you"),
            ("noor", "Your appointment was cancelled"),
            ("noor", "A message waits for you"),
        ]
    )
    names = [str(each["name"]) for each in story.parties]
    assert not [
        name for name in (*names, "Okafor", "Room") for each in post.server.delivered if name.encode() in each.raw
    ]


async def test_whoever_was_told_of_a_session_days_ago_is_reminded_of_it_once_a_day_before(
    office: Office, post: Post
) -> None:
    story = await office.file(complainants=[person("ana")], officers=[person("dale")])
    await story.to_ready()
    await story.assign(await office.mediator(email="noor@example.org", email_allowed=True))
    starts_at = office.clock.now + timedelta(days=3)
    await story.schedule(starts_at=starts_at.isoformat(), ends_at=(starts_at + timedelta(hours=2)).isoformat())
    await post.run()
    assert sorted(post.recipients()) == ["ana@example.org", "dale@example.org", "noor@example.org"]
    await post.run(days=1, hours=23)
    assert len(post.recipients()) == 3, "two days are too early"
    await post.run(hours=1, minutes=1)
    reminders = [each for each in post.server.delivered if each.message["Subject"] == "Your appointment"]
    assert sorted(each.recipients[0] for each in reminders) == [
        "ana@example.org",
        "dale@example.org",
        "noor@example.org",
    ]
    await post.run(hours=12)
    near = story.booking(
        starts_at=(starts_at + timedelta(hours=3)).isoformat(), ends_at=(starts_at + timedelta(hours=5)).isoformat()
    )
    await office.coordinator.post(f"/v1/sessions/{story.session_id}/reschedule", near, 200)
    for _ in range(3):
        await post.run(hours=4)
    assert Counter(str(each.message["Subject"]) for each in post.server.delivered) == {
        "An appointment for you": 3,
        "Your appointment": 3,
        "Your appointment was changed": 3,
    }


async def test_whoever_has_not_answered_is_reminded_once_and_whoever_has_is_not(office: Office, post: Post) -> None:
    story = await (await office.file(complainants=[person("ana"), person("bo")])).to_confirming()
    await post.run()
    await story.answer(story.complainants[1])
    for _ in range(9):
        await post.run(days=1)
    mails_to = [(each.recipients[0], str(each.message["Subject"])) for each in post.server.delivered]
    assert sorted(mails_to) == [
        ("ana@example.org", "A message still waits for you"),
        ("ana@example.org", "A message waits for you"),
        ("bo@example.org", "A message waits for you"),
    ]


async def test_a_stopped_run_leaves_no_mail_claimed_for_longer_than_its_lease(office: Office, post: Post) -> None:
    await (await office.file(complainants=[person("ana")])).to_confirming()
    await number_events(post.context)
    running = asyncio.create_task(post.delivery.run(post.context))
    await post.server.on_data.wait()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    await post.run(minutes=5)
    assert set(post.recipients()) == {"ana@example.org"}
    assert await post.states() == {"sent": 1}
