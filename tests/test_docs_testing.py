"""The tests in the documentation pass, and find what they are there to find."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.peers import Outcome, run
from tests.test_docs import ROOT, blocks

PAGE = [block for block in blocks(ROOT / "docs" / "testing.rst") if block.caption]
TESTS = [block for block in PAGE if block.caption != "conftest.py"]
LEAKS = """
import gnet

def test_leaves_a_server():
    global server
    server = gnet.create_server().listen(0, "127.0.0.1")
"""
RAISES = """
import gnet.testing

def test_has_a_listener_that_raises():
    client, served = gnet.testing.pair()
    with client, served:
        served.on("data", lambda chunk: 1 / 0)
        served.on("error", print)
        served.once("close", lambda had_error: 1 / 0)
        client.write("x")
        served.wait("close", timeout=5)
"""


def verdict(directory: Path, monkeypatch: pytest.MonkeyPatch, name: str, text: str) -> Outcome:
    """What pytest says of a file of tests, beside the page's fixture."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.chdir(directory)
    (conftest,) = (block for block in PAGE if block.caption == "conftest.py")
    (directory / "conftest.py").write_text(conftest.text.replace("timeout=5", "timeout=0.5"))
    (directory / name).write_text(text)
    options = ("-q", "-p", "no:cacheprovider", "--rootdir", str(directory))
    return run(sys.executable, "-m", "pytest", *options, name)


@pytest.mark.limit(60)
@pytest.mark.parametrize("block", TESTS, ids=lambda block: block.caption)
def test_the_tests_on_the_page_pass(
    block: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    outcome = verdict(tmp_path, monkeypatch, block.caption, block.text)
    assert outcome.status == 0, outcome.output.decode()


@pytest.mark.limit(60)
@pytest.mark.parametrize(
    ("text", "found"), [(LEAKS, b"is left"), (RAISES, b"nobody caught")], ids=["leaks", "raises"]
)
def test_the_fixture_on_the_page_finds_what_is_left_behind(
    text: str, found: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert found in verdict(tmp_path, monkeypatch, "test_it.py", text).output
