"""``python -m tests`` runs every test, and each of them once."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.__main__ import TESTS, every_room, main, parts

FILES = sorted(TESTS.rglob("test_*.py"))


def _runs(part: tuple[str, ...], file: Path) -> bool:
    ignored = [Path(each.partition("=")[2]) for each in part if each.startswith("--ignore=")]
    named = [Path(each) for each in part if not each.startswith("--")]

    def below(folders: list[Path]) -> bool:
        return any(file.is_relative_to(folder) for folder in folders)

    return below(named) and not below(ignored)


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(TESTS)))
def test_each_file_is_run_by_one_interpreter(file: Path) -> None:
    assert [_runs(part, file) for part in parts(every_room())].count(True) == 1


def test_the_rooms_of_a_mode_are_those_that_are_named() -> None:
    starting, quiet = parts(["net", "unit", "test_compiled.py"])
    assert [Path(each).relative_to(TESTS).as_posix() for each in starting] == [
        "net/processes",
        "test_compiled.py",
    ]
    assert [Path(each).name for each in quiet if not each.startswith("--")] == ["net", "unit"]


def test_a_path_is_run_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[list[str]] = []

    def call(command: list[str]) -> int:
        calls.append(command[3:])
        return 0

    monkeypatch.setattr("tests.__main__.subprocess.call", call)
    assert main(["net", "--", __file__, "-k", "name"]) == 0
    assert calls == [[__file__, "-k", "name"]]


@pytest.mark.parametrize(
    ("first", "second", "status"),
    [(0, 5, 0), (5, 0, 0), (1, 5, 1), (0, 1, 1), (5, 5, 5), (-11, 0, -11), (5, -9, -9)],
)
def test_the_status_is_the_worst_and_an_empty_part_is_none(
    first: int, second: int, status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    statuses = iter([first, second])
    monkeypatch.setattr("tests.__main__.subprocess.call", lambda command: next(statuses))
    assert main(["--", "-k", "name"]) == status
