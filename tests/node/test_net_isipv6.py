"""Which texts is_ipv6() takes for an address."""

from __future__ import annotations

import pytest

import gnet

GROUPS = ["fd00", "1", "0", "beef", "CAFE", "00a0", "7", "ffff"]
MAPPED = ["fd00", "1", "0", "beef", "CAFE", "00a0", "10.20.30.40"]


def shortened(groups: list[str]) -> list[str]:
    """The groups with each run of them left out."""
    count = len(groups)
    return [
        ":".join(groups[:start]) + "::" + ":".join(groups[end:])
        for start in range(count + 1)
        for end in range(start + 1, count + 1)
    ]


RIGHT = [
    ":".join(GROUPS),
    *shortened(GROUPS),
    ":".join(MAPPED),
    # The last group is what makes them mixed.
    *(text for text in shortened(MAPPED) if text.endswith(MAPPED[-1])),
    "::ffff:10.20.30.40",
    "0000:0000:0000:0000:0000:0000:0000:0000",
    "fe80::9%eth1",
    "fe80::9%3",
]

WRONG = [
    "",
    ":",
    ":::",
    "::::",
    "9",
    "fd00:",
    ":fd00",
    ":".join(GROUPS[1:]),
    ":".join([*GROUPS, "8"]),
    # All groups, and none left out.
    *(":".join(GROUPS[:place]) + "::" + ":".join(GROUPS[place:]) for place in range(9)),
    "fd00::1::2",
    "fd00:::2",
    ":::2",
    "fd00:::",
    "::fd00:",
    ":fd00::",
    "fd00::12345",
    "00fd0::1",
    "fd00::g",
    "fd00::1 ",
    " fd00::1",
    "fd00: :1",
    "[fd00::1]",
    "fd00::1/64",
    "::1.2.3",
    "::1.2.3.4.5",
    "::1.2.3.256",
    "::1.2.300.4",
    "::1000.2.3.4",
    "::1.2.3.04",
    "1.2.3.4::",
    "1.2.3.4",
    "::1.2.3.4:5",
    ":".join([*GROUPS[:7], "10.20.30.40"]),
    "fe80::9%",
    "localhost",
]


@pytest.mark.parametrize("text", RIGHT)
def test_an_address_of_eight_groups(text: str) -> None:
    assert gnet.is_ipv6(text) is True


@pytest.mark.parametrize("text", WRONG)
def test_something_else(text: str) -> None:
    assert gnet.is_ipv6(text) is False
