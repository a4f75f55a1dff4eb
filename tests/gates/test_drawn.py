"""Each kind of fault that `make gate-faults` plants is drawn a place: seen at once, and not when somebody runs it."""

from tests.gates.kinds import KINDS, drawn


def test_every_kind_has_a_place() -> None:
    faults = drawn()
    assert {kind for kind, _ in faults} == {*KINDS}
    assert len({layer.layer for layer in KINDS.values()}) >= 6
    assert len(faults) >= 30


def test_the_draw_is_the_same_each_time() -> None:
    assert drawn() == drawn()
