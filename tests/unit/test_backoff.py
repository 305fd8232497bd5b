"""How long a cluster waits before it replaces a worker."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gnet._values.backoff import FIRST_PAUSE, LONGEST_PAUSE, STEADY_SECONDS, Backoff

LIVES = st.floats(min_value=0, max_value=1000)


def test_the_first_is_replaced_at_once() -> None:
    assert Backoff().pause(0) == 0


def test_the_pauses_double_up_to_the_longest() -> None:
    backoff = Backoff()
    pauses = [backoff.pause(0) for _ in range(10)]
    assert pauses[:5] == [0, 0.1, 0.2, 0.4, 0.8]
    assert pauses[-1] == LONGEST_PAUSE


def test_one_that_has_lived_is_replaced_at_once_and_begins_anew() -> None:
    backoff = Backoff()
    for _ in range(5):
        backoff.pause(0)
    assert backoff.pause(STEADY_SECONDS) == 0
    assert backoff.pause(0) == FIRST_PAUSE


@given(st.lists(LIVES, min_size=1))
def test_a_pause_is_never_longer_than_twice_the_one_before(lives: list[float]) -> None:
    backoff = Backoff()
    pauses = [backoff.pause(lived) for lived in lives]
    for before, after in zip(pauses, pauses[1:]):
        assert 0 <= after <= min(max(FIRST_PAUSE, 2 * before), LONGEST_PAUSE)
