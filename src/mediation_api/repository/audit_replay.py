"""Compute the rows of the operative tables from the events of a complaint, a mediator or a mandatory report.

The effects (streams.py) write the tables when a command runs; this module derives the same rows independently, as
JSON values. `audit verify` replays the events of the audit chain, and compares the result with the tables, row by row
and column by column (audit_comparison.py).

Everything is compared unless it is listed here with a reason: a table in `OUTSIDE`, a column in `NOT_COMPARED`. So a
new column that no event sets makes `audit verify` report every row of its table, and tests fail. Of a private column
(on_file.py) the events state only whether it is empty, since retention must be able to remove its value.

To add an event, write a function decorated with `@after(…)` that adds or changes rows. To add a table or a column, let
an event set it, or list it with a reason.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime
from types import MappingProxyType
from typing import Final, TypeAlias
from uuid import UUID

from sqlalchemy import Column, DateTime, Table

from mediation_api.database import tables as t
from mediation_api.domain import events
from mediation_api.domain.audit_chain import ChainFault, Flaw
from mediation_api.domain.events import Event
from mediation_api.domain.lifecycle import State
from mediation_api.domain.values import (
    AssignmentState,
    DataKind,
    Decision,
    Disposition,
    ErasureState,
    ReportState,
    SessionState,
    Side,
    Standing,
    VoidReason,
)
from mediation_api.repository.on_file import is_private
from mediation_api.repository.retention_places import OF_A_PARTY, PLACES

OUTSIDE: Final[Mapping[Table, str]] = MappingProxyType(
    {
        t.events: "the events themselves: the audit chain covers them",
        t.audit_chain_heads: "the audit chain itself",
        t.unnumbered_events: "the queue of the change feed",
        t.webhook_endpoints: "settings of integrations, which tell of no case",
        t.webhook_deliveries: "what of the change feed was sent to integrations",
        t.change_feed: "the order of the events for those who follow them: each is compared itself",
        t.mails: "mails: none is an event, and each is put together from what is compared",
        t.mail_cursor: "up to which event mails were queued",
        t.access_log: "the access log: reads are not events",
        t.idempotency_keys: "stored responses, kept for two days",
        t.attempt_counters: "counters of the current hour",
        t.imports: "counts of uploads: what is filed of them are events of the complaints",
        t.import_batches: "the lines that are not filed yet",
        t.import_refusals: "the lines that were refused",
        t.job_runs: "when each scheduled command and task last succeeded, for the metrics",
        t.calendar_feeds: "secret addresses of calendars, which expire and change nothing of a case",
        t.data_keys: "wrapped keys: with a wrong one nothing can be decrypted, which is checked",
        t.canaries: "values of the settings' secrets: with a wrong one the service does not start",
        t.staff_names: "names from tokens, for display: the events have the subjects",
        t.disclosures: "shared by all cases: compared with its hash and with the first consent that names it",
        t.visible_parties: "a parent table that must have no rows of its own, which is checked",
        t.visible_participants: "a parent table that must have no rows of its own, which is checked",
    }
)
"""Tables that are not derived from the events of one subject, and why."""

NOT_COMPARED: Final[Mapping[Column[object], str]] = MappingProxyType(
    {
        t.mediators.c.employee_number_index: "computed again from the decrypted employee number",
        t.parties.c.employee_number_index: "computed again from the decrypted employee number",
        t.session_officers.c.employee_number_index: "compared with that of the party",
        t.cases.c.maybe_missed: "computed by the database from other columns of the row",
        t.mandatory_reports.c.category: "part of the hash in the event, which is computed again",
        t.mandatory_reports.c.recipient: "part of the hash in the event, which is computed again",
        t.mandatory_reports.c.disclosed_at: "part of the hash in the event, which is computed again",
    }
)
"""Columns that this module does not compare, and why."""

COMPARED_COLUMNS: Final[Mapping[str, tuple[Column[object], ...]]] = MappingProxyType(
    {
        table.name: tuple(column for column in table.c if column not in NOT_COMPARED)
        for table in t.metadata.sorted_tables
        if table not in OUTSIDE
    }
)
"""Every column of every operative table that is compared, by table."""

RowKey: TypeAlias = tuple[object, ...]


@dataclass(frozen=True, slots=True)
class RecordedEvent:
    """An event as it is stored. Its data may have been tampered with, so that any access to it may fail."""

    stream: UUID
    sequence: int
    kind: str
    complaint_id: str | None
    case_id: str | None
    mediator_id: str | None
    version: int | None
    at: str
    by_role: str
    by: str
    data: Mapping[str, object]

    def __getitem__(self, name: str) -> object:
        """Return a field of the event's data. Raises KeyError."""
        return self.data[name]

    def on_file(self) -> Mapping[str, object]:
        """Return the record on file in the event. Raises KeyError, TypeError."""
        record = self.data["on_file"]
        if not isinstance(record, dict):
            raise TypeError(self.kind)
        return record

    def has(self, name: str) -> bool:
        """Whether a private field of the event has a value. Raises KeyError, TypeError."""
        return _has_value(self.data, name)


