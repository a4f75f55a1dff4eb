"""The audit chain: what a link is made of, and what an examination finds.

That the database links alike is tests/repository/test_audit_verification.py.
"""

from collections.abc import Iterable
from dataclasses import replace
from hashlib import sha256
from uuid import UUID

import pytest

from mediation_api.domain import audit_chain
from mediation_api.domain.audit_chain import START, ChainEntry, ChainFault, ChainHead, Examination, Flaw, fits, link

CASE, LATER = UUID(int=1), UUID(int=2)
NOON = 1_772_481_600_000_000


def entry(sequence: int, stream: UUID = CASE, **changes: object) -> ChainEntry:
    """An event of a case, not linked yet."""
    plain = ChainEntry(
        stream=stream,
        sequence=sequence,
        link=None,
        position=100 + sequence,
        id=UUID(int=1000 + sequence),
        kind="party.asked",
        complaint_id=None,
        case_id=stream,
        mediator_id=None,
        party_id=UUID(int=7),
        version=3,
        at=str(NOON + sequence),
        by_role="intake",
        by="intake.1",
        data='{"party_id": "00000000-0000-0000-0000-000000000007"}',
    )
    return replace(plain, **changes)  # type: ignore[arg-type] # the test says which


def linked(*entries: ChainEntry, after: bytes = START) -> list[ChainEntry]:
    """The same, each with its link."""
    done = []
    for each in entries:
        after = link(after, each)
        done.append(replace(each, link=after))
    return done


def head_of(entries: list[ChainEntry]) -> ChainHead:
    last = entries[-1]
    assert last.sequence is not None
    assert last.link is not None
    return ChainHead(last.stream, last.sequence, last.link)


def found(rows: Iterable[tuple[UUID, ChainHead | None, ChainEntry | None]], *exported: ChainHead) -> list[ChainFault]:
    examination = Examination(iter(exported))
    problems = [problem for row in rows for problem in examination.follow(*row)]
    return [*problems, *examination.finish()]


def beside(
    head: ChainHead | None, entries: Iterable[ChainEntry]
) -> list[tuple[UUID, ChainHead | None, ChainEntry | None]]:
    return [(each.stream, head, each) for each in entries]


WHOLE = linked(*(entry(n) for n in range(1, 6)))
HEAD = head_of(WHOLE)


def test_the_format_of_a_link_stays_what_it_is() -> None:
    """Links that were written once are compared for ever: this value was computed with sha256sum."""
    assert link(START, entry(1)).hex() == "91a791a98dafa5d60f0efd77237d8a43da8c43445277c7218e33f922a5117679"
    assert fits(START, WHOLE[0])


def test_names_in_an_object_are_ordered_as_in_jsonb() -> None:
    one, other = ('{"b": 1, "aa": {"d": [1, {}], "c": null}, "é": true}', '{"é":true,"aa":{"c":null,"d":[1,{}]},"b":1}')
    assert link(START, entry(1, data=one)) == link(START, entry(1, data=other))


def test_a_link_is_the_hash_of_the_text_that_the_format_says() -> None:
    """By length in bytes and then bytewise, as it is written and not escaped."""
    text = (
        '[1, "ab", "00000000-0000-0000-0000-000000000001", 1, 101, "00000000-0000-0000-0000-0000000003e9", '
        '"party.asked", null, "00000000-0000-0000-0000-000000000001", null, "00000000-0000-0000-0000-000000000007", '
        '3, 1772481600000001, "intake", "intake.1", {"c": "ñ", "aa": {"z": 1, "é": 2, "abc": 3}, "zz": 0}]'
    )
    event = entry(1, data='{"aa": {"abc": 3, "z": 1, "é": 2}, "zz": 0, "c": "ñ"}')
    assert link(b"\xab", event) == sha256(text.encode()).digest()


@pytest.mark.parametrize(
    "changes",
    [
        {"stream": LATER},
        {"sequence": 2},
        {"position": 7},
        {"id": LATER},
        {"kind": "party.lapsed"},
        {"complaint_id": CASE},
        {"case_id": None},
        {"mediator_id": CASE},
        {"party_id": None},
        {"version": 4},
        {"at": str(NOON)},
        {"by_role": "director"},
        {"by": "intake.2"},
        {"data": "{}"},
        {"data": '{"party_id": "00000000-0000-0000-0000-000000000008"}'},
    ],
    ids=str,
)
def test_a_link_covers_everything(changes: dict[str, object]) -> None:
    assert link(START, replace(entry(1), **changes)) != link(START, entry(1))  # type: ignore[arg-type] # as above


