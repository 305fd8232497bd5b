"""What was measured when, on which machine, at which commit: a line of JSON for each run.

Runs of different machines are not comparable in their figures, and hardly in their ratios; each
line says which machine it was.
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

#: The project's own.
HISTORY = Path(__file__).with_name("history.jsonl")


def entry(document: dict[str, Any]) -> dict[str, Any]:
    """The line of a run.

    :param document: its JSON, of :meth:`benchmarks.session.Session.document`.
    """
    return {
        "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "commit": document.get("commit"),
        "machine": document["machine"],
        "rounds": document["rounds"],
        "seconds": document["seconds"],
        "scenarios": {
            name: {peer: _figures(measured, result) for peer, measured in result["peers"].items()}
            for name, result in document["scenarios"].items()
        },
    }


def _figures(measured: dict[str, Any], result: dict[str, Any]) -> dict[str, Any]:
    """The medians of one peer."""
    figures = {
        key: round(measured[key]["median"], 4)
        for key in ("value", "ratio", "cpu_us", "cpu_ratio")
        if key in measured
    }
    return {"base": result["base"], "unit": result["unit"], **figures}


def append(document: dict[str, Any], path: Path = HISTORY) -> None:
    """Put a run behind the others."""
    with path.open("a", encoding="utf-8") as lines:
        lines.write(json.dumps(entry(document), sort_keys=True) + "\n")


def read(path: Path = HISTORY) -> list[dict[str, Any]]:
    """The runs, the oldest first."""
    with path.open(encoding="utf-8") as lines:
        return [json.loads(line) for line in lines if line.strip()]