@dataclass(slots=True)
class Row:
    """A row as the events leave it, and the event that last set each column."""

    values: dict[str, object] = field(default_factory=dict)
    set_by: dict[str, RecordedEvent] = field(default_factory=dict)

    def set(self, event: RecordedEvent, values: Mapping[str, object]) -> None:
        """Set some columns to the values of an event."""
        self.values.update(values)
        self.set_by.update(dict.fromkeys(values, event))


class Replay:
    """The rows that follow from the events of one subject."""

    def __init__(self) -> None:
        self.rows: dict[str, dict[RowKey, Row]] = {}

    def follow(self, event: RecordedEvent) -> Iterator[ChainFault]:
        """Apply the next event. Yields a fault if its kind is unknown or its data is malformed."""
        try:
            _AFTER[event.kind](self, event)
            if event.case_id is not None:
                self.change(event, t.cases, (event.case_id,), version=event.version)
        except (AttributeError, KeyError, TypeError, ValueError):
            yield ChainFault(Flaw.UNLIKE_EVENT, event.stream, event.sequence, event.kind)

    def compare(self, subject: UUID, table: str, key: RowKey, actual: Mapping[str, object]) -> Iterator[ChainFault]:
        """Compare one stored row with the replayed row, which is then no longer expected."""
        expected = self.rows.get(table, {}).pop(key, None)
        if expected is None:
            yield ChainFault(Flaw.UNLIKE_EVENT, subject, 0, table)
            return
        for column in COMPARED_COLUMNS[table]:
            set_by = expected.set_by.get(column.name)
            if set_by is None:
                yield ChainFault(Flaw.UNLIKE_EVENT, subject, 0, f"{table}.{column.name}")
            elif not _is_same(column, expected.values[column.name], actual[column.name]):
                yield ChainFault(Flaw.UNLIKE_EVENT, set_by.stream, set_by.sequence, f"{table}.{column.name}")

    def missing(self) -> Iterator[ChainFault]:
        """Yield a fault for each replayed row that was compared with no stored row."""
        for table, rows in self.rows.items():
            for row in rows.values():
                set_by = next(iter(row.set_by.values()))
                yield ChainFault(Flaw.UNLIKE_EVENT, set_by.stream, set_by.sequence, table)

    # ── used by the functions below ────────────────────────────────────────────────────────────────────────────────

    def add(self, event: RecordedEvent, table: Table, /, **values: object) -> None:
        """Add a row. Nullable columns that are not named are NULL."""
        row = Row()
        row.set(event, {column.name: False if is_private(column) else None for column in table.c if column.nullable})
        row.set(event, values)
        self.rows.setdefault(table.name, {})[row_key(table, row.values)] = row

    def change(self, event: RecordedEvent, table: Table, key: Iterable[object], /, **values: object) -> None:
        """Change a row. Raises KeyError if there is none."""
        self.rows[table.name][tuple(key)].set(event, values)

    def each(self, table: Table, **values: object) -> Iterator[Row]:
        """Yield the rows of a table that have these values."""
        for row in self.rows.get(table.name, {}).values():
            if all(row.values[name] == value for name, value in values.items()):
                yield row


