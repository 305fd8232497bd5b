"""is_ip() and its kin look at the text of whatever they are given."""

from __future__ import annotations

from typing import Any

import pytest

import gnet


class Shown:
    """An object with a text of its own."""

    def __init__(self, text: str) -> None:
        self._text = text

    def __str__(self) -> str:
        return self._text


@pytest.mark.parametrize(
    ("value", "family"),
    [
        ("10.0.0.200", 4),
        ("10.0.0.200 ", 0),
        ("gnet.invalid", 0),
        ("::", 6),
        ("::1", 6),
        ("fc00:1:2:3:4:5:6:7", 6),
        ("fc00:1:2:3:4:5:6:7::8", 0),
        ("FC00::7", 6),
        ("fc00::", 6),
        (":fc00::7", 0),
        ("fc00::7:", 0),
        ("fc00::7::8", 0),
        ("fc00:00007::", 0),
        ("::fc00:10.0.0.200", 6),
        ("::fc00:10.0.0.200.1", 0),
        ("::fc00:10.0.0.256", 0),
        ("fe80::7%eth1", 6),
        ("fe80::7%eth1.100", 6),
        ("fe80::7%eth1!", 0),
        ("::somewhere", 0),
        ("0", 0),
        ("", 0),
        (None, 0),
        (7, 0),
        (True, 0),
        ({}, 0),
        (Shown("10.0.0.200"), 4),
        (Shown("fc00::10.0.0.200"), 6),
        (Shown("neither"), 0),
    ],
    ids=str,
)
def test_the_family_of(value: Any, family: int) -> None:
    assert gnet.is_ip(value) == family
    assert gnet.is_ipv4(value) is (family == 4)
    assert gnet.is_ipv6(value) is (family == 6)
