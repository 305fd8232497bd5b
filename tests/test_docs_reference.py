"""The reference of Socket and Server has every name once, and each event with its arguments."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import gnet
from tests.helpers.peers import python, run
from tests.test_docs import ROOT

PAGES = {gnet.Server: "server", gnet.Socket: "socket"}
CLASSES = pytest.mark.parametrize("owner", PAGES, ids=lambda owner: owner.__name__)
OF_EVENTS = ["on", "once", "off", "emit", "wait"]

# What is named in the text that stands behind the groups.
OPTIONS = {
    gnet.Server: {
        "allow_half_open", "high_water_mark", "keep_alive", "keep_alive_initial_delay",
        "no_delay", "pause_on_connect",
    },
    gnet.Socket: set(),
}  # fmt: skip
# And what only newer Pythons have.
PRIVATE = {"limits", "get_verified_chain", "get_unverified_chain"}


def page(owner: type) -> str:
    return (ROOT / "docs" / "api" / f"{PAGES[owner]}.rst").read_text(encoding="utf-8")


def documented(owner: type) -> list[str]:
    kinds = "method|attribute|property"
    found = re.findall(
        rf"^\.\. auto(?:{kinds}):: gnet\.{owner.__name__}\.(\w+)$", page(owner), re.MULTILINE
    )
    return [name for name in found if not name.startswith("_")]


@CLASSES
def test_every_public_name_is_in_one_group(owner: type) -> None:
    names = {name for name in dir(owner) if not name.startswith("_")} - PRIVATE
    of_emitters = {name for name in dir(gnet.EventEmitter) if not name.startswith("_")}
    expected = names - of_emitters - OPTIONS[owner] | set(OF_EVENTS)
    assert sorted(documented(owner)) == sorted(expected)
    for option in OPTIONS[owner]:
        assert f"``{option}``" in page(owner)


@CLASSES
def test_the_methods_of_events_come_first(owner: type) -> None:
    assert documented(owner)[: len(OF_EVENTS)] == OF_EVENTS


@CLASSES
def test_the_table_has_the_events_of_the_docstring_and_their_arguments(owner: type) -> None:
    text = " ".join((owner.__doc__ or "").partition("Emits ")[2].partition(":param")[0].split())
    emitted = re.findall(r"``(\w+)\(([^)]*)\)``", text)
    rows = re.findall(r"^   \* - ``(\w+)``(?: \((.*)\))?$", page(owner), re.MULTILINE)
    assert sorted(rows) == sorted(emitted)
    assert len(rows) >= 5


def test_the_documentation_is_built_of_the_sources_whichever_form_is_installed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("GNET_PURE", raising=False)
    settings = str(ROOT / "docs" / "conf.py")
    outcome = run(*python(
        "import runpy, sys; runpy.run_path(sys.argv[1]);"
        "import gnet._core.flowing as flowing; print(flowing.__file__)",
        settings,
    ))  # fmt: skip
    assert (outcome.status, outcome.complaints) == (0, b"")
    assert Path(outcome.output.decode().strip()) == ROOT / "gnet" / "_core" / "flowing.py"