def row_key(table: Table, values: Mapping[str, object]) -> RowKey:
    """Return the primary key of a row; of an access code, the fingerprint that its event has instead."""
    if table is t.access_codes:
        return (values["fingerprint"],)
    return tuple(values[column.name] for column in table.primary_key.columns)


def _is_same(column: Column[object], expected: object, actual: object) -> bool:
    if isinstance(column.type, DateTime) and isinstance(expected, str) and isinstance(actual, str):
        try:
            return datetime.fromisoformat(expected) == datetime.fromisoformat(actual)
        except ValueError:
            return False  # such as `infinity`
    return type(expected) is type(actual) and expected == actual


def _has_value(record: Mapping[str, object], name: str) -> bool:
    names = record["filled"]
    if not isinstance(names, list):
        raise TypeError(name)
    return name in names


# ── what follows from each event ───────────────────────────────────────────────────────────────────────────────────

After: TypeAlias = Callable[[Replay, RecordedEvent], None]
_AFTER: Final[dict[str, After]] = {}


def after(*kinds: type[Event]) -> Callable[[After], After]:
    """Register the function that applies events of these kinds."""

    def register(function: After) -> After:
        _AFTER.update(dict.fromkeys((kind.kind for kind in kinds), function))
        return function

    return register


def kinds() -> frozenset[str]:
    """Return the kinds of events that this module can replay."""
    return frozenset(_AFTER)


def _who(e: RecordedEvent) -> dict[str, object]:
    return {"at": e.at, "by_role": e.by_role, "by": e.by}


def _record(e: RecordedEvent, table: Table) -> dict[str, object]:
    """Return the columns of a record on file, and of each private column whether it has a value."""
    record = e.on_file()
    private = {
        column.name: _has_value(record, column.name)
        for column in table.c
        if is_private(column) and column not in NOT_COMPARED
    }
    return {name: value for name, value in record.items() if name != "filled"} | private


@after(events.ComplaintFiled)
def _complaint_filed(replay: Replay, e: RecordedEvent) -> None:
    plain = {name: e[name] for name in ("reference", "channel", "interested_in_mediation", "external_reference")}
    record = _record(e, t.complaints)
    replay.add(e, t.complaints, id=e.complaint_id, filed_at=e.at, by_role=e.by_role, by=e.by, **plain, **record)


@after(events.ComplaintCorrected)
def _complaint_corrected(replay: Replay, e: RecordedEvent) -> None:
    replay.change(e, t.complaints, (e.complaint_id,), **_record(e, t.complaints))


@after(events.PartyAdded)
def _party_added(replay: Replay, e: RecordedEvent) -> None:
    record = _record(e, t.parties)
    replay.add(e, t.parties, id=e["party_id"], complaint_id=e.complaint_id, side=e["side"], added_at=e.at, **record)


@after(events.PartyCorrected)
def _party_corrected(replay: Replay, e: RecordedEvent) -> None:
    replay.change(e, t.parties, (e["party_id"],), **_record(e, t.parties))


def _end_codes(replay: Replay, e: RecordedEvent, **of: object) -> None:
    for code in replay.each(t.access_codes, ended_at=None, **of):
        code.set(e, {"ended_at": e.at})


@after(events.AccessCodeIssued)
def _access_code_issued(replay: Replay, e: RecordedEvent) -> None:
    _end_codes(replay, e, party_id=e["party_id"])
    # The fingerprint is a hash of both columns: a row in which either differs does not match it.
    same = dict.fromkeys(("fingerprint", "lookup", "digest"), e["fingerprint"])
    replay.add(e, t.access_codes, party_id=e["party_id"], issued_at=e.at, **same)


@after(events.CaseOpened)
def _case_opened(replay: Replay, e: RecordedEvent) -> None:
    complaint_id = e["complaint_id"]
    replay.add(
        e,
        t.cases,
        id=e["case_id"],
        complaint_id=complaint_id,
        attempt=1 + sum(1 for _ in replay.each(t.cases, complaint_id=complaint_id)),
        state=State.SCREENING.value,
        requested_on=e["requested_on"],
        due_on=e["due_on"],
        opened_at=e.at,
        screening_outdated=False,
    )


