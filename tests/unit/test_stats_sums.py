"""The numbers of several processes, added up."""

from __future__ import annotations

import json
from dataclasses import asdict, fields, replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import gnet
from gnet import AddressInfo, ConnectStats, LookupStats, ProcessStats, ServerStats
from gnet._sight.sums import added, read, settled
from gnet._values.stats import AGES

PLACES = st.one_of(
    st.sampled_from([AddressInfo("127.0.0.1", "IPv4", 80), AddressInfo("::1", "IPv6", 80)]),
    st.sampled_from(["/run/a", "/run/b"]),
    st.none(),
)
NUMBERS = st.integers(0, 1000)
NAMES = st.dictionaries(st.sampled_from(["rate", "block_list", "ECONNREFUSED"]), NUMBERS)


def numbers(kind: type, **others: Any) -> st.SearchStrategy[Any]:
    """Numbers for all fields but the others."""
    drawn = {each.name: NUMBERS for each in fields(kind) if each.name not in others}
    return st.builds(kind, **drawn, **others)


SERVERS = numbers(
    ServerStats,
    address=PLACES,
    listening_since=st.none() | st.floats(1, 9),
    refused=NAMES,
    ages=st.just(dict.fromkeys(AGES, 1)),
)
PROCESSES = numbers(
    ProcessStats,
    servers=st.lists(SERVERS, max_size=3).map(tuple),
    refused=NAMES,
    connects=numbers(ConnectStats, failed=NAMES),
    dns=numbers(LookupStats),
    loop_lag=st.none() | st.floats(0, 1),
    workers=st.just({}),
)
COUNTS = [
    "servers_opened", "servers_closed", "accepted", "closed", "bytes_in", "bytes_out", "pauses",
    "handshakes", "handshakes_failed",
]  # fmt: skip


@settings(max_examples=50)
@given(PROCESSES)
def test_numbers_are_read_as_they_were_told(process: ProcessStats) -> None:
    assert read(json.loads(json.dumps(asdict(process)))) == process


def test_those_of_this_process_are_read_as_they_were_told() -> None:
    with gnet.create_server().listen(0, "127.0.0.1"):
        told = gnet.stats()
        assert read(json.loads(json.dumps(asdict(told)))) == told


@settings(max_examples=50)
@given(st.lists(PROCESSES, min_size=1, max_size=4), st.lists(PROCESSES, max_size=2))
def test_a_sum_has_what_all_have(living: list[ProcessStats], ended: list[ProcessStats]) -> None:
    whole = added(living, ended)
    every = [*living, *ended]
    for name in [*COUNTS, "active", "queued", "handshakes_active", "greenlets_lent"]:
        assert getattr(whole, name) == sum(getattr(each, name) for each in every)
    assert whole.longest_queue == max(each.longest_queue for each in every)
    lags = [each.loop_lag for each in every if each.loop_lag is not None]
    assert whole.loop_lag == max(lags, default=None)
    for code in {code for each in every for code in each.connects.failed}:
        assert whole.connects.failed[code] == sum(
            each.connects.failed.get(code, 0) for each in every
        )
    assert whole.connects.tried == sum(each.connects.tried for each in every)
    assert whole.dns.seconds == sum(each.dns.seconds for each in every)


@settings(max_examples=50)
@given(st.lists(PROCESSES, min_size=1, max_size=4), st.lists(PROCESSES, max_size=2))
def test_servers_at_one_address_are_one_while_one_of_them_lives(
    living: list[ProcessStats], ended: list[ProcessStats]
) -> None:
    servers = {each.address: each for each in added(living, ended).servers}
    assert servers.keys() == {server.address for each in living for server in each.servers}
    for address, server in servers.items():
        parts = [
            each
            for process in [*living, *ended]
            for each in process.servers
            if each.address == address
        ]
        assert server.accepted == sum(each.accepted for each in parts)
        assert server.ages == dict.fromkeys(AGES, len(parts))
        since = [each.listening_since for each in parts if each.listening_since is not None]
        assert server.listening_since == min(since, default=None)


@settings(max_examples=50)
@given(PROCESSES)
def test_of_a_process_that_has_ended_nothing_is_open_and_no_count_falls(
    last: ProcessStats,
) -> None:
    after = settled(last)
    assert after.active == after.queued == after.connects.active == after.greenlets_lent == 0
    assert after.closed == last.closed + last.active + last.connects.active
    assert all(each.active == each.entering == 0 for each in after.servers)
    for name in {*COUNTS} - {"servers_closed", "closed"}:
        assert getattr(after, name) == getattr(last, name)
    assert after.servers_closed == after.servers_opened


@pytest.mark.parametrize("lacking", ["servers", "connects", "accepted"])
def test_what_lacks_a_number_is_refused(lacking: str) -> None:
    told = asdict(gnet.stats())
    del told[lacking]
    with pytest.raises((TypeError, LookupError)):
        read(told)


def test_a_number_that_is_not_known_is_left_out() -> None:
    told = gnet.stats()
    with_more = {**asdict(told), "of_the_next_release": 1}
    assert read(json.loads(json.dumps(with_more))) == replace(told, workers={})
