"""The table of transitions: what it holds, that nothing else changes a state, and that the README shows the same."""

from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mediation_api.domain.errors import CaseNotOpen, StateConflict
from mediation_api.domain.lifecycle import (
    ANSWERS_SEALED,
    CLOSED,
    OPEN,
    PEERS_VISIBLE,
    TRANSITIONS,
    State,
    Trigger,
    diagram,
    target_of,
)

README = Path(__file__).parents[2] / "README.md"


def test_there_are_seven_open_and_six_closed_states() -> None:
    assert {state.value for state in OPEN} == {
        "screening",
        "confirming",
        "asking",
        "ready",
        "scheduled",
        "in_session",
        "concluded",
    }
    assert {state.value for state in CLOSED} == {
        "mediated",
        "ineligible",
        "declined",
        "withdrawn",
        "ended",
        "lapsed",
    }
    assert all(state.is_open for state in OPEN)
    assert not any(state.is_open for state in CLOSED)


@pytest.mark.parametrize("state", sorted(OPEN))
@pytest.mark.parametrize(
    ("trigger", "target"), [(Trigger.SIDE_WITHDREW, State.WITHDRAWN), (Trigger.SIDE_LAPSED, State.LAPSED)]
)
def test_every_open_state_can_be_left(state: State, trigger: Trigger, target: State) -> None:
    assert target_of(state, trigger) is target


def test_leaving_is_one_rule_over_all_open_states() -> None:
    """A list of states would be one to forget a state in."""
    leaving = {row.trigger for row in TRANSITIONS if row.sources == OPEN}
    assert leaving == {Trigger.SIDE_WITHDREW, Trigger.SIDE_LAPSED}


@pytest.mark.parametrize("state", sorted(CLOSED))
@pytest.mark.parametrize("trigger", list(Trigger))
def test_nothing_changes_a_closed_case(state: State, trigger: Trigger) -> None:
    with pytest.raises(CaseNotOpen):
        target_of(state, trigger)


@given(st.sampled_from(sorted(OPEN)), st.sampled_from(list(Trigger)))
def test_what_the_table_does_not_hold_is_refused(state: State, trigger: Trigger) -> None:
    rows = [row for row in TRANSITIONS if row.trigger is trigger and state in row.sources]
    if rows:
        assert target_of(state, trigger) is rows[0].target
    else:
        with pytest.raises(StateConflict):
            target_of(state, trigger)


def test_each_trigger_has_one_row() -> None:
    assert sorted(row.trigger for row in TRANSITIONS) == sorted(Trigger)


def test_no_transition_starts_in_a_closed_state() -> None:
    assert all(row.sources <= OPEN for row in TRANSITIONS)


def test_a_mediated_case_has_been_in_session() -> None:
    """The straight way, step by step: no transition leaves one out, but for those that need a completed session.

    Their gate is in domain/closing.py and in `Case.after_session`.
    """
    first = [
        row
        for row in TRANSITIONS
        if row.trigger not in {Trigger.FURTHER_SESSION_CALLED_OFF, Trigger.CLOSED_AS_MEDIATED}
    ]
    way = [
        State.SCREENING,
        State.CONFIRMING,
        State.ASKING,
        State.READY,
        State.SCHEDULED,
        State.IN_SESSION,
        State.CONCLUDED,
        State.MEDIATED,
    ]
    for earlier, later in pairwise(way):
        assert any(earlier in row.sources and row.target is later for row in TRANSITIONS)
        skipped = [
            s for s in way[: way.index(earlier)] if any(s in row.sources and row.target is later for row in first)
        ]
        assert skipped == []


def test_every_state_can_be_reached() -> None:
    reached = {State.SCREENING}
    for _ in State:
        reached |= {row.target for row in TRANSITIONS if row.sources & reached}
    assert reached == set(State)


def test_answers_are_sealed_until_ready_and_shared_from_then_on_unless_it_fails() -> None:
    assert sorted(ANSWERS_SEALED) == ["asking", "confirming", "screening"]
    assert sorted(PEERS_VISIBLE) == ["concluded", "in_session", "mediated", "ready", "scheduled"]


def test_the_diagram_draws_every_transition_once() -> None:
    lines = diagram().splitlines()
    assert lines[:2] == ["stateDiagram-v2", "    [*] --> screening"]
    assert len(lines) == len(set(lines))
    for row in TRANSITIONS:
        sources = ["any_open_state"] if row.sources == OPEN else row.sources
        for source in sources:
            assert f"    {source} --> {row.target}: {row.trigger}" in lines
    drawn = sum(1 if row.sources == OPEN else len(row.sources) for row in TRANSITIONS)
    assert len(lines) == 2 + drawn + len(CLOSED)


def test_the_readme_shows_this_diagram() -> None:
    readme = README.read_text(encoding="utf-8")
    between = readme.partition("<!-- lifecycle -->")[2].partition("<!-- /lifecycle -->")[0]
    assert between.strip() == f"```mermaid\n{diagram()}\n```"