@after(events.CoordinatorAssigned)
def _coordinator_assigned(replay: Replay, e: RecordedEvent) -> None:
    replay.change(e, t.cases, (e.case_id,), coordinator=e["coordinator"])


@after(events.StateChanged)
def _state_changed(replay: Replay, e: RecordedEvent) -> None:
    replay.change(e, t.cases, (e.case_id,), state=e["to_state"])


@after(events.CaseClosed)
def _case_closed(replay: Replay, e: RecordedEvent) -> None:
    replay.change(
        e,
        t.cases,
        (e.case_id,),
        state=e["state"],
        closed_at=e.at,
        closed_version=e.version,
        agreement_reached=e["agreement_reached"],
        lapse_reason=e["lapse_reason"],
    )


@after(events.PartyJoined)
def _party_joined(replay: Replay, e: RecordedEvent) -> None:
    seat = {"case_id": e.case_id, "party_id": e["party_id"], "side": e["side"]}
    replay.add(e, t.participants, standing=Standing.WAITING.value, joined_at=e.at, joined_version=e.version, **seat)


@after(events.PartOpened)
def _part_opened(replay: Replay, e: RecordedEvent) -> None:
    pair = {"complainant_id": e["complainant_id"], "officer_id": e["officer_id"]}
    part = {"disposition": Disposition.IN_MEDIATION.value, "removed": False}
    replay.add(e, t.parts, case_id=e.case_id, **part, **pair)


@after(events.PartReturned)
def _part_returned(replay: Replay, e: RecordedEvent) -> None:
    key = (e.case_id, e["complainant_id"], e["officer_id"])
    replay.change(e, t.parts, key, disposition=Disposition.RETURNED_TO_INVESTIGATION.value)


@after(events.PartMediated)
def _part_mediated(replay: Replay, e: RecordedEvent) -> None:
    key = (e.case_id, e["complainant_id"], e["officer_id"])
    mediated = {"disposition": Disposition.CLOSED_MEDIATED.value, "agreement_reached": e["agreement_reached"]}
    replay.change(e, t.parts, key, **mediated)


@after(events.PartyAsked)
def _party_asked(replay: Replay, e: RecordedEvent) -> None:
    key = (e.case_id, e["party_id"])
    asked_at = replay.rows[t.participants.name][key].values["asked_at"] or e.at
    replay.change(e, t.participants, key, standing=Standing.ASKED.value, asked_at=asked_at)


def _release(replay: Replay, e: RecordedEvent, **of: object) -> None:
    for officer in replay.each(t.session_officers, live=True, **of):
        officer.set(e, {"live": False})


def _leave(replay: Replay, e: RecordedEvent, standing: Standing) -> None:
    key = (e.case_id, e["party_id"])
    before = replay.rows[t.participants.name][key].values
    # The standing of a removed party does not change any more, also if it withdraws.
    after_it = Standing.REMOVED if before["standing"] == Standing.REMOVED else standing
    first = {"left_at": before["left_at"] or e.at, "left_version": before["left_version"] or e.version}
    replay.change(e, t.participants, key, standing=after_it.value, **first)


@after(events.GuardianConsented)
def _guardian_consented(replay: Replay, e: RecordedEvent) -> None:
    fields = {name: e[name] for name in ("party_id", "disclosure_sha256", "channel")}
    replay.add(e, t.guardian_consents, id=e["guardian_consent_id"], case_id=e.case_id, **fields, **_who(e))


@after(events.ConsentGiven)
def _consent_given(replay: Replay, e: RecordedEvent) -> None:
    plain = ("party_id", "decision", "disclosure_sha256", "channel", "guardian_consent_id", "replaces")
    fields = {name: e[name] for name in plain}
    replay.add(e, t.consents, id=e["consent_id"], case_id=e.case_id, version=e.version, **fields, **_who(e))
    if e["decision"] == Decision.AGREED:
        replay.change(e, t.participants, (e.case_id, e["party_id"]), standing=Standing.AGREED.value)
    else:
        _leave(replay, e, Standing.DECLINED)


