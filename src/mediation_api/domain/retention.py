"""Retention: which data is stored, why, and until when. `retention_page` prints the schedule as docs/retention.md.

Each kind of data has one rule. When the job (`mediation-api retention`) empties a kind, an event records the kind, the
reason and the number of fields, but no content. The record itself (who agreed, withdrew, signed and when, in ids,
codes, dates and hashes) is kept, as proof that people took part voluntarily.

The periods are settings, because a city has its own records schedule.

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
    """The event that a period is counted from."""

    CASE_CLOSED = "the close of the case"
    COMPLAINT_CLOSED = "the close of the complaint's last case, or its filing where it had none"
    ACCESSED = "the access"
    UPLOADED = "the upload"
    QUEUED = "the reason to write"
    NUMBERED = "the event"


@dataclass(frozen=True, slots=True, kw_only=True)
class RetentionRule:
    """Why a kind of data is stored, and until when.

    `start` is set only if the job empties or deletes the kind; `setting` then names the setting of the period, and
    `days` is its default. `until` states in words what happens then.
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
            until="Emptied. Its hash and the signatures stay, and whoever kept a copy can compare it with them.",
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
            until="Emptied. An officer's account then no longer gives access to the complaint.",
            start=Start.COMPLAINT_CLOSED,
            setting="keep_identity_days",
            days=3650,
        ),
        DataKind.RECORD: RetentionRule(
            what="Events, answers, withdrawals and signatures: ids, codes, dates, hashes, token subjects; of a "
            "complaint its dates, its allegations and what intake answered.",
            why="To prove that everybody took part, or left, voluntarily, and that the record was not tampered with.",
            until="Kept, since the audit chain must be complete.",
        ),
        DataKind.ACCESS_LOG: RetentionRule(
            what="The access log: who opened a complaint, a party, a case or a mandatory report, when, by which "
            "operation, and for what purpose.",
            why="To show a party that its case was opened, and to notice access without need.",
            until="Deleted, except for entries about a complaint under a legal hold. The database refuses to delete an "
            "entry that is less than a year old.",
            start=Start.ACCESSED,
            setting="keep_access_log_days",
            days=3650,
        ),
        DataKind.MAIL: RetentionRule(
            what="That somebody was sent a mail: its kind, when, and what the server answered. No address, no text.",
            why="To show staff whether a message arrived, and to send none twice.",
            until="Deleted.",
            start=Start.QUEUED,
            setting="keep_mail_days",
            days=365,
        ),
        DataKind.MANDATORY_REPORT: RetentionRule(
            what="Which duty to report was met, to whom, on what basis, and when.",
            why="To show that the duty was met.",
            until="Kept as long as counsel advises. It does not contain what was said.",
        ),
        DataKind.ROSTER: RetentionRule(
            what="Names and addresses of mediators, and the names and subjects of staff.",
            why="To know who of the office and of the roster is in charge.",
            until="Kept while they are on the roster, and corrected by the office.",
        ),
        DataKind.CREDENTIAL: RetentionRule(
            what="Access codes, tokens, and the addresses of calendar feeds.",
            why="To let a member of the public speak for themselves, and a calendar program read its owner's sessions.",
            until="A token is valid for minutes, an access code until another is issued, an address of a calendar feed "
            "for months. Only a keyed hash is stored; that of an address is deleted after its end.",
        ),
        DataKind.RETRY: RetentionRule(
            what="Responses to requests with an idempotency key.",
            why="To return the same response to a retry, and do nothing twice.",
            until="Kept for two days under a key that only the caller has, then deleted.",
        ),
        DataKind.IMPORT: RetentionRule(
            what="Imports: the lines that were uploaded, and which rules refused which of them.",
            why="To file many complaints at once, and to go on after an interruption.",
            until="Deleted. A line is deleted as soon as it is filed or refused, and what its complaint holds has the "
            "periods above.",
            start=Start.UPLOADED,
            setting="keep_imports_days",
            days=30,
        ),
        DataKind.WEBHOOK: RetentionRule(
            what="What was sent to the webhooks of an integration, and when: ids of events.",
            why="To try again, and to let the integration see what it missed.",
            until="Deleted. The events themselves stay in the change feed.",
            start=Start.NUMBERED,
            setting="keep_deliveries_days",
            days=30,
        ),
        DataKind.MEDIATOR_NOTES: RetentionRule(
            what="What mediators note for themselves.",
            why="Never stored here, in no field and no attachment.",
            until="The mediator destroys them after the close, and attests that, which is an event.",
        ),
    }
)
"""The rule of every kind of data."""

EMPTIED: Final = tuple(
    kind for kind, rule in SCHEDULE.items() if rule.start in {Start.CASE_CLOSED, Start.COMPLAINT_CLOSED}
)
"""The kinds that the job empties, in the order of their default periods."""

