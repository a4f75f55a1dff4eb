"""The schedule: what is held has a rule, and what is emptied leaves a tombstone that tells nothing."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Final
from uuid import UUID

import pytest
from tests.domain.cases import AGREEMENT, AT, COMPLAINT, DIRECTOR, ROSA

from mediation_api.domain.errors import DataErased, SecondPersonRequired, StateConflict, UnderLegalHold
from mediation_api.domain.events import (
    DataPurged,
    ErasureApproved,
    ErasureRefused,
    ErasureRequested,
    HoldLifted,
    HoldPlaced,
    Visibility,
)
from mediation_api.domain.retention import (
    DEFAULT_DAYS,
    EMPTIED,
    ERASED,
    SCHEDULE,
    Erasure,
    LegalHold,
    Periods,
    Start,
    place_hold,
    purged,
    request_erasure,
    require_held,
    retention_page,
)
from mediation_api.domain.values import DataKind, ErasureRefusal, ErasureState, HoldReason, PurgeReason

OTHER = UUID(int=4)


def test_every_kind_of_data_has_one_rule_in_whole_sentences() -> None:
    assert set(SCHEDULE) == set(DataKind)
    for rule in SCHEDULE.values():
        for sentence in (rule.what, rule.why, rule.until):
            assert sentence[0].isupper()
            assert sentence.endswith(".")


def test_what_tells_of_people_is_emptied_and_the_record_is_kept() -> None:
    assert set(EMPTIED) == {
        DataKind.RESOLUTION_TERMS,
        DataKind.CONTACT,
        DataKind.NEEDS,
        DataKind.ACCOUNT,
        DataKind.IDENTITY,
    }
    for kind, rule in SCHEDULE.items():
        is_emptied = kind in EMPTIED
        assert is_emptied == rule.until.startswith("Emptied.")
        has_period = is_emptied or kind in {DataKind.ACCESS_LOG, DataKind.IMPORT, DataKind.MAIL, DataKind.WEBHOOK}
        assert has_period == bool(rule.setting) == (rule.days > 0) == (rule.start is not None)


def test_terms_go_thirty_days_after_their_case_and_all_else_counts_from_the_complaint() -> None:
    assert DEFAULT_DAYS == {
        "keep_access_log_days": 3650,
        "keep_imports_days": 30,
        "keep_deliveries_days": 30,
        "keep_terms_days": 30,
        "keep_contact_days": 1095,
        "keep_account_days": 3650,
        "keep_identity_days": 3650,
        "keep_mail_days": 365,
    }
    starts = {kind: SCHEDULE[kind].start for kind in EMPTIED}
    assert {kind for kind, start in starts.items() if start is Start.CASE_CLOSED} == {DataKind.RESOLUTION_TERMS}


def test_two_kinds_under_one_setting_have_one_default() -> None:
    for name, days in DEFAULT_DAYS.items():
        assert {rule.days for rule in SCHEDULE.values() if rule.setting == name} == {days}


@pytest.mark.parametrize("kind", EMPTIED)
def test_a_period_is_of_calendar_days(kind: DataKind) -> None:
    days = {name: n for n, name in enumerate(DEFAULT_DAYS, 1)}
    assert Periods(days).ended_before(kind, AT) == AT - timedelta(days=days[SCHEDULE[kind].setting])


def test_a_tombstone_says_how_much_went_and_nothing_of_what() -> None:
    tombstone = purged(DataKind.RESOLUTION_TERMS, PurgeReason.SCHEDULE, fields=2, agreements=[AGREEMENT, OTHER])
    assert tombstone == (
        DataPurged(
            data=DataKind.RESOLUTION_TERMS,
            why=PurgeReason.SCHEDULE,
            party_id=None,
            fields=2,
            agreements=(OTHER, AGREEMENT),
        ),
    )
    assert DataPurged.visibility is Visibility.STAFF
    (contact,) = purged(DataKind.CONTACT, PurgeReason.SCHEDULE, fields=1)
    assert contact.agreements == ()


def test_where_nothing_went_there_is_no_tombstone() -> None:
    assert purged(DataKind.CONTACT, PurgeReason.SCHEDULE, fields=0) == ()


def test_a_hold_is_lifted_once() -> None:
    hold = LegalHold(hold_id=OTHER, complaint_id=COMPLAINT, lifted=False)
    assert place_hold(OTHER, HoldReason.LITIGATION) == HoldPlaced(hold_id=OTHER, reason=HoldReason.LITIGATION)
    assert hold.lift() == HoldLifted(hold_id=OTHER)
    with pytest.raises(StateConflict):
        replace(hold, lifted=True).lift()


REQUESTED = Erasure(
    erasure_id=AGREEMENT,
    party_id=ROSA,
    complaint_id=COMPLAINT,
    state=ErasureState.REQUESTED,
    requested_by="intake.1",
    held=False,
    case_is_open=False,
    only_complainant=False,
)
FILLED: Final = {DataKind.CONTACT: 3, DataKind.NEEDS: 0, DataKind.IDENTITY: 2, DataKind.ACCOUNT: 1}
APPROVED: Final = ErasureApproved(erasure_id=AGREEMENT, party_id=ROSA)


def tombstone(data: DataKind, fields: int, party_id: UUID | None = ROSA) -> DataPurged:
    return DataPurged(data=data, why=PurgeReason.REQUEST, party_id=party_id, fields=fields, agreements=())


def test_a_second_person_approves_an_erasure() -> None:
    assert request_erasure(AGREEMENT, ROSA) == ErasureRequested(erasure_id=AGREEMENT, party_id=ROSA)
    own = (tombstone(DataKind.CONTACT, 3), tombstone(DataKind.IDENTITY, 2))
    assert REQUESTED.approve(FILLED, by=DIRECTOR) == (APPROVED, *own)
    alone = replace(REQUESTED, only_complainant=True)
    assert alone.approve(FILLED, by=DIRECTOR) == (APPROVED, *own, tombstone(DataKind.ACCOUNT, 1, None))
    with pytest.raises(SecondPersonRequired):
        replace(REQUESTED, requested_by=DIRECTOR.subject).approve(FILLED, by=DIRECTOR)


def test_a_hold_and_an_open_case_stand_against_an_erasure() -> None:
    with pytest.raises(UnderLegalHold) as refused:
        replace(REQUESTED, held=True, case_is_open=True).approve(FILLED, by=DIRECTOR)
    assert refused.value.code == "under-legal-hold"
    with pytest.raises(StateConflict):
        replace(REQUESTED, case_is_open=True).approve(FILLED, by=DIRECTOR)


def test_whoever_decides_may_refuse_whatever_stands_against_it() -> None:
    held = replace(REQUESTED, held=True, case_is_open=True, requested_by=DIRECTOR.subject)
    refused = ErasureRefused(erasure_id=AGREEMENT, party_id=ROSA, reason=ErasureRefusal.PUBLIC_RECORD)
    assert held.refuse(ErasureRefusal.PUBLIC_RECORD) == refused


@pytest.mark.parametrize("state", [ErasureState.APPROVED, ErasureState.REFUSED])
def test_an_erasure_is_decided_once(state: ErasureState) -> None:
    decided = replace(REQUESTED, state=state)
    with pytest.raises(StateConflict):
        decided.approve(FILLED, by=DIRECTOR)
    with pytest.raises(StateConflict):
        decided.refuse(ErasureRefusal.WITHDRAWN)


def test_an_erasure_is_of_what_tells_who_somebody_is() -> None:
    assert set(ERASED) == {DataKind.CONTACT, DataKind.NEEDS, DataKind.IDENTITY}


def test_the_page_of_the_docs_is_the_schedule() -> None:
    assert Path("docs/retention.md").read_text(encoding="utf-8") == retention_page(), "make generate"
    rows = retention_page().splitlines()
    assert sum(row.startswith("| `") for row in rows) == len(DataKind)
    assert "| The close of the case. | 30 (`MEDIATION_KEEP_TERMS_DAYS`) | Emptied. " in retention_page()
    assert "| To show that the duty was met. |  |  | Kept " in retention_page()


def test_the_words_of_a_tombstone_do_not_change() -> None:
    assert set(PurgeReason) == {"schedule", "request"}
    assert set(ErasureRefusal) == {"public_record", "identity_unproven", "withdrawn"}
    assert set(HoldReason) == {"litigation", "records_request", "investigation"}
    assert set(EMPTIED) == {"resolution_terms", "contact", "needs", "account", "identity"}


def test_what_was_erased_is_not_held_and_what_was_not_is() -> None:
    require_held("Rosa Alvarez")
    with pytest.raises(DataErased):
        require_held("")
