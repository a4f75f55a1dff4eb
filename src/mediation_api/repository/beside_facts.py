"""Whether the records that are shown beside the facts still say what the facts say.

A fact is in the chain; the row that it led to (a consent, a withdrawal, a signature, …) is not. So each such row is
held against its fact, and the text of each agreement and disclosure against its hash. What is private stands in no
fact, and is not covered, such as the reason of a director's override; nor are states and standings, which change.
"""

from collections.abc import AsyncIterator, Iterator, Mapping

from sqlalchemy import Text, cast, func, literal, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from mediation_api.domain import facts
from mediation_api.domain.chain import Flaw, Problem
from mediation_api.domain.facts import Fact
from mediation_api.repository import tables as t
from mediation_api.repository.nesting import AnyColumn, AnySelect


async def unlike_facts(connection: AsyncConnection) -> AsyncIterator[Problem]:
    """Each record that differs from its fact, has none, or is missing."""
    for statement in _differences():
        async for row in await connection.stream(statement):
            yield Problem(Flaw.UNLIKE_FACT, row.stream, row.sequence)


def _differences() -> Iterator[AnySelect]:
    consents, withdrawals, signatures = t.consents.c, t.withdrawals.c, t.signatures.c
    yield _held(
        facts.ConsentGiven,
        "consent_id",
        consents.id,
        {name: consents[name] for name in ("party_id", "decision", "disclosure_sha256", "channel", "guardian_agreed")},
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
        {name: approvals[name] for name in ("approver", "approved", "unit")},
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
    agreements = t.agreements.c
    yield _held(
        facts.AgreementMade,
        "agreement_id",
        agreements.id,
        {
            "agreement_kind": agreements.kind,
            **{name: agreements[name] for name in ("number", "template_version", "terms_confidential")},
            "sha256": _hash(agreements.text),
        },
    )
    # Of which fact it is, is in the fact: one text serves many answers.
    yield (
        select(consents.case_id.label("stream"), literal(0).label("sequence"))
        .join(t.disclosures, t.disclosures.c.sha256 == consents.disclosure_sha256)
        .where(_hash(t.disclosures.c.body) != t.disclosures.c.sha256)
    )


def _held(kind: type[Fact], name_of_id: str, id_: AnyColumn, fields: Mapping[str, AnyColumn]) -> AnySelect:
    """The rows of the table of `id_` that are not what the facts of this kind say, field by field of their data."""
    table = id_.table
    fact = select(t.facts).where(t.facts.c.kind == kind.kind).subquery("fact")
    differs = [fact.c.id.is_(None), id_.is_(None)]
    differs += [
        fact.c.data[tuple(path.split("."))].astext.is_distinct_from(cast(column, Text))
        for path, column in fields.items()
    ]
    for name in ("case_id", "at", "by_role", "by"):
        if name in table.c:
            differs.append(table.c[name].is_distinct_from(fact.c[name]))
    stream = table.c.case_id if "case_id" in table.c else id_
    return (
        select(
            func.coalesce(fact.c.case_id, stream).label("stream"),
            func.coalesce(fact.c.sequence, 0).label("sequence"),
        )
        .select_from(fact.join(table, cast(id_, Text) == fact.c.data[name_of_id].astext, full=True))
        .where(or_(*differs))
    )


def _hash(text: AnyColumn) -> AnyColumn:
    hashed: AnyColumn = func.encode(func.sha256(func.convert_to(text, "UTF8")), "hex")
    return hashed
