"""Whether what several clients saw can be told as one story, each operation at an instant between its call and answer.

The search of Wing and Gong, with Lowe's memory of what was tried: of the operations that no other has to precede, one
is taken, the model says what may follow, and the search goes on; where it is stuck it takes another. An operation whose
outcome nobody knows stays open: it may have happened at any time after it was called, or never.

Source: Wing, Gong, "Testing and Verifying Concurrent Objects" (1993); Lowe, "Testing for Linearizability" (2017).
"""

import math
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Generic, TypeAlias, TypeVar

Asked = TypeVar("Asked")
Answer = TypeVar("Answer")
State = TypeVar("State", bound=Hashable)

Step: TypeAlias = Callable[[State, Asked, Answer | None], Iterable[State]]
"""The model: the states that may follow what was asked and answered so; none, when it cannot have been. The answer is
None where nobody knows it."""


@dataclass(frozen=True, slots=True)
class Operation(Generic[Asked, Answer]):
    """What one client asked, and what it was told. Times are seconds of one clock.

    Without an answer the outcome is unknown, and `answered` never comes.
    """

    client: int
    asked: Asked
    called: float
    answered: float = math.inf
    answer: Answer | None = None

    def __str__(self) -> str:
        told = "was not answered" if self.answer is None else f"at {self.answered:.4f} was told {self.answer}"
        return f"client {self.client} at {self.called:.4f} asked {self.asked}, {told}"


def violation(
    history: Sequence[Operation[Asked, Answer]], initial: State, step: Step[State, Asked, Answer]
) -> str | None:
    """None if one order explains the history; else how far the best one comes, and what could not follow."""
    answered = sum(1 << n for n, each in enumerate(history) if each.answered < math.inf)
    best: tuple[int, ...] = ()
    tried: set[tuple[int, State]] = set()
    stack: list[tuple[int, State, Iterator[tuple[int, State]]]] = []
    order: list[int] = []

    def enter(done: int, state: State) -> None:
        tried.add((done, state))
        stack.append((done, state, _next(history, done, state, step)))

    enter(0, initial)
    while stack:
        done, _, following = stack[-1]
        if done & answered == answered:
            return None
        for n, state in following:
            if (done | 1 << n, state) not in tried:
                order.append(n)
                best = max(best, tuple(order), key=len)
                enter(done | 1 << n, state)
                break
        else:
            stack.pop()
            if order:
                order.pop()
    left = [each for n, each in enumerate(history) if n not in best and each.answer is not None]
    next_answer = min(each.answered for each in left)
    stuck = [str(each) for each in left if each.called <= next_answer]
    return "\n".join(("after", *(f"  {history[n]}" for n in best), "none of these can follow:", *stuck))


def _next(
    history: Sequence[Operation[Asked, Answer]], done: int, state: State, step: Step[State, Asked, Answer]
) -> Iterator[tuple[int, State]]:
    """Each operation that may come next, with each state that it may leave behind."""
    left = [n for n in range(len(history)) if not done >> n & 1]
    deadline = min((history[n].answered for n in left), default=math.inf)
    # What is answered soonest first: in most histories that is the order in which things happened.
    for n in sorted((n for n in left if history[n].called <= deadline), key=lambda n: history[n].answered):
        for after in step(state, history[n].asked, history[n].answer):
            yield n, after
