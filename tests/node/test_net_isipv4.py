"""Which texts is_ipv4() takes for an address."""

from __future__ import annotations

import pytest

import gnet

RIGHT = [
    "0.0.0.0",
    "1.2.3.4",
    "10.20.30.40",
    "99.100.199.200",
    "127.0.0.1",
    "169.254.0.9",
    "224.0.0.251",
    "249.250.251.252",
    "255.255.255.255",
]

WRONG = [
    "",
    "1",
    "1.2.3",
    "1.2.3.4.5",
    "1.2.3.4.",
    ".1.2.3.4",
    "1..3.4",
    "1.2.3.256",
    "256.2.3.4",
    "1.2.300.4",
    "1.1000.3.4",
    "1.2.3.-4",
    "01.2.3.4",
    "1.2.3.00",
    "00000001.2.3.4",
    "1.2.3.40000000",
    "0x1.2.3.4",
    "1.2.3.4/8",
    "1.2.3.4:80",
    "http://1.2.3.4",
    " 1.2.3.4",
    "1.2.3.4\n",
    "١.2.3.4",
    "a.b.c.d",
]


@pytest.mark.parametrize("text", RIGHT)
def test_an_address_of_four_octets(text: str) -> None:
    assert gnet.is_ipv4(text) is True


@pytest.mark.parametrize("text", WRONG)
def test_something_else(text: str) -> None:
    assert gnet.is_ipv4(text) is False