def test_a_link_covers_the_one_before() -> None:
    assert link(b"\0" * 32, entry(1)) != link(START, entry(1))


@pytest.mark.parametrize(
    "data", ["1.5", "1.0", "{", "[" * 100_000, '"\\ud800"', "9" * 5_000], ids=lambda data: data[:8]
)
def test_what_no_event_holds_fits_nowhere(data: str) -> None:
    assert not fits(START, entry(1, data=data, link=b"\0" * 32))


@pytest.mark.parametrize("fraction", ["1.5", "1.0", "1e2"])
def test_a_fraction_has_no_link(fraction: str) -> None:
    with pytest.raises(ValueError, match=f"^{fraction}$"):
        link(START, entry(1, data=f'{{"a": [{fraction}]}}'))


@pytest.mark.parametrize("at", ["Infinity", "1.5", ""])
def test_a_time_that_is_none_fits_nowhere(at: str) -> None:
    assert not fits(START, entry(1, at=at, link=b"\0" * 32))


def test_a_whole_chain_has_no_problem() -> None:
    examination = Examination(iter(()))
    for row in beside(HEAD, WHOLE):
        assert list(examination.follow(*row)) == []
    assert list(examination.finish()) == []
    assert (examination.events, examination.streams) == (5, 1)


def test_nothing_is_a_whole_chain() -> None:
    assert found([]) == []


def test_one_edit_is_one_problem() -> None:
    bent = [*WHOLE]
    bent[1] = replace(bent[1], by="somebody.else")
    assert found(beside(HEAD, bent)) == [ChainFault(Flaw.CHANGED, CASE, 2)]


def test_an_edit_with_a_new_link_shows_in_the_next_event() -> None:
    bent = [*WHOLE]
    bent[1:2] = linked(replace(bent[1], by="somebody.else"), after=bent[0].link or START)
    assert found(beside(HEAD, bent)) == [ChainFault(Flaw.CHANGED, CASE, 3)]


def test_a_deleted_event_is_missing() -> None:
    assert found(beside(HEAD, [*WHOLE[:1], *WHOLE[2:]])) == [ChainFault(Flaw.MISSING, CASE, 3)]
    assert found(beside(HEAD, WHOLE[1:])) == [ChainFault(Flaw.MISSING, CASE, 2)]


def test_a_tail_that_was_cut_off_is_missing() -> None:
    assert found(beside(HEAD, WHOLE[:3])) == [ChainFault(Flaw.CUT_OFF, CASE, 3)]


def test_a_stream_of_which_only_the_head_is_left_is_cut_off() -> None:
    assert found([(CASE, HEAD, None)]) == [ChainFault(Flaw.CUT_OFF, CASE, 0)]


def test_a_stream_without_a_head_or_beyond_it_shows() -> None:
    assert found(beside(None, WHOLE)) == [ChainFault(Flaw.BEYOND_HEAD, CASE, 5)]
    assert found(beside(head_of(WHOLE[:4]), WHOLE)) == [ChainFault(Flaw.BEYOND_HEAD, CASE, 5)]


def test_a_head_that_was_changed_shows() -> None:
    assert found(beside(replace(HEAD, link=b"\0" * 32), WHOLE)) == [ChainFault(Flaw.HEAD_DIFFERS, CASE, 5)]


def test_events_in_another_order_do_not_fit() -> None:
    one, two, *rest = WHOLE
    swapped = [replace(two, sequence=1, link=one.link), replace(one, sequence=2, link=two.link), *rest]
    assert found(beside(HEAD, swapped)) == [ChainFault(Flaw.CHANGED, CASE, 1), ChainFault(Flaw.CHANGED, CASE, 2)]


def test_a_second_event_in_a_place_shows() -> None:
    again = replace(WHOLE[2], id=LATER)
    assert found(beside(HEAD, [*WHOLE[:3], again, *WHOLE[3:]])) == [ChainFault(Flaw.REPEATED, CASE, 3)]


def test_an_event_that_was_never_linked_shows() -> None:
    for place in ({"sequence": None, "link": None}, {"sequence": None}, {"link": None}):
        loose = replace(WHOLE[0], **place)  # type: ignore[arg-type] # as above
        assert found(beside(HEAD, [*WHOLE, loose])) == [ChainFault(Flaw.UNLINKED, CASE, 5)]