DEFAULT_DAYS: Final[Mapping[str, int]] = MappingProxyType({r.setting: r.days for r in SCHEDULE.values() if r.setting})
"""The default of each setting, in calendar days."""


@dataclass(frozen=True, slots=True)
class Periods:
    """The retention periods in days, by setting."""

    days: Mapping[str, int]

    def ended_before(self, kind: DataKind, at: datetime) -> datetime:
        """Return the instant before which a period must have begun for this kind to be emptied at `at`."""
        return at - timedelta(days=self.days[SCHEDULE[kind].setting])


def purged(
    kind: DataKind, why: PurgeReason, *, fields: int, agreements: Iterable[UUID] = (), party_id: UUID | None = None
) -> tuple[DataPurged, ...]:
    """Return the tombstone of a purge, of one party if `party_id` is set; nothing if no field was emptied."""
    if fields == 0:
        return ()
    texts = tuple(sorted(agreements))
    return (DataPurged(data=kind, why=why, party_id=party_id, fields=fields, agreements=texts),)


def place_hold(hold_id: UUID, reason: HoldReason) -> HoldPlaced:
    """Place a legal hold: no data of the complaint is emptied until this hold and every other is lifted."""
    return HoldPlaced(hold_id=hold_id, reason=reason)


@dataclass(frozen=True, slots=True, kw_only=True)
class LegalHold:
    """A legal hold on a complaint."""

    hold_id: UUID
    complaint_id: UUID
    lifted: bool

    def lift(self) -> HoldLifted:
        """Lift the hold: the periods apply again if it was the only one. Raises StateConflict: it was lifted before."""
        if self.lifted:
            raise StateConflict
        return HoldLifted(hold_id=self.hold_id)


ERASED: Final = (DataKind.CONTACT, DataKind.NEEDS, DataKind.IDENTITY)
"""The kinds that an erasure empties for the party. The account is erased too if there is no other complainant."""


def request_erasure(erasure_id: UUID, party_id: UUID) -> ErasureRequested:
    """Record that a party asked for its data to be erased, which a second person has to approve."""
    return ErasureRequested(erasure_id=erasure_id, party_id=party_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class Erasure:
    """A request to erase the data of one party, and what may prevent it now."""

    erasure_id: UUID
    party_id: UUID
    complaint_id: UUID
    state: ErasureState
    requested_by: str
    held: bool
    case_is_open: bool
    only_complainant: bool

    def approve(self, filled: Mapping[DataKind, int], *, by: Actor) -> tuple[ErasureApproved | DataPurged, ...]:
        """Approve and erase. The account of the complaint is erased too if the party is its only complainant.

        Args:
            filled: How many fields have a value, by kind: of the complaint for the account, of the party for the rest.
            by: Who approves.

        Raises:
            StateConflict: it was decided before, or a case is open, which needs the data of its parties.
            UnderLegalHold: the complaint is under a legal hold.
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
        """Refuse the request. Raises StateConflict: it was decided before."""
        self._require_requested()
        return ErasureRefused(erasure_id=self.erasure_id, party_id=self.party_id, reason=reason)

    def _require_requested(self) -> None:
        if self.state is not ErasureState.REQUESTED:
            raise StateConflict


def require_held(text: str) -> None:
    """Raise DataErased if the data was erased.

    Args:
        text: A text that is empty only once it was erased, such as the name of a party.
    """
    if not text:
        raise DataErased


_PAGE: Final = """\
# What is stored, why, and until when

This page is generated: `make generate`. `mediation-api retention` empties the data whose period has ended, and should
run once a day. Of a complaint with an open case it empties only the terms of earlier cases and the access log, and of
one under a legal hold nothing. The periods are settings, to be set to the city's records schedule; days are calendar
days.

At a person's request, contact, needs and identity are erased earlier, and the account too if the person is the only
complainant: staff enter the request, and a director who did not enter it approves it. Nothing is erased while a case is
open or a legal hold is in place.

| Kind | What | Why | Counted from | Days | Then |
| --- | --- | --- | --- | --- | --- |
"""


def retention_page() -> str:
    """Return docs/retention.md: every kind of data and its rule."""
    rows = []
    for kind, rule in SCHEDULE.items():
        start = "" if rule.start is None else f"{rule.start[0].upper()}{rule.start[1:]}."
        days = "" if rule.start is None else f"{rule.days} (`MEDIATION_{rule.setting.upper()}`)"
        rows.append(f"| `{kind}` | {rule.what} | {rule.why} | {start} | {days} | {rule.until} |")
    return _PAGE + "\n".join(rows) + "\n"
