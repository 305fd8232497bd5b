"""The standard library's way to a block list: ``python ipaddress_probe.py blocklist SECONDS``."""

from __future__ import annotations

from ipaddress import ip_address, ip_network

from rate import rate, report

addresses = {ip_address(f"10.0.0.{number}") for number in range(100)}
ranges = [
    (ip_address(f"10.1.{number}.0"), ip_address(f"10.1.{number}.9")) for number in range(100)
]
networks = [ip_network(f"10.2.{number}.0/24") for number in range(100)]


def check(text: str) -> bool:
    address = ip_address(text)
    return (
        address in addresses
        or any(first <= address <= last for first, last in ranges)
        or any(address in network for network in networks)
    )


report(rate(lambda: check("192.168.0.1"), 100))
