"""Whether the records that are shown beside the facts still say what the facts say.

A fact is in the chain; the row that it led to (a consent, a withdrawal, a signature, …) is not. So each such row is
held against its fact, and the text of each agreement and disclosure against its hash. A text that is gone needs a fact
that says so, and its hash is held against the fact of its making all the same. What is private stands in no
fact, and is not covered, such as the reason of a director's override; nor are states and standings, which change. Of
what is sealed, all is held to be: a text that is not was put there by nobody who had the key.
"""

from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from functools import cache

from sqlalchemy import ColumnElement, Text, cast, func, literal, or_, select, type_coerce
from sqlalchemy.ext.asyncio import AsyncConnection

from mediation_api.domain import facts
from mediation_api.domain.chain import Flaw, Problem
from mediation_api.domain.facts import Fact
from mediation_api.domain.texts import text_hash
from mediation_api.domain.values import ErasureState, ReportState
from mediation_api.repository import tables as t
from mediation_api.repository.data_keys import opened, owner_of
from mediation_api.repository.nesting import AnyColumn, AnySelect
from mediation_api.repository.resealing import SEALED, has_unsealed
from mediation_api.repository.sealing import Opened


async def unlike_facts(connection: AsyncConnection) -> AsyncIterator[Problem]:
    """Each record that differs from its fact, has none, or is missing."""
    for statement in _put_together(_differences):
        async for row in await connection.stream(statement):
            yield Problem(Flaw.UNLIKE_FACT, row.stream, row.sequence)
    for statement in _put_together(_unsealed):
        async for row in await connection.stream(statement):
            yield Problem(Flaw.UNSEALED, row.stream, row.sequence)
    # What is sealed is opened, and hashed here.
    for statement in _put_together(_hashed_texts):
        async for row in await connection.stream(statement):
            stream, sequence, sha256, *lines = row
            if text_hash("\n".join(lines)) != sha256:
                yield Problem(Flaw.UNLIKE_FACT, stream, sequence)


@cache
def _put_together(statements: Callable[[], Iterator[AnySelect]]) -> tuple[AnySelect, ...]:
    """Once: it takes longer than to have them answered."""
    return tuple(statements())


def _unsealed() -> Iterator[AnySelect]:
    """Rows with a text that is not sealed, by whom they belong to."""
    for table in SEALED:
        owner = table.c.id if table is t.mandatory_reports else owner_of(table)
        yield select(owner.label("stream"), literal(0).label("sequence")).where(has_unsealed(table))