@after(events.ConsentVoided)
def _consent_voided(replay: Replay, e: RecordedEvent) -> None:
    fields = {name: e[name] for name in ("consent_id", "party_id", "reason")}
    replay.add(e, t.voided_consents, case_id=e.case_id, **fields, **_who(e))
    if e["reason"] != VoidReason.PARTY_REMOVED:
        replay.change(e, t.participants, (e.case_id, e["party_id"]), standing=Standing.WAITING.value)


@after(events.GuardianConsentVoided, events.NameCorrected)
def _nothing(replay: Replay, e: RecordedEvent) -> None:
    """Events that change no table: the event itself is the record."""
    del replay, e


@after(events.IdentityBound)
def _identity_bound(replay: Replay, e: RecordedEvent) -> None:
    replay.change(e, t.parties, (e["party_id"],), bound_subject=e.by)


@after(events.IdentityReleased)
def _identity_released(replay: Replay, e: RecordedEvent) -> None:
    replay.change(e, t.parties, (e["party_id"],), bound_subject=None)


@after(events.PartyRemoved)
def _party_removed(replay: Replay, e: RecordedEvent) -> None:
    party_id = e["party_id"]
    replay.change(e, t.parties, (party_id,), removed_at=e.at, removal_reason=e["reason"])
    _end_codes(replay, e, party_id=party_id)
    for side in ("complainant_id", "officer_id"):
        for part in replay.each(t.parts, **{side: party_id}):
            part.set(e, {"removed": True})
    if e.case_id is not None:
        _leave(replay, e, Standing.REMOVED)
        _release(replay, e, party_id=party_id)


@after(events.CaseAtRisk, events.CaseOverdue)
def _deadline_near_or_passed(_replay: Replay, _e: RecordedEvent) -> None:
    """No rows: whether a case is at risk follows from its due date."""


@after(events.ScreeningOutdated)
def _screening_outdated(replay: Replay, e: RecordedEvent) -> None:
    replay.change(e, t.cases, (e.case_id,), screening_outdated=True)


@after(events.PartyWithdrew)
def _party_withdrew(replay: Replay, e: RecordedEvent) -> None:
    fields = {"party_id": e["party_id"], "channel": e["channel"]}
    replay.add(e, t.withdrawals, id=e["withdrawal_id"], case_id=e.case_id, **fields, **_who(e))
    _leave(replay, e, Standing.WITHDRAWN)
    _release(replay, e, party_id=e["party_id"])


@after(events.PartyLapsed)
def _party_lapsed(replay: Replay, e: RecordedEvent) -> None:
    _leave(replay, e, Standing.LAPSED)
    _release(replay, e, party_id=e["party_id"])


@after(events.ContactAttempted)
def _contact_attempted(replay: Replay, e: RecordedEvent) -> None:
    fields = {name: e[name] for name in ("party_id", "channel", "result", "attempted_at")}
    replay.add(e, t.contact_attempts, id=e["attempt_id"], case_id=e.case_id, **fields, **_who(e))


@after(events.CaseScreened)
def _case_screened(replay: Replay, e: RecordedEvent) -> None:
    screening = e["screening"]
    if not isinstance(screening, dict):
        raise TypeError(e.kind)
    replay.add(
        e,
        t.screenings,
        id=e["screening_id"],
        case_id=e.case_id,
        rules_version=screening["version"],
        findings=screening["findings"],
        outcome=screening["outcome"],
        eligible=e["eligible"],
        overridden=e["overridden"],
        reason=e.has("reason"),
        version=e.version,
        **_who(e),
    )
    if e["eligible"] is not None:
        replay.change(e, t.cases, (e.case_id,), screening_outdated=False)


