"""Print the gates: ``python -m tests.gates``; with ``--without-valgrind`` it takes seconds."""

from __future__ import annotations

import argparse
import sys
from collections import Counter

from tests.gates import costs, limits, structure, ways


def _say(what: str, value: float, most: float | None = None) -> None:
    goal = "" if most is None else f"   (at most {most:,.0f})"
    print(f"  {what:<58} {value:>10,.0f}{goal}", flush=True)


def _structure() -> None:
    print("modules")
    for name, lines in sorted(structure.module_lengths().items(), key=lambda each: -each[1]):
        if lines > limits.LINES:
            _say(f"lines of {name}", lines, limits.LONG_MODULES.get(name, (limits.LINES, ""))[0])
    _say("storeys of the house", structure.floors(), limits.FLOORS)
    for inherited, what in ((False, "other objects"), (True, "a base class of another file")):
        found = [each for each in structure.foreign_accesses() if each.inherited is inherited]
        print(f"accesses to private names of {what}: {len(found)}")
        for file, count in Counter(each.file for each in found).most_common():
            _say(file, count, limits.foreign(inherited).get(file, (0, ""))[0])


def _ways() -> None:
    print("calls of gnet's functions, and the most returns to a file")
    for name, way in ways.measure().items():
        _say(name, len(way.calls), limits.CALLS[name])
        _say(f"{name}: returns to one file", way.most_returns, limits.RETURNS[name])


def _memory() -> None:
    print("bytes of an idle connection")
    if sys.platform != "linux":
        print("  skipped: only Linux tells exactly")
        return
    _say("event style", costs.idle_bytes("event"), limits.IDLE_EVENT_BYTES)
    _say("blocking style", costs.idle_bytes("blocking"), costs.idle_bytes("gevent"))


def _instructions() -> None:
    print("instructions")
    if not costs.has_valgrind():
        print("  skipped: valgrind is not installed")
        return
    for style in ("event", "blocking"):
        most = limits.ECHO_INSTRUCTIONS if style == "event" else None
        _say(f"{style} style: echo of 1 KB, a message", costs.echo_instructions(style), most)
        most = limits.CHURN_INSTRUCTIONS if style == "event" else None
        _say(f"{style} style: connect, echo, close", costs.churn_instructions(style), most)


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(prog="python -m tests.gates", description=__doc__)
    parser.add_argument("--without-valgrind", action="store_true", help="count no instructions")
    arguments = parser.parse_args()
    _structure()
    _ways()
    _memory()
    if not arguments.without_valgrind:
        _instructions()


if __name__ == "__main__":
    main()
