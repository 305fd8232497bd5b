"""The short form of the certificates that change; ``python -m tests.changing_certificates`` is the
long one."""

from __future__ import annotations

import pytest

from tests import changing_certificates


@pytest.mark.limit(60)
def test_no_handshake_fails_while_certificates_change() -> None:
    report = changing_certificates.run(120, 24)
    assert report.wrong == []
    assert (report.handshakes, report.changes) == (120, 24)
    assert report.contexts < 5