@after(events.ApprovalRecorded)
def _approval_recorded(replay: Replay, e: RecordedEvent) -> None:
    fields = {name: e[name] for name in ("approver", "approved", "unit", "given_on", "channel")}
    given_by = e.has("given_by")
    of = {"id": e["approval_id"], "case_id": e.case_id, "version": e.version}
    replay.add(e, t.approvals, given_by=given_by, **of, **fields, **_who(e))


@after(events.TargetPaused)
def _target_paused(replay: Replay, e: RecordedEvent) -> None:
    fields = {name: e[name] for name in ("reason", "starts_on", "ends_on")}
    replay.add(e, t.pauses, id=e["pause_id"], case_id=e.case_id, **fields, **_who(e))


@after(events.MediatorAdded)
def _mediator_added(replay: Replay, e: RecordedEvent) -> None:
    replay.add(e, t.mediators, id=e["mediator_id"], added_at=e.at, **_record(e, t.mediators))


@after(events.MediatorCorrected)
def _mediator_corrected(replay: Replay, e: RecordedEvent) -> None:
    replay.change(e, t.mediators, (e["mediator_id"],), **_record(e, t.mediators))


@after(events.MediatorProposed)
def _mediator_proposed(replay: Replay, e: RecordedEvent) -> None:
    fields = {"mediator_id": e["mediator_id"], "answer_due_on": e["answer_due_on"]}
    proposed = {"state": AssignmentState.PROPOSED.value, "conflicts": [], "proposed_at": e.at}
    replay.add(e, t.assignments, id=e["assignment_id"], case_id=e.case_id, **fields, **proposed)


_ANSWERED: Final = {
    events.AssignmentAccepted.kind: AssignmentState.ACCEPTED,
    events.AssignmentDeclined.kind: AssignmentState.DECLINED,
    events.AssignmentReleased.kind: AssignmentState.RELEASED,
    events.MediatorRecused.kind: AssignmentState.RECUSED,
    events.ConflictDeclared.kind: AssignmentState.CONFLICTED,
}


@after(
    events.AssignmentAccepted,
    events.AssignmentDeclined,
    events.AssignmentReleased,
    events.MediatorRecused,
    events.ConflictDeclared,
)
def _assignment_answered(replay: Replay, e: RecordedEvent) -> None:
    key = (e["assignment_id"],)
    replay.change(e, t.assignments, key, state=_ANSWERED[e.kind].value, answered_at=e.at)
    if e.kind == events.ConflictDeclared.kind:
        replay.change(e, t.assignments, key, conflicts=e["conflicts"])


@after(events.NotesDestroyed)
def _notes_destroyed(replay: Replay, e: RecordedEvent) -> None:
    replay.change(e, t.assignments, (e["assignment_id"],), notes_destroyed_at=e.at)


@after(events.AttendeeAdded)
def _attendee_added(replay: Replay, e: RecordedEvent) -> None:
    fields = {name: e[name] for name in ("role", "language", "for_party_id")}
    replay.add(e, t.attendees, id=e["attendee_id"], case_id=e.case_id, added_at=e.at, name=True, **fields)


@after(events.AttendeeConfirmed)
def _attendee_confirmed(replay: Replay, e: RecordedEvent) -> None:
    replay.change(e, t.attendees, (e["attendee_id"],), confirmed_at=e.at)


def _meeting(e: RecordedEvent) -> dict[str, object]:
    """The booking: a column for each field but the period. Of a private field it is known whether there is a value."""
    recorded = events.SessionScheduled.recorded_fields()
    names = {each.name for each in fields(events.Booking)} - {"starts_at", "ends_at"}
    return {"during": _during(e), **{name: e[name] if name in recorded else e.has(name) for name in names}}


def _during(e: RecordedEvent) -> list[object]:
    # The lower bound is inclusive, the upper bound exclusive.
    return [_instant(e["starts_at"]), _instant(e["ends_at"]), True, False]


def _instant(value: object) -> object:
    """Return an instant in seconds since 1970, so that different notations of the same instant are equal."""
    if not isinstance(value, str):
        raise TypeError(value)
    return datetime.fromisoformat(value).timestamp()


