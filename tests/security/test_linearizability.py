"""The checker of concurrent histories: what it lets pass, and what it finds. The register here is a number."""

import math
from collections.abc import Iterator

import pytest
from tests.security.linearizability import Operation, violation

Ask = tuple[str, int]
Register = Operation[Ask, int]

READ = ("read", 0)


def register(state: int, asked: Ask, answer: int | None) -> Iterator[int]:
    """A number that is read, written, or added to; a write and an addition answer with what it was before."""
    what, value = asked
    if what == "read":
        if answer in {None, state}:
            yield state
        return
    if answer in {None, state}:
        yield value if what == "write" else state + value


def write(value: int, called: float, answered: float = math.inf, was: int | None = 0) -> Register:
    return Operation(0, ("write", value), called, answered, None if answered == math.inf else was)


def add(value: int, called: float, answered: float, was: int) -> Register:
    return Operation(1, ("add", value), called, answered, was)


def read(value: int, called: float, answered: float) -> Register:
    return Operation(2, READ, called, answered, value)


LINEAR = {
    "nothing": [],
    "one after the other": [write(1, 0, 1), read(1, 2, 3), add(2, 4, 5, 1), read(3, 6, 7)],
    "a read during a write sees the old": [write(1, 0, 3), read(0, 1, 2)],
    "or the new": [write(1, 0, 3), read(1, 1, 2)],
    "or first one and then the other": [write(1, 0, 9), read(0, 1, 2), read(1, 3, 4)],
    "two additions at once, in the order of their answers": [add(1, 0, 9, 0), add(2, 0, 8, 1), read(3, 9, 10)],
    "and in the other order": [add(1, 0, 9, 2), add(2, 0, 8, 0), read(3, 9, 10)],
    "an unknown write that happened late": [write(1, 0), read(0, 1, 2), read(1, 3, 4)],
    "and one that never did": [write(1, 0), read(0, 1, 2), read(0, 3, 4)],
    "an end that meets a beginning": [write(1, 0, 1), read(0, 1, 2)],
    "what has to be taken back": [add(1, 0, 9, 0), add(1, 0, 9, 1), add(1, 0, 9, 2), add(1, 0, 9, 3), read(4, 10, 11)],
}
BROKEN = {
    "a stale read": [write(1, 0, 1), read(0, 2, 3)],
    "a read that goes back": [write(1, 0, 9), read(1, 1, 2), read(0, 3, 4)],
    "a lost write": [add(1, 0, 9, 0), add(2, 0, 8, 0), read(2, 10, 11)],
    "a write that nobody made": [read(7, 0, 1)],
    "a write that was seen before it was called": [read(1, 0, 1), write(1, 2, 3)],
    "an unknown write that was undone": [write(1, 0), read(1, 1, 2), read(0, 3, 4)],
    "an unknown write that happened twice": [
        write(1, 0),
        read(1, 1, 2),
        write(5, 3, 4, 1),
        read(5, 5, 6),
        read(1, 7, 8),
    ],
}


@pytest.mark.parametrize("history", LINEAR.values(), ids=LINEAR.keys())
def test_a_history_that_one_order_explains_passes(history: list[Register]) -> None:
    assert violation(history, 0, register) is None
    assert violation(history[::-1], 0, register) is None


@pytest.mark.parametrize("history", BROKEN.values(), ids=BROKEN.keys())
def test_a_history_that_no_order_explains_is_found(history: list[Register]) -> None:
    assert violation(history, 0, register) is not None
    assert violation(history[::-1], 0, register) is not None


def test_what_is_found_is_told_with_how_far_an_order_comes() -> None:
    told = violation([write(1, 0, 1), read(1, 2, 3), read(0, 4, 5)], 0, register)

    assert told is not None
    explained, _, stuck = told.partition("none of these can follow:")
    assert explained.count("client") == 2
    assert stuck.strip() == "client 2 at 4.0000 asked ('read', 0), at 5.0000 was told 0"


def test_many_at_once_are_not_tried_in_every_order() -> None:
    """Twelve additions have half a billion orders, and few states: what was tried is remembered."""
    history: list[Register] = [Operation(n, ("add", 1), 0.0) for n in range(12)]
    history.append(read(99, 1, 2))

    assert violation(history, 0, register) is not None
