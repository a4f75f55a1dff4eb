"""The table of moves: what it holds, that nothing else moves a case, and that the README shows the same."""

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
    ("event", "target"), [(Trigger.SIDE_WITHDREW, State.WITHDRAWN), (Trigger.SIDE_LAPSED, State.LAPSED)]
)
def test_every_open_state_can_be_left(state: State, event: Trigger, target: State) -> None:
    assert target_of(state, event) is target


def test_leaving_is_one_rule_over_all_open_states() -> None:
    """A list of states would be one to forget a state in."""
    leaving = {move.trigger for move in TRANSITIONS if move.sources == OPEN}
    assert leaving == {Trigger.SIDE_WITHDREW, Trigger.SIDE_LAPSED}


@pytest.mark.parametrize("state", sorted(CLOSED))
@pytest.mark.parametrize("event", list(Trigger))
def test_nothing_moves_a_closed_case(state: State, event: Trigger) -> None:
    with pytest.raises(CaseNotOpen):
        target_of(state, event)


@given(st.sampled_from(sorted(OPEN)), st.sampled_from(list(Trigger)))
def test_what_the_table_does_not_hold_is_refused(state: State, event: Trigger) -> None:
    rows = [move for move in TRANSITIONS if move.trigger is event and state in move.sources]
    if rows:
        assert target_of(state, event) is rows[0].target
    else:
        with pytest.raises(StateConflict):
            target_of(state, event)


def test_each_event_has_one_row() -> None:
    assert sorted(move.trigger for move in TRANSITIONS) == sorted(Trigger)


def test_no_move_starts_in_a_closed_state() -> None:
    assert all(move.sources <= OPEN for move in TRANSITIONS)


def test_a_mediated_case_has_been_in_session() -> None:
    """The straight way, step by step: no move leaves one out, but for those that need a completed session.

    Their gate is in domain/closing.py and in `Case.after_session`.
    """
    first = [
        move
        for move in TRANSITIONS
        if move.trigger not in {Trigger.FURTHER_SESSION_CALLED_OFF, Trigger.CLOSED_AS_MEDIATED}
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
        assert any(earlier in move.sources and move.target is later for move in TRANSITIONS)
        skipped = [s for s in way[: way.index(earlier)] if any(s in m.sources and m.target is later for m in first)]
        assert skipped == []


def test_every_state_can_be_reached() -> None:
    reached = {State.SCREENING}
    for _ in State:
        reached |= {move.target for move in TRANSITIONS if move.sources & reached}
    assert reached == set(State)


def test_answers_are_sealed_until_ready_and_shared_from_then_on_unless_it_fails() -> None:
    assert sorted(ANSWERS_SEALED) == ["asking", "confirming", "screening"]
    assert sorted(PEERS_VISIBLE) == ["concluded", "in_session", "mediated", "ready", "scheduled"]


def test_the_diagram_draws_every_move_once() -> None:
    lines = diagram().splitlines()
    assert lines[:2] == ["stateDiagram-v2", "    [*] --> screening"]
    assert len(lines) == len(set(lines))
    for move in TRANSITIONS:
        sources = ["any_open_state"] if move.sources == OPEN else move.sources
        for source in sources:
            assert f"    {source} --> {move.target}: {move.trigger}" in lines
    drawn = sum(1 if move.sources == OPEN else len(move.sources) for move in TRANSITIONS)
    assert len(lines) == 2 + drawn + len(CLOSED)


def test_the_readme_shows_this_diagram() -> None:
    readme = README.read_text(encoding="utf-8")
    between = readme.partition("<!-- lifecycle -->")[2].partition("<!-- /lifecycle -->")[0]
    assert between.strip() == f"```mermaid\n{diagram()}\n```"