@after(events.SessionScheduled)
def _session_scheduled(replay: Replay, e: RecordedEvent) -> None:
    fields = {
        "mediator_id": e["mediator_id"],
        "state": SessionState.SCHEDULED.value,
        "scheduled_at": e.at,
        "revision": 0,
    }
    replay.add(e, t.sessions, id=e["session_id"], case_id=e.case_id, **fields, **_meeting(e))
    agreed = {"case_id": e.case_id, "side": Side.OFFICER.value, "standing": Standing.AGREED.value}
    for officer in replay.each(t.participants, **agreed):
        booked = {"session_id": e["session_id"], "party_id": officer.values["party_id"]}
        replay.add(e, t.session_officers, during=_during(e), live=True, **booked)


@after(events.SessionRescheduled)
def _session_rescheduled(replay: Replay, e: RecordedEvent) -> None:
    replay.change(e, t.sessions, (e["session_id"],), **_meeting(e), **_revised(replay, e))
    for officer in replay.each(t.session_officers, session_id=e["session_id"]):
        officer.set(e, {"during": _during(e)})


def _revised(replay: Replay, e: RecordedEvent) -> dict[str, object]:
    revision = replay.rows[t.sessions.name][e["session_id"],].values["revision"]
    if not isinstance(revision, int):
        raise TypeError(revision)
    return {"revision": revision + 1}


@after(events.SessionCancelled)
def _session_cancelled(replay: Replay, e: RecordedEvent) -> None:
    cancelled = {"state": SessionState.CANCELLED.value, **_revised(replay, e)}
    replay.change(e, t.sessions, (e["session_id"],), **cancelled)
    _release(replay, e, session_id=e["session_id"])


@after(events.SessionStarted)
def _session_started(replay: Replay, e: RecordedEvent) -> None:
    session_id = e["session_id"]
    started = {"state": SessionState.IN_PROGRESS.value, "started_at": e.at, "agreement_id": e["agreement_id"]}
    replay.change(e, t.sessions, (session_id,), **started)
    for name, is_present in (("present", True), ("absent", False)):
        seats = e[name]
        if not isinstance(seats, list):
            raise TypeError(e.kind)
        for seat in seats:
            taken = {"seat_role": seat["role"], "seat_id": seat["id"], "present": is_present}
            replay.add(e, t.attendances, session_id=session_id, **taken)


_FINISHED: Final = {
    events.SessionAdjourned.kind: SessionState.ADJOURNED,
    events.SessionCompleted.kind: SessionState.COMPLETED,
    events.SessionEnded.kind: SessionState.ENDED,
}


@after(events.SessionAdjourned, events.SessionCompleted, events.SessionEnded)
def _session_finished(replay: Replay, e: RecordedEvent) -> None:
    key = (e["session_id"],)
    replay.change(e, t.sessions, key, state=_FINISHED[e.kind].value, finished_at=e.at)
    _release(replay, e, session_id=e["session_id"])
    if e.kind == events.SessionEnded.kind:
        replay.change(e, t.sessions, key, end_reason=e["reason"], **_revised(replay, e))


@after(events.AbsenceRecorded)
def _absence_recorded(replay: Replay, e: RecordedEvent) -> None:
    fields = {name: e[name] for name in ("session_id", "party_id", "excused")}
    replay.add(e, t.absences, id=e["absence_id"], case_id=e.case_id, **fields, **_who(e))
    replay.change(e, t.sessions, (e["session_id"],), state=SessionState.MISSED.value)
    _release(replay, e, session_id=e["session_id"])


@after(events.AgreementMade)
def _agreement_made(replay: Replay, e: RecordedEvent) -> None:
    kind = e["agreement_kind"]
    for before in replay.each(t.agreements, case_id=e.case_id, kind=kind, superseded_at=None):
        before.set(e, {"superseded_at": e.at, "superseded_version": e.version})
    fields = {name: e[name] for name in ("number", "template_version", "languages", "sha256", "terms_confidential")}
    made = {"id": e["agreement_id"], "made_at": e.at, "version": e.version}
    replay.add(e, t.agreements, case_id=e.case_id, kind=kind, text=True, **made, **fields)


