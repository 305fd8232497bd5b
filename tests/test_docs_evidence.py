"""The tests that the page of evidence names are there."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "evidence.rst").read_text(encoding="utf-8")
NAMED = sorted(set(re.findall(r"``((?:…|tests/)[\w/]+\.py)::(test_\w+)``", PAGE)))
PITFALLS = 20


@cache
def functions(path: Path) -> set[str]:
    return set(re.findall(r"^def (test_\w+)\(", path.read_text(encoding="utf-8"), re.MULTILINE))


@pytest.mark.parametrize(("file", "name"), NAMED)
def test_a_test_that_is_named_is_there(file: str, name: str) -> None:
    assert name in functions(ROOT / file.replace("…", "tests/net/test_"))


def test_every_pitfall_has_tests() -> None:
    table = PAGE.partition("go wrong")[2].partition("What the page on security")[0]
    rows = re.split(r"^   \* - ", table, flags=re.MULTILINE)[2:]
    assert [int(row.split()[0]) for row in rows] == list(range(1, PITFALLS + 1))
    assert all("::test_" in row for row in rows)


def test_every_promise_of_security_has_tests() -> None:
    table = PAGE.partition("What the page on security promises")[2].partition("The figures")[0]
    rows = re.split(r"^   \* - ", table, flags=re.MULTILINE)[2:]
    assert len(rows) >= 10
    assert all("::test_" in row for row in rows)


@pytest.mark.parametrize("page", ["reliability", "security"])
def test_pages_for_users_name_no_tests(page: str) -> None:
    assert "::test_" not in (ROOT / "docs" / f"{page}.rst").read_text(encoding="utf-8")
