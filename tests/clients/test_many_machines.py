"""``examples/rooms.py`` on three machines; ``python -m tests.many_machines`` is the long form."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.helpers.peers import program

pytest.importorskip("redis")

from tests import many_machines
from tests.many_machines import HOSTS, Machines, until

pytestmark = pytest.mark.limit(120)


@pytest.fixture(autouse=True)
def programs_are_there(programs_find_gnet: None) -> None:
    program("redis-server")
    program("haproxy")


@pytest.fixture
def house() -> Iterator[Machines]:
    with many_machines.machines() as house:
        yield house


def test_what_was_acknowledged_is_heard_once_by_all_whoever_is_killed() -> None:
    outcome = many_machines.run(outage=1)
    assert outcome.acknowledged > 100
    assert outcome[1:] == (set(), set(), 0, [])


def test_who_breaks_the_protocol_is_let_in_by_no_machine(house: Machines) -> None:
    join = b"join lobby ann 0\n"
    assert house.says("127.0.0.9", join).startswith(b"* 127.0.0.")
    # To end without a word is no offence.
    assert house.says("127.0.0.9", b"") == b""
    assert house.says("127.0.0.9", join) != b""
    house.says("127.0.0.9", b"GET / HTTP/1.1\r\n")
    until(lambda: [house.says("127.0.0.9", join) for _ in HOSTS] == [b""] * len(HOSTS))
    assert house.says("127.0.0.8", join).startswith(b"* 127.0.0.")


def test_the_rate_of_an_address_is_that_of_all_machines(house: Machines) -> None:
    join = b"join lobby ann 0\n"
    told = [house.says("127.0.0.9", join) for _ in range(60)]
    let_in = [each for each in told if each]
    # Fifty, and what has come to the bucket meanwhile; never fifty of each.
    assert 50 <= len(let_in) < 60
    assert {each.split()[1].decode() for each in let_in} == set(HOSTS)
    assert house.says("127.0.0.8", join) != b""


def test_what_was_said_is_told_to_who_comes_later_and_once(house: Machines) -> None:
    said = house.says(
        "127.0.0.1", b"join den ann 0\nsay 0 hello you\nsay 0 hello you\nsay 1 bye\n"
    )
    assert [line for line in said.splitlines() if line.startswith(b"ack")] == [
        b"ack 0", b"ack 0", b"ack 1",
    ]  # fmt: skip
    *_, first, second = house.says("127.0.0.1", b"join den bob 0\n").splitlines()
    assert first.endswith(b" ann: hello you")
    assert second.endswith(b" ann: bye")
    since = first.split()[1]
    (_, last) = house.says("127.0.0.1", b"join den bob %b\n" % since).splitlines()
    assert last == second
