"""The tests that the pages on reliability and security name are there."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "reliability.rst").read_text(encoding="utf-8")
SECURITY = (ROOT / "docs" / "security.rst").read_text(encoding="utf-8")
NAMED = sorted(set(re.findall(r"``((?:…|tests/)[\w/]+\.py)::(test_\w+)``", PAGE + SECURITY)))
PITFALLS = 20


@cache
def functions(path: Path) -> set[str]:
    return set(re.findall(r"^def (test_\w+)\(", path.read_text(encoding="utf-8"), re.MULTILINE))


@pytest.mark.parametrize(("file", "name"), NAMED)
def test_a_test_that_is_named_is_there(file: str, name: str) -> None:
    assert name in functions(ROOT / file.replace("…", "tests/net/test_"))


def test_every_pitfall_has_tests() -> None:
    table = PAGE.partition("Which test shows what")[2].partition("The figures")[0]
    rows = re.split(r"^   \* - ", table, flags=re.MULTILINE)[2:]
    assert [int(row.split()[0]) for row in rows] == list(range(1, PITFALLS + 1))
    assert all("::test_" in row for row in rows)
