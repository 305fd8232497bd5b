"""Tests of a pair of sockets run over the kernel's connections, in memory, and over TLS."""

from __future__ import annotations

import pytest

from tests.helpers import servers


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if getattr(metafunc.module, "pair", None) is servers.pair:
        metafunc.parametrize("carrier", ["kernel", "memory", "tls"], indirect=True)


@pytest.fixture(autouse=True)
def carrier(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whose connections ``pair()`` makes where it is not told."""
    monkeypatch.setattr(servers, "carrier", getattr(request, "param", "kernel"))
