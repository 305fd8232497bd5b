"""Token buckets: what they allow, by exact arithmetic; what they forget, and what they cost."""

from __future__ import annotations

import random
import tracemalloc
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gnet._values.prefix import Prefix, checked_prefix
from gnet._values.token_buckets import SLACK_SECONDS, Buckets, Rate, checked_rate

# Enough that rounding adds up, and small enough that a microsecond decides nothing.
RATES = st.one_of(
    st.integers(1, 1000), st.floats(0.01, 1000, allow_nan=False), st.sampled_from([3, 7, 10])
)
PAUSES = st.lists(st.floats(0, 3, allow_nan=False), max_size=200)
MANY = 100_000
MOST_BYTES = 20_000_000


def rule(value: float) -> Rate:
    made = checked_rate("rate", value)
    assert made is not None
    return made


class Exact:
    """A bucket as the books have it: so many tokens, which grow with time up to its size."""

    def __init__(self, rate: float) -> None:
        self.rate = Fraction(rate)
        self.size = max(Fraction(1), self.rate)
        self.tokens = self.size
        self._last = Fraction(0)

    def spare_seconds(self, now: float) -> float:
        """For how long there has been a token; below zero, how long it takes until there is."""
        self.tokens += (Fraction(now) - self._last) * self.rate
        self.tokens = min(self.size, self.tokens)
        self._last = Fraction(now)
        return float((self.tokens - 1) / self.rate)


@given(RATES, PAUSES)
def test_a_bucket_gives_what_exact_arithmetic_gives(rate: float, pauses: list[float]) -> None:
    bucket, exact = rule(rate), Exact(rate)
    full = now = 0.0
    for pause in pauses:
        now += pause
        after = bucket.take(full, now)
        spare = exact.spare_seconds(now)
        # So near to the moment itself either is right.
        assert (after is not None) == (spare >= 0) or abs(spare) < 2 * SLACK_SECONDS
        if after is not None:
            full = after
            exact.tokens -= 1


@given(RATES, st.integers(0, 2**32))
def test_never_more_come_than_the_rate_and_a_burst(rate: float, seed: int) -> None:
    bucket, chance = rule(rate), random.Random(seed)
    full = now = 1e6
    came = []
    for _ in range(500):
        now += chance.choice((0.0, chance.random() / rate, chance.random()))
        after = bucket.take(full, now)
        if after is not None:
            full = after
            came.append(now)
    for first in range(0, len(came), 7):
        for last in range(first, len(came), 11):
            seconds = came[last] - came[first] + 1e-4
            assert last - first + 1 <= max(1.0, rate) + seconds * rate + 1e-6


@pytest.mark.parametrize(("rate", "burst"), [(0.1, 1), (1, 1), (2.5, 2), (10, 10), (1000, 1000)])
def test_a_burst_is_one_second_and_one_connection_at_the_least(rate: float, burst: int) -> None:
    for now in (0.0, 1e5, 1e7):
        bucket = rule(rate)
        full, came = 0.0, 0
        while (after := bucket.take(full, now)) is not None:
            full, came = after, came + 1
        assert came == burst


@given(RATES, st.lists(st.tuples(st.integers(0, 5), st.floats(0, 3)), max_size=200))
def test_what_is_forgotten_makes_no_difference(
    rate: float, arrivals: list[tuple[int, float]]
) -> None:
    forgetting, keeping = Buckets(rule(rate)), Buckets(rule(rate))
    now = 100.0
    for key, pause in arrivals:
        now += pause
        forgetting.forget(now)
        outcomes = []
        for buckets in (forgetting, keeping):
            full = buckets.take(key, now)
            outcomes.append(full is not None)
            if full is not None:
                buckets.store(key, full, now)
        assert outcomes[0] == outcomes[1]


def test_buckets_that_nobody_uses_are_forgotten() -> None:
    buckets = Buckets(rule(10))
    for key in range(100):
        full = buckets.take(key, 5.0)
        assert full is not None
        buckets.store(key, full, 5.0)
    assert len(buckets) == 100
    now, turns = 5.0, 0
    while (pause := buckets.forget(now)) is not None:
        now, turns = now + pause, turns + 1
    assert len(buckets) == 0
    assert (turns, now) == (2, 7.0)


@pytest.mark.parametrize("version", [4, 6])
def test_a_hundred_thousand_addresses_take_little_memory(version: int) -> None:
    prefix = checked_prefix("prefix", (32, 64))
    form = "{0}.{1}.{2}.{3}" if version == 4 else "2001:db8:{0:x}{1:02x}:{2:x}{3:02x}::1"
    hosts = [
        form.format(*number.to_bytes(4, "big")) for number in range(1 << 28, (1 << 28) + MANY)
    ]
    buckets = Buckets(rule(10))
    tracemalloc.start()
    try:
        for now in (1.0, 1.5, 2.5):
            # In the second round all of them are in the former generation.
            buckets.forget(now)
            for host in hosts:
                full = buckets.take(key := prefix.key(host), now)
                assert full is not None
                buckets.store(key, full, now)
        assert len(buckets) == MANY
        _, most = tracemalloc.get_traced_memory()
        assert most < MOST_BYTES
        buckets.forget(10.0)
        buckets.forget(20.0)
        left, _ = tracemalloc.get_traced_memory()
        assert left < MOST_BYTES / 1000
    finally:
        tracemalloc.stop()


# -- which addresses are one -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("192.0.2.1", "192.0.2.1", True),
        ("192.0.2.1", "192.0.2.2", False),
        ("192.0.2.1", "::ffff:192.0.2.1", True),
        ("::ffff:192.0.2.1", "::ffff:192.0.2.2", False),
        ("2001:db8::1", "2001:db8::ffff:1", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("2001:db8::1", "2001:0DB8:0::2", True),
        ("::1", "0.0.0.1", False),
        ("::", "0.0.0.0", False),
        ("fe80::1%lo", "fe80::2%lo", True),
        ("fe80::1%lo", "fe80::1%eth0", False),
    ],
)
def test_whoever_has_a_64_of_ipv6_is_one(one: str, other: str, same: bool) -> None:
    prefix = Prefix(32, 64)
    assert (prefix.key(one) == prefix.key(other)) is same


def test_a_prefix_may_be_shorter_or_the_whole_address() -> None:
    assert Prefix(24, 64).key("192.0.2.1") == Prefix(24, 64).key("192.0.2.255")
    assert Prefix(24, 64).key("192.0.2.1") != Prefix(24, 64).key("192.0.3.1")
    assert Prefix(32, 128).key("2001:db8::1") != Prefix(32, 128).key("2001:db8::2")
    assert Prefix(32, 48).key("2001:db8::1") == Prefix(32, 48).key("2001:db8:0:ffff::1")
