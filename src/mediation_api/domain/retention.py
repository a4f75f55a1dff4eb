"""What is held, why, and until when: the schedule, as data. `page` prints it as docs/retention.md.

Each kind of data has one rule. What the job empties (`mediation-api retention`) leaves a tombstone among the events:
which kind, why, and how many fields; nothing of what stood there. The record itself (who agreed, withdrew, signed and
when, in ids, codes, dates and hashes) stays, and with it the proof that people took part of their own will.

The periods are settings: a city has a records schedule of its own, and the defaults are only meant to do no harm.

Source: docs/field.md, "What is kept", "Text of an agreement" (Eugene) and "Traps".
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from types import MappingProxyType
from typing import Final
from uuid import UUID

from mediation_api.domain.access import Actor
from mediation_api.domain.errors import DataErased, SecondPersonRequired, StateConflict, UnderLegalHold
from mediation_api.domain.events import (
    DataPurged,
    ErasureApproved,
    ErasureRefused,
    ErasureRequested,
    HoldLifted,
    HoldPlaced,
)
from mediation_api.domain.values import DataKind, ErasureRefusal, ErasureState, HoldReason, PurgeReason


class Start(StrEnum):
    """What a period is counted from."""

    CASE_CLOSED = "the close of the case"
    COMPLAINT_CLOSED = "the close of the complaint's last case, or its filing where it had none"


@dataclass(frozen=True, slots=True, kw_only=True)
class RetentionRule:
    """Why a kind of data is held, and what ends that.

    `start` is set for what the job empties, and for nothing else; `setting` then names the number of days, whose
    default is `days`. `until` says in words what becomes of it.
    """

    what: str
    why: str
    until: str
    start: Start | None = None
    setting: str = ""
    days: int = 0


SCHEDULE: Final[Mapping[DataKind, RetentionRule]] = MappingProxyType(
    {
        DataKind.RESOLUTION_TERMS: RetentionRule(
            what="The text of resolution agreements.",
            why="To be signed, and given to those who take part. The city keeps no copy.",
            until="Emptied. Its hash and the signatures stay, and whoever kept a copy can hold it against them.",
            start=Start.CASE_CLOSED,
            setting="keep_terms_days",
            days=30,
        ),
        DataKind.CONTACT: RetentionRule(
            what="Phone numbers, e-mail and postal addresses, how to reach somebody safely; where and over "
            "which link sessions were held.",
            why="To reach people, in the way that is safe for them.",
            until="Emptied.",
            start=Start.COMPLAINT_CLOSED,
            setting="keep_contact_days",
            days=1095,
        ),
        DataKind.NEEDS: RetentionRule(
            what="Accommodations, and the language of an interpreter.",
            why="To provide what people need in order to take part.",
            until="Emptied.",
            start=Start.COMPLAINT_CLOSED,
            setting="keep_contact_days",
            days=1095,
        ),
        DataKind.ACCOUNT: RetentionRule(
            what="The narrative, where it happened, and the reasons of screenings.",
            why="To see whether the complaint is eligible, and what it is about.",
            until="Emptied.",
            start=Start.COMPLAINT_CLOSED,
            setting="keep_account_days",
            days=3650,
        ),
        DataKind.IDENTITY: RetentionRule(
            what="The names of parties, guardians and attendees; employee numbers and units.",
            why="To know who takes part, and that it is this person who answers and signs.",
            until="Emptied. An officer's account then leads to the complaint no more.",
            start=Start.COMPLAINT_CLOSED,
            setting="keep_identity_days",
            days=3650,
        ),
        DataKind.RECORD: RetentionRule(
            what="Events, answers, withdrawals, signatures and readings: ids, codes, dates, hashes, tokens' subjects; "
            "of a complaint its dates, its allegations and what intake answered.",
            why="To prove that everybody took part, or left, by their own will, and that nobody bent the record.",
            until="Kept; the chain of events is whole or it is none.",
        ),
        DataKind.MANDATORY_REPORT: RetentionRule(
            what="Which duty to report was met, to whom, on what basis, and when.",
            why="To show that the duty was met.",
            until="Kept as long as counsel says; nothing of what was said is in it.",
        ),
        DataKind.ROSTER: RetentionRule(
            what="Names and addresses of mediators, and the subjects of staff.",
            why="To know who of the office and of the roster is in charge.",
            until="Kept while they are on the roster, and corrected by the office.",
        ),
        DataKind.CREDENTIAL: RetentionRule(
            what="Access codes and tokens.",
            why="To let a member of the public speak for themselves.",
            until="A token for minutes, an access code until another is issued; of that, only a keyed hash is stored.",
        ),
        DataKind.RETRY: RetentionRule(
            what="Answers to requests, so that a retry gets the same.",
            why="To let nothing happen twice.",
            until="A day, under a key that only the caller has.",
        ),
        DataKind.MEDIATOR_NOTES: RetentionRule(
            what="What mediators note for themselves.",
            why="Never held here, in no field and no attachment.",
            until="The mediator destroys them after the close, and says so; that is an event.",
        ),
    }
)
"""Every kind of data. Each has one rule, and what identifies a person stands in one kind alone."""

EMPTIED: Final = tuple(kind for kind, rule in SCHEDULE.items() if rule.start is not None)
"""What the job empties, in the order in which it comes to an end by default."""

DEFAULT_DAYS: Final[Mapping[str, int]] = MappingProxyType({r.setting: r.days for r in SCHEDULE.values() if r.setting})
"""The settings, and their defaults in calendar days."""


@dataclass(frozen=True, slots=True)
class Periods:
    """How many days each of the settings says."""

    days: Mapping[str, int]

    def ended_before(self, kind: DataKind, at: datetime) -> datetime:
        """The instant before which a period of this kind must have begun, for the kind to be emptied at `at`."""
        return at - timedelta(days=self.days[SCHEDULE[kind].setting])


def purged(
    kind: DataKind, why: PurgeReason, *, fields: int, agreements: Iterable[UUID] = (), party_id: UUID | None = None
) -> tuple[DataPurged, ...]:
    """The tombstone of a purge, of one party alone where one is named; none where there was nothing to empty."""
    if fields == 0:
        return ()
    texts = tuple(sorted(agreements))
    return (DataPurged(data=kind, why=why, party_id=party_id, fields=fields, agreements=texts),)


def place_hold(hold_id: UUID, reason: HoldReason) -> HoldPlaced:
    """Keep everything of a complaint, whatever its periods say, until this hold and every other is lifted."""
    return HoldPlaced(hold_id=hold_id, reason=reason)


@dataclass(frozen=True, slots=True, kw_only=True)
class LegalHold:
    """A legal hold on a complaint, as far as lifting it goes."""

    hold_id: UUID
    complaint_id: UUID
    lifted: bool

    def lift(self) -> HoldLifted:
        """Let the periods run again, unless there is another hold. Raises StateConflict: it was lifted before."""
        if self.lifted:
            raise StateConflict
        return HoldLifted(hold_id=self.hold_id)


ERASED: Final = (DataKind.CONTACT, DataKind.NEEDS, DataKind.IDENTITY)
"""What an erasure empties of the person who asked for it. Where there is no other complainant, the account goes too."""


def request_erasure(erasure_id: UUID, party_id: UUID) -> ErasureRequested:
    """Enter that a party asked for what is held of it to be erased. Nothing is, before a second person approves."""
    return ErasureRequested(erasure_id=erasure_id, party_id=party_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class Erasure:
    """A request to erase what is held of one party, and what stands against it now."""

    erasure_id: UUID
    party_id: UUID
    complaint_id: UUID
    state: ErasureState
    requested_by: str
    held: bool
    case_is_open: bool
    only_complainant: bool

    def approve(self, filled: Mapping[DataKind, int], *, by: Actor) -> tuple[ErasureApproved | DataPurged, ...]:
        """Erase now. What a complainant told goes with it where there is no other: it is nobody else's.

        Args:
            filled: How many fields hold something: of the complaint for its account, of the party for the other kinds.
            by: Who approves.

        Raises:
            StateConflict: it was decided before, or a case is open that needs to know who takes part.
            UnderLegalHold: nothing may be erased.
            SecondPersonRequired: the same person entered the request.
        """
        self._require_requested()
        if self.held:
            raise UnderLegalHold
        if self.case_is_open:
            raise StateConflict
        if by.subject == self.requested_by:
            raise SecondPersonRequired
        why = PurgeReason.REQUEST
        own = (purged(kind, why, fields=filled[kind], party_id=self.party_id) for kind in ERASED)
        account = purged(DataKind.ACCOUNT, why, fields=filled[DataKind.ACCOUNT]) if self.only_complainant else ()
        return (
            ErasureApproved(erasure_id=self.erasure_id, party_id=self.party_id),
            *(tombstone for tombstones in own for tombstone in tombstones),
            *account,
        )

    def refuse(self, reason: ErasureRefusal) -> ErasureRefused:
        """Let nothing be erased. Raises StateConflict: it was decided before."""
        self._require_requested()
        return ErasureRefused(erasure_id=self.erasure_id, party_id=self.party_id, reason=reason)

    def _require_requested(self) -> None:
        if self.state is not ErasureState.REQUESTED:
            raise StateConflict


def require_held(text: str) -> None:
    """Refuse to act on what is no longer held. Raises DataErased.

    Args:
        text: what is never empty until it is erased: the name of a party, the narrative of a complaint.
    """
    if not text:
        raise DataErased


_PAGE: Final = """\
# What is held, why, and until when

This page is generated: `make generate`. `mediation-api retention` empties what has come to its end, and is to be run
once a day. Of a complaint with an open case it empties the terms of earlier ones alone, and of one under a legal hold
nothing. The periods are settings, to be set to the city's records schedule; days are calendar days.

At a person's request, contact, needs and identity are erased before their time, and a complainant's account with them
where there is no other complainant: staff enter the request, and a director who did not enter it approves it. An open
case and a legal hold stand against it.

| Kind | What | Why | Counted from | Days | Then |
| --- | --- | --- | --- | --- | --- |
"""


def retention_page() -> str:
    """The page docs/retention.md: every kind of data and its rule."""
    rows = []
    for kind, rule in SCHEDULE.items():
        start = "" if rule.start is None else f"{rule.start[0].upper()}{rule.start[1:]}."
        days = "" if rule.start is None else f"{rule.days} (`MEDIATION_{rule.setting.upper()}`)"
        rows.append(f"| `{kind}` | {rule.what} | {rule.why} | {start} | {days} | {rule.until} |")
    return _PAGE + "\n".join(rows) + "\n"
