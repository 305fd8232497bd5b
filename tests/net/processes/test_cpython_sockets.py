"""CPython's own tests of its sockets hold for gnet's, but for what the documentation lists."""

from __future__ import annotations

import importlib.util
import json
import re
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.helpers.peers import run, running

ROOT = Path(__file__).parents[3]
RUNNER = str(ROOT / "tests" / "helpers" / "cpython_sockets.py")
# Each version has other tests. These have been looked at, one by one.
KNOWN = {(3, 11)}
LIMIT = 90
ENDS = ("server", "client")

if sys.platform == "win32":
    pytest.skip("the list is that of POSIX", allow_module_level=True)
if sys.implementation.name != "cpython" or sys.version_info[:2] not in KNOWN:
    pytest.skip("the tests of this version have not been looked at", allow_module_level=True)
if importlib.util.find_spec("test.test_socket") is None:
    pytest.skip("this Python comes without its tests", allow_module_level=True)


@pytest.mark.limit(LIMIT)
def test_only_those_fail_that_are_meant_to() -> None:
    with ExitStack() as stack:
        # Side by side: mostly they sleep.
        runs = {end: stack.enter_context(running(*command(end), limit=LIMIT)) for end in ENDS}
        outcomes = {end: peer.finish() for end, peer in runs.items()}
    for end, outcome in outcomes.items():
        by_name = json.loads(outcome.output)
        assert list(by_name.values()).count("ok") > 200
        failed = {name for name, how in by_name.items() if how == "failed"}
        meant = {name for name in failed if name.partition(".")[2] in documented(end)}
        assert {name.partition(".")[2] for name in meant} == documented(end)
        surprises = failed - meant
        if surprises:
            # With gevent's own sockets, on a machine as busy as this one, they may fail as well.
            plain = json.loads(run(*command("neither"), *surprises).output)
            surprises -= {name for name, how in plain.items() if how == "failed"}
        assert not surprises, outcome.complaints.decode()


def command(end: str) -> tuple[str, ...]:
    return sys.executable, RUNNER, end


def documented(end: str) -> set[str]:
    """The tests that fail with gnet's socket at one end, as the documentation has them."""
    text = (ROOT / "docs" / "gevent.rst").read_text(encoding="utf-8")
    table = text.partition("``test.test_socket``")[2].partition(".. code-block")[0]
    rows = re.findall(r"\* - ``(\w+)``\n +- (\w+)\n", table)
    return {name for name, whose in rows if whose == end}
