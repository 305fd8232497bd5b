"""What ``import gnet`` brings along, and what it does not."""

from __future__ import annotations

import json

from tests.gates import limits
from tests.helpers.peers import python, run

# What takes long to import, or is for few programs.
HEAVY = {
    "argparse", "ast", "asyncio", "concurrent", "dataclasses", "difflib", "dns", "email",
    "gevent.lock", "gevent.monkey", "gevent.pool", "gevent.queue", "gevent.resolver",
    "gevent.subprocess", "gevent.threadpool", "gevent.util", "http", "inspect", "json", "logging",
    "pprint", "random", "ssl", "string", "subprocess", "tempfile", "threading", "zope.interface",
}  # fmt: skip
# And what a server has ready, as it must say when no descriptor is left to import it with.
LOGGING = {"logging", "string", "threading"}

IMPORT = "import gnet\n"
CONNECTION = """\
import gnet
with gnet.create_server(lambda sock: sock.pipe(sock)).listen(0, "127.0.0.1") as server:
    with gnet.connect(server.address().port, "127.0.0.1") as sock:
        sock.sendall(b"x")
        assert sock.recv() == b"x"
"""


def brought_along(program: str) -> set[str]:
    """The modules that a program imports in a new interpreter, beside gevent's and its loop's."""
    outcome = run(
        *python(
            "import sys, gevent\n"
            "gevent.get_hub().loop.timer(0).close()\n"
            "before = set(sys.modules)\n"
            f"{program}"
            "found = sorted(set(sys.modules) - before)\n"
            "import json\n"
            "print(json.dumps(found))\n"
        )
    )
    assert (outcome.status, outcome.complaints) == (0, b"")
    return set(json.loads(outcome.output))


def test_nothing_heavy_comes_with_gnet() -> None:
    found = brought_along(IMPORT)
    assert "gnet" in found
    assert found & HEAVY == set()


def test_nothing_heavy_comes_with_a_connection() -> None:
    assert brought_along(CONNECTION) & HEAVY <= LOGGING


def test_few_modules_come_with_gnet() -> None:
    own = {each for each in brought_along(IMPORT) if each.partition(".")[0] == "gnet"}
    assert len(own) <= limits.IMPORTED_MODULES, sorted(own)
