"""Run the tests in two interpreters: those that start processes, and then the others.

    python -m tests [ROOM ...] [-- ARGUMENT OF PYTEST ...]

A room is a folder or a file of ``tests``; all of them where none is named. The arguments go to
both runs of pytest, and where a path is among them there is one run, of that path alone.

A forked child looks in its whole heap for what it has inherited, also one that is about to
``exec``. With all tests collected that is two million objects, and starting one of some thousand
processes took 0.28 seconds; with those that start processes it takes 0.04.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

TESTS = Path(__file__).parent

#: The rooms whose tests start few processes or none; and the one inside "net" that starts many.
QUIET = ("net", "node", "unit")
STARTING = "net/processes"

Part = tuple[str, ...]


def parts(rooms: Sequence[str]) -> list[Part]:
    """What each of the interpreters is to run, as arguments of pytest."""
    starting = [STARTING] if "net" in rooms else []
    starting += [room for room in rooms if room not in QUIET]
    quiet = [room for room in rooms if room in QUIET]
    found = []
    if starting:
        found.append(_paths(starting))
    if quiet:
        found.append((*_paths(quiet), f"--ignore={TESTS / STARTING}"))
    return found


def _paths(rooms: Sequence[str]) -> Part:
    return tuple(str(TESTS / room) for room in rooms)


def every_room() -> list[str]:
    """The folders and files that have tests."""
    return sorted(path.name for path in TESTS.iterdir() if _has_tests(path))


def _has_tests(path: Path) -> bool:
    if path.is_dir():
        return any(path.glob("test_*.py"))
    return path.match("test_*.py")


def _names_a_path(arguments: Sequence[str]) -> bool:
    return any(Path(each.partition("::")[0]).exists() for each in arguments)


def main(arguments: Sequence[str]) -> int:
    """Run them; the status is the worst of pytest's, or the signal that has ended one."""
    rooms, passed_on = list(arguments), []
    if "--" in rooms:
        at = rooms.index("--")
        rooms, passed_on = rooms[:at], rooms[at + 1 :]
    chosen: list[Part] = [()] if _names_a_path(passed_on) else parts(rooms or every_room())
    command = [sys.executable, "-m", "pytest"]
    statuses = {subprocess.call([*command, *part, *passed_on]) for part in chosen}
    if len(statuses) > 1:
        # The tests that a "-k" chooses may all be in one of them.
        statuses.discard(pytest.ExitCode.NO_TESTS_COLLECTED)
    # Below zero: one has crashed.
    return max(statuses, key=abs)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