def _differences() -> Iterator[AnySelect]:
    consents, withdrawals, signatures = t.consents.c, t.withdrawals.c, t.signatures.c
    yield _held(
        facts.ConsentGiven,
        "consent_id",
        consents.id,
        {
            name: consents[name]
            for name in ("party_id", "decision", "disclosure_sha256", "channel", "guardian_consent_id")
        },
    )
    guardian_consents = t.guardian_consents.c
    yield _held(
        facts.GuardianConsented,
        "guardian_consent_id",
        guardian_consents.id,
        {name: guardian_consents[name] for name in ("party_id", "disclosure_sha256", "channel")},
    )
    yield _held(
        facts.PartyWithdrew,
        "withdrawal_id",
        withdrawals.id,
        {name: withdrawals[name] for name in ("party_id", "channel")},
    )
    yield _held(
        facts.AgreementSigned,
        "signature_id",
        signatures.id,
        {
            **{name: signatures[name] for name in ("agreement_id", "sha256", "method")},
            "signer.role": signatures.signer_role,
            "signer.id": signatures.signer_id,
        },
    )
    screenings, approvals, absences, pauses = t.screenings.c, t.approvals.c, t.absences.c, t.pauses.c
    yield _held(
        facts.CaseScreened,
        "screening_id",
        screenings.id,
        {
            "eligible": screenings.eligible,
            "overridden": screenings.overridden,
            "screening.version": screenings.rules_version,
            "screening.outcome": screenings.outcome,
            "screening.findings": screenings.findings,
        },
    )
    yield _held(
        facts.ApprovalRecorded,
        "approval_id",
        approvals.id,
        {name: approvals[name] for name in ("approver", "approved", "unit", "given_on", "channel")},
    )
    yield _held(
        facts.AbsenceRecorded,
        "absence_id",
        absences.id,
        {name: absences[name] for name in ("session_id", "party_id", "excused")},
    )
    yield _held(
        facts.TargetPaused,
        "pause_id",
        pauses.id,
        {name: pauses[name] for name in ("reason", "starts_on", "ends_on")},
    )
    attempts = t.contact_attempts.c
    yield _held(
        facts.ContactAttempted,
        "attempt_id",
        attempts.id,
        {name: attempts[name] for name in ("party_id", "channel", "result")},
    )
    agreements = t.agreements.c
    yield _held(
        facts.AgreementMade,
        "agreement_id",
        agreements.id,
        {
            "agreement_kind": agreements.kind,
            **{name: agreements[name] for name in ("number", "template_version", "terms_confidential")},
            "sha256": agreements.sha256,
        },
    )
    yield _gone_without_a_word()
    yield from _reports()
    yield from _holds()
    yield from _erasures()
    attested = select(t.assignments).where(t.assignments.c.notes_destroyed_at.is_not(None)).subquery("attested").c
    at = {"at": attested.notes_destroyed_at, "case_id": attested.case_id}
    yield _held(facts.NotesDestroyed, "assignment_id", attested.id, {}, at, attested.case_id)
    # Of which fact it is, is in the fact: one text serves many answers.
    yield (
        select(consents.case_id.label("stream"), literal(0).label("sequence"))
        .join(t.disclosures, t.disclosures.c.sha256 == consents.disclosure_sha256)
        .where(_hash(t.disclosures.c.body) != t.disclosures.c.sha256)
    )


def _gone_without_a_word() -> AnySelect:
    """Agreements without a text, where no tombstone says that it was purged."""
    agreements, tombstone = t.agreements.c, t.facts.alias("tombstone").c
    told = select(tombstone.id).where(
        tombstone.kind == facts.DataPurged.kind,
        tombstone.data["agreements"].contains(func.jsonb_build_array(cast(agreements.id, Text))),
    )
    gone = select(agreements.case_id.label("stream"), literal(0).label("sequence"))
    return gone.where(agreements.text.is_(None), ~told.exists())


def _hashed_texts() -> Iterator[AnySelect]:
    yield _texts_of_agreements()
    yield _contents_of_reports()


def _texts_of_agreements() -> AnySelect:
    """Each text, as `texts.signed_hash` takes it, beside the hash that its fact holds.

    One that does not open is none that was agreed.
    """
    agreements = t.agreements.c
    text = type_coerce(opened(agreements.text), Opened(t.agreements.name, "text"))
    languages = func.concat("languages: ", func.array_to_string(agreements.languages, ", "))
    confidential = func.concat("terms_confidential: ", cast(agreements.terms_confidential, Text))
    lines = (languages, confidential, literal(""), text)
    return _hashed(facts.AgreementMade, "agreement_id", agreements.id, *lines).where(agreements.text.is_not(None))


def _contents_of_reports() -> AnySelect:
    """What each mandatory report is about, beside the hash that its fact holds."""
    reports = t.mandatory_reports.c
    disclosed_at = cast(func.trunc(func.extract("epoch", reports.disclosed_at) * 1_000_000), Text)
    lines = (reports.category, reports.recipient, opened(reports.agency), opened(reports.legal_basis), disclosed_at)
    return _hashed(facts.MandatoryReportProposed, "report_id", reports.id, *lines)


def _hashed(kind: type[Fact], name_of_id: str, id_: AnyColumn, *lines: AnyColumn) -> AnySelect:
    """For each fact of this kind its stream and sequence, the hash in it, and the lines of which that should be."""
    fact = t.facts.c
    stream: AnyColumn = func.coalesce(fact.report_id, fact.case_id)
    return (
        select(stream, fact.sequence, fact.data["sha256"].astext, *lines)
        .select_from(t.facts.join(id_.table, cast(id_, Text) == fact.data[name_of_id].astext))
        .where(fact.kind == kind.kind)
    )


