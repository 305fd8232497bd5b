"""``python -m benchmarks``: see the package's documentation."""

from __future__ import annotations

import argparse
import json
import signal
import sys
from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from . import __doc__ as usage
from . import chart, history, machine, native, report, targets
from .peers import PROBES, SERVERS
from .runner import Settings
from .scenarios import SCENARIOS
from .session import Session


def parser() -> argparse.ArgumentParser:
    """The command's options."""
    made = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description=usage,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = made.add_argument
    add("--scenario", action="append", metavar="GLOB,…", help="only these (default: all)")
    add("--servers", action="append", metavar="GLOB,…", help="only these, and probes (all)")
    add("--rounds", type=_positive(int), default=5, help="turns of each peer (%(default)s)")
    add("--seconds", type=_positive(float), default=1.0, help="measured in a turn (%(default)s)")
    add("--warmup", type=_positive(float), default=0.2, help="seconds before that (%(default)s)")
    add("--base", help="whom to compare with (uvloop-protocol, or who comes nearest)")
    add(
        "--by",
        choices=("clock", "cpu"),
        default="clock",
        help="which seconds: a busy machine disturbs the server's CPU time less (%(default)s)",
    )
    add("--server-cpu", type=int, metavar="N", help="the server's core (the first)")
    add("--load-cpu", type=int, metavar="N", help="the load generator's core (the second)")
    add("--json", type=Path, metavar="FILE", help="write all results there")
    add("--chart", type=Path, metavar="FILE", action="append", default=[], help=".png or .svg")
    add("--replay", type=Path, metavar="FILE", help="read results, and run nothing")
    add(
        "--history",
        type=Path,
        nargs="?",
        const=history.HISTORY,
        metavar="FILE",
        help="append the run's figures there, a line a run (%(const)s)",
    )
    add(
        "--history-chart",
        type=Path,
        metavar="FILE",
        help="draw the history's ratios of processor time, .png or .svg; alone it runs nothing",
    )
    add("--targets", action="store_true", help="say which targets are met")
    add("--list", action="store_true", help="list scenarios and peers, and run nothing")
    return made


def _positive(kind: type) -> Any:
    def convert(text: str) -> float:
        number: float = kind(text)
        if number <= 0:
            raise argparse.ArgumentTypeError(f"{text} is not above zero")
        return number

    convert.__name__ = kind.__name__
    return convert


def _chosen(name: str, patterns: Sequence[str] | None) -> bool:
    if patterns is None:
        return True
    return any(fnmatchcase(name, glob) for each in patterns for glob in each.split(","))


def _list() -> None:
    for scenario in SCENARIOS:
        print(f"{scenario.name:16} {scenario.title}")
    print()
    for peer in (*SERVERS, *PROBES):
        missing = peer.missing()
        print(f"{peer.name:16} {', '.join(sorted(peer.does))}{f'  ({missing})' * bool(missing)}")


def _obstacle(options: argparse.Namespace) -> str | None:
    """Why the command cannot do what was asked for; found out before the measuring."""
    try:
        if options.chart or options.history_chart:
            chart.require()
        if not options.replay:
            native.require()
    except RuntimeError as missing:
        return str(missing)
    return None


def _run(options: argparse.Namespace) -> dict[str, dict[str, Any]]:
    cores = machine.cores(options.server_cpu, options.load_cpu)
    settings = Settings(options.rounds, options.seconds, options.warmup, cores)
    session = Session(settings, lambda name: _chosen(name, options.servers), options.base)
    if not machine.gnet_is_compiled():
        print(
            "gnet runs without its compiled core here, which pip install -e . builds", flush=True
        )
    try:
        for scenario in SCENARIOS:
            if _chosen(scenario.name, options.scenario):
                session.run(scenario if options.by == "clock" else scenario.by_cpu())
    finally:
        if options.json:
            options.json.write_text(json.dumps(session.document(), indent=1) + "\n")
        if options.history and session.results:
            history.append(session.document(), options.history)
    return session.results


def _draw_history(options: argparse.Namespace) -> int:
    source = options.history or history.HISTORY
    try:
        chart.draw_history(history.read(source), options.history_chart)
    except FileNotFoundError:
        print(f"no run was kept in {source}: see --history", file=sys.stderr)
        return 1
    return 0


def _only_draws(options: argparse.Namespace) -> bool:
    """Whether nothing is asked for but the chart of what was measured before."""
    wanted = (options.scenario, options.servers, options.json, options.history, options.chart)
    return bool(options.history_chart) and not any((*wanted, options.replay, options.targets))


def _replay(path: Path) -> dict[str, dict[str, Any]]:
    results: dict[str, dict[str, Any]] = json.loads(path.read_text())["scenarios"]
    for result in results.values():
        print(f"\n{report.table(result)}")
    return results


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command.

    :returns: its exit status: 1 where nothing was measured.
    """
    options = parser().parse_args(arguments)
    if options.list:
        _list()
        return 0
    obstacle = _obstacle(options)
    if _only_draws(options) and not obstacle:
        return _draw_history(options)
    results = {} if obstacle else _replay(options.replay) if options.replay else _run(options)
    if not results:
        print(obstacle or "nothing was measured", file=sys.stderr)
        return 1
    if options.targets:
        print(f"\n{targets.table(results)}")
    for path in options.chart:
        chart.draw(results, path)
    return _draw_history(options) if options.history_chart else 0


if __name__ == "__main__":
    # As an exception, so that what was started is ended, and the results are written.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    sys.exit(main())
