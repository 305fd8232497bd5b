"""The page of Node's tests that have no counterpart here."""

from __future__ import annotations

import re
from pathlib import Path

HERE = Path(__file__).parent
SUBJECTS = ("test_net_", "test_blocklist", "test_socketaddress")
# A file, and behind it the reason.
ENTRY = re.compile(r"\* ``(test-[\w-]+)\.m?js``: \S")


def ported() -> set[str]:
    """The tests of this folder that are Node's."""
    return {path.stem for path in HERE.glob("test_*.py") if path.stem.startswith(SUBJECTS)}


def listed() -> str:
    """The page below its last heading."""
    page = (HERE / "NOT_PORTED.rst").read_text(encoding="utf-8")
    return re.split(r"^Not ported\n-+\n", page, maxsplit=1, flags=re.MULTILINE)[1].strip()


def test_the_page_gives_a_reason_for_each_file_or_says_that_there_is_none() -> None:
    entries = re.findall(r"^\*.*", listed(), re.MULTILINE)
    assert all(map(ENTRY.match, entries))
    assert bool(entries) != (listed() == "None.")


def test_what_the_page_lists_has_no_test() -> None:
    names = {name.replace("-", "_") for name in ENTRY.findall(listed())}
    assert not names & ported()


def test_the_tests_of_this_folder_are_nearly_all_that_node_has() -> None:
    assert len(ported()) >= 150