def _reports() -> Iterator[AnySelect]:
    """A report and how it was decided."""
    reports = t.mandatory_reports.c
    yield _held(
        facts.MandatoryReportProposed,
        "report_id",
        reports.id,
        {"case_id": reports.case_id},
        {"at": reports.proposed_at, "by_role": reports.proposed_by_role, "by": reports.proposed_by},
        reports.id,
    )
    for kind, state, fields in (
        (facts.MandatoryReportFiled, ReportState.FILED, ()),
        (facts.MandatoryReportDropped, ReportState.DROPPED, ("reason",)),
    ):
        decided = select(t.mandatory_reports).where(reports.state == state).subquery("decided").c
        yield _held(
            kind,
            "report_id",
            decided.id,
            {name: decided[f"drop_{name}"] for name in fields},
            {"at": decided.decided_at, "by_role": decided.decided_by_role, "by": decided.decided_by},
            decided.id,
        )


def _erasures() -> Iterator[AnySelect]:
    """A request to erase, and how it was decided."""
    e = t.erasures.c
    asked = {"at": e.requested_at, "by": e.requested_by, "party_id": e.party_id}
    yield _held(facts.ErasureRequested, "erasure_id", e.id, {}, asked, e.id)
    for kind, state in (
        (facts.ErasureApproved, ErasureState.APPROVED),
        (facts.ErasureRefused, ErasureState.REFUSED),
    ):
        decided = select(t.erasures).where(e.state == state).subquery("decided").c
        fields = {"reason": decided.refusal} if state is ErasureState.REFUSED else {}
        said = {"at": decided.decided_at, "by": decided.decided_by, "party_id": decided.party_id}
        yield _held(kind, "erasure_id", decided.id, fields, said, decided.id)


def _holds() -> Iterator[AnySelect]:
    """A legal hold, and that it was lifted: without one, what it held could be emptied."""
    holds = t.legal_holds.c
    placed = {"at": holds.placed_at, "by": holds.placed_by, "complaint_id": holds.complaint_id}
    yield _held(facts.HoldPlaced, "hold_id", holds.id, {"reason": holds.reason}, placed, holds.complaint_id)
    lifted = select(t.legal_holds).where(holds.lifted_at.is_not(None)).subquery("lifted").c
    by = {"at": lifted.lifted_at, "by": lifted.lifted_by, "complaint_id": lifted.complaint_id}
    yield _held(facts.HoldLifted, "hold_id", lifted.id, {}, by, lifted.complaint_id)


def _held(
    kind: type[Fact],
    name_of_id: str,
    id_: AnyColumn,
    fields: Mapping[str, AnyColumn],
    said: Mapping[str, AnyColumn] | None = None,
    stream: AnyColumn | None = None,
) -> AnySelect:
    """The rows of the table of `id_` that are not what the facts of this kind say, field by field of their data.

    `said` is when and by whom, and of what, where the table has other names for that than facts; `stream` then names
    the place of a row without a fact.
    """
    table = id_.table
    fact = select(t.facts).where(t.facts.c.kind == kind.kind).subquery("fact")
    differs: list[ColumnElement[bool]] = [fact.c.id.is_(None), id_.is_(None)]
    differs += [
        fact.c.data[tuple(path.split("."))].astext.is_distinct_from(cast(column, Text))
        for path, column in fields.items()
    ]
    said = said or {name: table.c[name] for name in ("case_id", "at", "by_role", "by") if name in table.c}
    differs += [column.is_distinct_from(fact.c[name]) for name, column in said.items()]
    if stream is None:
        stream = table.c.case_id if "case_id" in said else id_
    return (
        select(
            func.coalesce(fact.c.report_id, fact.c.case_id, stream).label("stream"),
            func.coalesce(fact.c.sequence, 0).label("sequence"),
        )
        .select_from(fact.join(table, cast(id_, Text) == fact.c.data[name_of_id].astext, full=True))
        .where(or_(*differs))
    )


def _hash(text: AnyColumn) -> AnyColumn:
    hashed: AnyColumn = func.encode(func.sha256(func.convert_to(text, "UTF8")), "hex")
    return hashed
