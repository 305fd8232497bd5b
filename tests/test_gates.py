"""The gates that have no noise: who wants to pass one takes something away first."""

from __future__ import annotations

import importlib
import sys
from collections import Counter

import gevent
import pytest

from gnet._transport.stream_socket import is_libuv
from tests.gates import costs, limits, structure, ways


def test_no_module_is_long_but_those_that_have_a_reason() -> None:
    long = {name: lines for name, lines in structure.module_lengths().items() if lines > 400}
    for name, lines in long.items():
        most, reason = limits.LONG_MODULES.get(name, (limits.LINES, ""))
        assert lines <= most, f"{name} has {lines} lines. {reason}"
    # A reason is not kept for what is short by now.
    assert sorted(long) == sorted(limits.LONG_MODULES)


def test_the_house_has_few_floors() -> None:
    assert structure.floors() <= limits.FLOORS


@pytest.mark.parametrize("inherited", [False, True])
def test_private_names_stay_in_their_file(inherited: bool) -> None:
    found = [each for each in structure.foreign_accesses() if each.inherited is inherited]
    allowed = limits.foreign(inherited)
    for file, count in Counter(each.file for each in found).items():
        most, reason = allowed.get(file, (0, "no reason is known"))
        names = [f"{each.line}: {each.name}" for each in found if each.file == file]
        assert count <= most, f"{file} has {count}, and {most} may be: {reason}. {names}"
    assert {each.file for each in found} == set(allowed)


def test_an_exception_says_why() -> None:
    tables = (limits.LONG_MODULES, limits.foreign(False), limits.foreign(True))
    assert all(reason for table in tables for _, reason in table.values())


def test_a_foreign_access_is_found(
    tmp_path: structure.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "one.py").write_text(
        "class One:\n"
        "    __slots__ = ('_slot',)\n"
        "    _kind: int\n"
        "    def __init__(self, other):\n"
        "        self._own = other._slot + other._kind + self._method()\n"
        "    def _method(self): ...\n"
    )
    (tmp_path / "two.py").write_text(
        "class Two(One):\n"
        "    def use(self, one):\n"
        "        self._own, super()._method(), one._slot, one.__class__, one._replace()\n"
        "        return self._elsewhere\n"
    )
    monkeypatch.setattr(structure, "PACKAGE", tmp_path)
    structure.foreign_accesses.cache_clear()
    try:
        found = {(each.file, each.name, each.inherited) for each in structure.foreign_accesses()}
    finally:
        structure.foreign_accesses.cache_clear()
    assert found == {
        ("two.py", "_own", True),
        ("two.py", "_method", True),
        ("two.py", "_slot", False),
    }


@pytest.fixture(scope="module")
def measured() -> dict[str, ways.Way]:
    return ways.measure()


@pytest.mark.skipif(sys.platform != "linux", reason="another loop has other watchers")
@pytest.mark.parametrize("name", limits.CALLS)
def test_a_way_has_few_calls(measured: dict[str, ways.Way], name: str) -> None:
    way = measured[name]
    listed = "\n".join(f"{file} {function}" for file, function in way.calls)
    assert len(way.calls) <= limits.CALLS[name], listed
    assert way.most_returns <= limits.RETURNS[name], listed


def test_returns_are_counted_by_file() -> None:
    way = ways.Way([("a", "f"), ("a", "g"), ("b", "h"), ("a", "f"), ("c", "i"), ("a", "f")])
    assert way.most_returns == 2


def is_compiled() -> bool:
    return not str(importlib.import_module("gnet._core.emitter").__file__).endswith(".py")


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells exactly")
@pytest.mark.limit(60)
def test_an_idle_connection_holds_little_memory() -> None:
    if not is_compiled():
        pytest.skip("the sources take more than what is compiled")
    if is_libuv(gevent.get_hub().loop):
        pytest.skip("a watcher of libuv's is made of Python objects")
    assert costs.idle_bytes("event") <= limits.IDLE_EVENT_BYTES
    most = costs.idle_bytes("gevent") * limits.IDLE_BLOCKING_FACTOR
    assert costs.idle_bytes("blocking") <= most
