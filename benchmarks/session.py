"""One command's runs: who takes part, and what came of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from . import machine, native, report
from .peers import Peer
from .runner import LOAD, Settings, compare
from .scenarios import Scenario

SPARE_DESCRIPTORS = 100


class Session:
    """Runs scenarios, prints their tables, and keeps the results.

    :param settings: how each scenario is run.
    :param takes_part: whether the peer of a name may.
    :param base: whom to compare with, where it takes part.
    """

    def __init__(
        self, settings: Settings, takes_part: Callable[[str], bool], base: str | None
    ) -> None:
        self.settings = settings
        self.takes_part = takes_part
        self.base = base
        self.descriptors = machine.allow_many_descriptors()
        self.results: dict[str, dict[str, Any]] = {}
        self.skipped: dict[str, str] = {}

    def skip(self, what: str, why: str) -> None:
        """Say it once."""
        if what not in self.skipped:
            self.skipped[what] = why
            print(f"{what} is skipped: {why}", flush=True)

    def _present(self, scenario: Scenario) -> list[Peer]:
        present = []
        for peer in scenario.peers():
            if not self.takes_part(peer.name):
                continue
            missing = peer.missing()
            if missing:
                self.skip(peer.name, missing)
            else:
                present.append(peer)
        return present

    def run(self, scenario: Scenario) -> None:
        """Run one scenario, and print its table."""
        wanted = scenario.connections + SPARE_DESCRIPTORS
        if wanted > self.descriptors:
            why = f"it needs {wanted} descriptors, and the limit is {self.descriptors}"
            self.skip(scenario.name, why)
            return

        if scenario.encrypted:
            try:
                native.build(LOAD, *native.TLS)
                native.certificate()
            except RuntimeError as missing:
                why = str(missing).strip().splitlines()[-1]
                self.skip(scenario.name, f"TLS needs OpenSSL, its command and its headers: {why}")
                return

        def failed(peer: Peer, why: str) -> None:
            self.skip(f"{peer.name} in {scenario.name}", why)

        runs = compare(scenario, self._present(scenario), self.settings, failed)
        if runs:
            result = report.results(scenario, runs, self.base)
            self.results[scenario.name] = result
            print(f"\n{report.table(result)}", flush=True)

    def document(self) -> dict[str, Any]:
        """All of it, for the JSON."""
        settings = self.settings
        return {
            "machine": machine.describe(),
            "commit": machine.commit(),
            "rounds": settings.rounds,
            "seconds": settings.seconds,
            "warmup": settings.warmup,
            "cores": [settings.cores.server, settings.cores.load],
            "scenarios": self.results,
            "skipped": self.skipped,
        }