def test_each_stream_is_a_chain_of_its_own() -> None:
    other = linked(*(entry(n, LATER) for n in range(1, 3)))
    examination = Examination(iter([head_of(other)]))  # of the later one alone
    for row in [*beside(HEAD, WHOLE), *beside(head_of(other), other)]:
        assert list(examination.follow(*row)) == []
    assert list(examination.finish()) == []
    assert (examination.events, examination.streams) == (7, 2)
    assert found([*beside(HEAD, WHOLE[:4]), *beside(head_of(other), other)]) == [ChainFault(Flaw.CUT_OFF, CASE, 4)]


def rewritten() -> list[ChainEntry]:
    """The same stream with its second event edited, by somebody who may compute links as well."""
    return [WHOLE[0], *linked(replace(WHOLE[1], by="somebody.else"), *WHOLE[2:], after=WHOLE[0].link or START)]


def test_a_chain_that_was_rewritten_shows_beside_an_exported_head_only() -> None:
    anew = rewritten()
    assert found(beside(head_of(anew), anew)) == []
    assert found(beside(head_of(anew), anew), head_of(WHOLE[:3])) == [ChainFault(Flaw.UNLIKE_EXPORT, CASE, 3)]


def test_a_chain_that_has_gone_on_fits_an_exported_head() -> None:
    assert found(beside(HEAD, WHOLE), head_of(WHOLE[:3])) == []


def test_a_stream_that_was_exported_further_shows() -> None:
    short = WHOLE[:3]
    assert found(beside(head_of(short), short), HEAD) == [ChainFault(Flaw.NOT_AS_FAR_AS_EXPORT, CASE, 3)]


def test_exported_streams_that_are_gone_show_wherever_they_stood() -> None:
    gone = [replace(HEAD, stream=UUID(int=n)) for n in (0, 3, 9)]
    other = linked(*(entry(n, LATER) for n in range(1, 3)))
    rows = [*beside(HEAD, WHOLE), *beside(head_of(other), other)]
    exported = sorted([*gone, HEAD, head_of(other)], key=lambda head: head.stream)
    assert found(rows, *exported) == [ChainFault(Flaw.NOT_AS_FAR_AS_EXPORT, each.stream, 5) for each in gone]
    assert found([], *gone) == [ChainFault(Flaw.NOT_AS_FAR_AS_EXPORT, each.stream, 5) for each in gone]


def test_each_exported_head_of_a_stream_is_compared() -> None:
    """The last one alone is that of a chain that was rewritten and then went on."""
    anew = rewritten()
    assert found(beside(HEAD, WHOLE), head_of(WHOLE[:2]), head_of(WHOLE[:3]), HEAD) == []
    assert found(beside(head_of(anew), anew), head_of(WHOLE[:3]), head_of(anew)) == [
        ChainFault(Flaw.UNLIKE_EXPORT, CASE, 3)
    ]
    gone = [head_of(WHOLE[:3]), HEAD]
    assert found([], *gone) == [ChainFault(Flaw.NOT_AS_FAR_AS_EXPORT, CASE, 5)]


def test_an_event_under_a_position_that_was_exported_is_in_the_export() -> None:
    """Positions are 101 and up."""
    heads = [head_of(WHOLE[:2]), head_of(WHOLE[:3])]
    for exported_to, faults in ((103, []), (104, [4]), (105, [4, 5])):
        examination = Examination(iter(heads), exported_to=exported_to)
        problems = [problem for row in beside(HEAD, WHOLE) for problem in examination.follow(*row)]
        assert problems == [ChainFault(Flaw.NOT_IN_EXPORT, CASE, sequence) for sequence in faults]


def test_a_problem_is_one_line_and_names_nobody() -> None:
    assert str(ChainFault(Flaw.CUT_OFF, CASE, 3)) == "00000000-0000-0000-0000-000000000001 3 cut-off"


def test_without_the_comparison_of_links_an_edit_goes_unnoticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tests above prove something."""
    monkeypatch.setattr(audit_chain, "fits", lambda _previous, _entry: True)
    bent = [*WHOLE]
    bent[1] = replace(bent[1], by="somebody.else")
    assert found(beside(HEAD, bent)) == []


def test_a_problem_is_one_line_that_may_name_a_column() -> None:
    assert str(ChainFault(Flaw.CHANGED, CASE, 2)) == f"{CASE} 2 changed"
    assert str(ChainFault(Flaw.UNLIKE_EVENT, CASE, 3, "cases.state")) == f"{CASE} 3 unlike-event cases.state"
