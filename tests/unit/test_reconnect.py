"""The policy of dialling again, without a socket or a clock."""

from __future__ import annotations

import errno
from typing import Any

import pytest

import gnet
from gnet._values.reconnect import Reconnect, Tries
from gnet.errors import IPBlockedError, WriteLimitError

REFUSED = ConnectionRefusedError(errno.ECONNREFUSED, "no")


def delays(count: int, draw: float = 0.0, **policy: Any) -> list[float | None]:
    tries = Tries(Reconnect(**policy))
    return [tries.next(True, lambda: draw) for _ in range(count)]


def test_the_public_name_is_this_one() -> None:
    assert gnet.Reconnect is Reconnect


def test_each_delay_is_longer_up_to_the_maximum() -> None:
    found = delays(5, initial=0.1, maximum=0.5, factor=2, jitter=False)
    assert found == [0.1, 0.2, 0.4, 0.5, 0.5]
    assert delays(3, initial=1, factor=1, jitter=False) == [1, 1, 1]


def test_chance_makes_a_delay_shorter_but_never_none() -> None:
    assert delays(1, 0.0, initial=0.1) == [0.1]
    assert delays(1, 0.75, initial=0.1) == [pytest.approx(0.025)]
    (shortest,) = delays(1, 1 - 2**-53, initial=0.1)
    assert shortest is not None
    assert shortest > 0


def test_so_many_dials_may_fail() -> None:
    assert delays(3, initial=1, factor=1, jitter=False, attempts=3) == [1, 1, None]
    assert delays(1, attempts=1) == [None]


def test_a_lost_connection_is_no_failed_dial() -> None:
    tries = Tries(Reconnect(attempts=1))
    for number in (1, 2, 3):
        assert tries.next(False, lambda: 0.0) is not None
        assert tries.attempt == number
    assert tries.next(True, lambda: 0.0) is None


def test_a_good_connection_begins_a_series_anew() -> None:
    tries = Tries(Reconnect(initial=1, jitter=False, attempts=2))
    assert tries.next(True, lambda: 0.0) == 1
    tries.begin_anew()
    assert tries.next(False, lambda: 0.0) == 1
    assert tries.attempt == 1
    assert tries.next(True, lambda: 0.0) == 2
    assert tries.next(True, lambda: 0.0) is None


@pytest.mark.parametrize(
    ("error", "follows"),
    [
        (None, True), (REFUSED, True), (TimeoutError(), True),
        (gnet.AggregateError([REFUSED]), True),
        (IPBlockedError("127.0.0.1"), False), (WriteLimitError(5), False),
        (ValueError(), False), (MemoryError(), False),
    ],
)  # fmt: skip
def test_what_another_try_may_mend(error: BaseException | None, follows: bool) -> None:
    assert Tries(Reconnect()).follows(error) is follows


@pytest.mark.parametrize(
    ("options", "kind"),
    [
        ({"initial": 0}, ValueError), ({"initial": -1}, ValueError), ({"initial": "1"}, TypeError),
        ({"initial": True}, TypeError), ({"maximum": 0.05}, ValueError),
        ({"factor": 0.5}, ValueError), ({"factor": float("nan")}, ValueError),
        ({"factor": "2"}, TypeError), ({"jitter": "yes"}, TypeError),
        ({"attempts": 0}, ValueError), ({"attempts": 1.5}, TypeError), ({"lost": 5}, TypeError),
    ],
)  # fmt: skip
def test_bad_input(options: dict[str, Any], kind: type[Exception]) -> None:
    (name,) = options
    with pytest.raises(kind, match=name):
        Reconnect(**options)


def test_a_policy_shows_and_does_not_change() -> None:
    policy = Reconnect(1, 2, 3, False, 4, print)
    assert repr(policy) == (
        "gnet.Reconnect(initial=1, maximum=2, factor=3, jitter=False, attempts=4, lost=print)"
    )
    for name in ("initial", "maximum", "factor", "jitter", "attempts", "lost"):
        with pytest.raises(AttributeError):
            setattr(policy, name, 1)