@after(events.AgreementSigned)
def _agreement_signed(replay: Replay, e: RecordedEvent) -> None:
    fields = {name: e[name] for name in ("agreement_id", "sha256", "method")}
    signer = e["signer"]
    if not isinstance(signer, dict):
        raise TypeError(e.kind)
    by = {"signer_role": signer["role"], "signer_id": signer["id"]}
    name = e.has("signer_name")
    replay.add(e, t.signatures, id=e["signature_id"], case_id=e.case_id, signer_name=name, **fields, **by, **_who(e))


@after(events.AgreementSuperseded)
def _agreement_superseded(replay: Replay, e: RecordedEvent) -> None:
    replay.change(e, t.agreements, (e["agreement_id"],), superseded_at=e.at, superseded_version=e.version)


@after(events.DataPurged)
def _data_purged(replay: Replay, e: RecordedEvent) -> None:
    kind, texts, party_id = DataKind(str(e["data"])), e["agreements"], e["party_id"]
    if not isinstance(texts, list):
        raise TypeError(e.kind)
    for agreement_id in texts:
        replay.change(e, t.agreements, (agreement_id,), text=False, purged_at=e.at)
    if kind is DataKind.IDENTITY and party_id is None:
        _end_codes(replay, e)
    for place in PLACES[kind]:
        if place.table is t.agreements or (party_id is not None and place.table not in OF_A_PARTY):
            continue
        emptied = {name: False for name in place.empty if place.table.c[name] not in NOT_COMPARED}
        of = {} if party_id is None else {OF_A_PARTY[place.table].name: party_id}
        for row in replay.each(place.table, **of):
            row.set(e, emptied)


@after(events.HoldPlaced)
def _hold_placed(replay: Replay, e: RecordedEvent) -> None:
    placed = {"reason": e["reason"], "placed_at": e.at, "placed_by": e.by}
    replay.add(e, t.legal_holds, id=e["hold_id"], complaint_id=e.complaint_id, **placed)


@after(events.HoldLifted)
def _hold_lifted(replay: Replay, e: RecordedEvent) -> None:
    replay.change(e, t.legal_holds, (e["hold_id"],), lifted_at=e.at, lifted_by=e.by)


@after(events.ErasureRequested)
def _erasure_requested(replay: Replay, e: RecordedEvent) -> None:
    requested = {"state": ErasureState.REQUESTED.value, "requested_at": e.at, "requested_by": e.by}
    replay.add(e, t.erasures, id=e["erasure_id"], party_id=e["party_id"], **requested)


@after(events.ErasureApproved, events.ErasureRefused)
def _erasure_decided(replay: Replay, e: RecordedEvent) -> None:
    refused = e.kind == events.ErasureRefused.kind
    if not refused:
        _end_codes(replay, e, party_id=e["party_id"])
    replay.change(
        e,
        t.erasures,
        (e["erasure_id"],),
        state=(ErasureState.REFUSED if refused else ErasureState.APPROVED).value,
        decided_at=e.at,
        decided_by=e.by,
        refusal=e["reason"] if refused else None,
    )


@after(events.MandatoryReportProposed)
def _report_proposed(replay: Replay, e: RecordedEvent) -> None:
    proposed = {"proposed_at": e.at, "proposed_by_role": e.by_role, "proposed_by": e.by}
    contents = {"agency": True, "legal_basis": True}
    state = ReportState.PROPOSED.value
    replay.add(e, t.mandatory_reports, id=e["report_id"], case_id=e["case_id"], state=state, **proposed, **contents)


@after(events.MandatoryReportFiled, events.MandatoryReportDropped)
def _report_decided(replay: Replay, e: RecordedEvent) -> None:
    dropped = e.kind == events.MandatoryReportDropped.kind
    replay.change(
        e,
        t.mandatory_reports,
        (e["report_id"],),
        state=(ReportState.DROPPED if dropped else ReportState.FILED).value,
        decided_at=e.at,
        decided_by_role=e.by_role,
        decided_by=e.by,
        drop_reason=e["reason"] if dropped else None,
    )
