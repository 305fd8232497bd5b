"""The examples of the README and of the documentation run as they are printed.

A ``code-block`` of ``python`` is a whole program. One that listens and connects to nothing is a
server: it has to answer a client somehow, and is ended. Every other one has to end by itself,
without an error; it has an echo server to talk to. The port in them stands for one that is free.
"""

from __future__ import annotations

import os
import re
import signal
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.helpers.peers import python, run, running
from tests.helpers.servers import echoing, raw_client, receive_all, send_end

ROOT = Path(__file__).parent.parent
PORT = re.compile(r"\b8124\b")
BLOCK = re.compile(
    r"^(?P<indent> *)\.\. code-block:: (?P<language>\w+)\n"
    r"(?P<text>(?:\n|(?P=indent) +.*\n)+)",
    re.MULTILINE,
)

# Runs a file and says where it listens. It imports nothing of gnet's: an example may patch first.
RUNNER = """
import runpy, sys, zope.event

def tell(event):
    if type(event).__name__ == "ServerListening":
        print("listening on", getattr(event.address, "port", event.address), flush=True)

zope.event.subscribers.append(tell)
runpy.run_path(sys.argv[1], run_name="__main__")
"""


class Block(NamedTuple):
    """A code block of a document."""

    language: str
    text: str
    line: int

    @property
    def serves(self) -> bool:
        return bool(re.search(r"\b(listen|serve)\(", self.text)) and "connect(" not in self.text


def blocks(document: Path) -> Iterator[Block]:
    text = document.read_text(encoding="utf-8")
    for match in BLOCK.finditer(text):
        line = text.count("\n", 0, match.start()) + 1
        yield Block(match["language"], textwrap.dedent(match["text"]).strip("\n") + "\n", line)


EXAMPLES = [
    pytest.param(block, id=f"{document.relative_to(ROOT)}:{block.line}")
    for document in (ROOT / "README.rst", *sorted(ROOT.glob("docs/**/*.rst")))
    for block in blocks(document)
    if block.language == "python"
]


@pytest.mark.parametrize("block", EXAMPLES)
def test_the_example_runs(block: Block, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.chdir(tmp_path)
    program = tmp_path / "example.py"
    command = python(RUNNER, str(program))
    if block.serves:
        program.write_text(PORT.sub("0", block.text), encoding="utf-8")
        with running(*command) as process:
            place = process.line().decode().removeprefix("listening on ")
            assert place, process.wait().complaints.decode()
            with raw_client((int(place), "127.0.0.1") if place.isdigit() else (place,)) as client:
                client.sendall(b"hello\n")
                send_end(client)
                assert receive_all(client)
            process.signal(signal.SIGTERM)
            outcome = process.wait()
        assert outcome.status in (0, -signal.SIGTERM)
        assert outcome.complaints.decode() == ""
    else:
        with echoing(at=(0,)) as server:
            port = str(server.address().port)  # type: ignore[union-attr]
            program.write_text(PORT.sub(port, block.text), encoding="utf-8")
            outcome = run(*command)
        assert (outcome.status, outcome.complaints.decode()) == (0, "")


def test_the_readme_has_examples() -> None:
    assert sum("README" in str(example.id) for example in EXAMPLES) >= 5


def test_the_readme_begins_with_the_two_commands_of_the_set_up() -> None:
    first, second, *_ = [
        block.text for block in blocks(ROOT / "README.rst") if block.language == "sh"
    ]
    assert "examples/quickstart.py" in first
    assert "tox" in second
    for command in first, second:
        assert run("sh", "-nc", command).status == 0


def test_ci_runs_the_second_command_of_the_readme(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A ``bash`` that prints what it should run stands in for the one that runs it."""
    second = [block.text for block in blocks(ROOT / "README.rst") if block.language == "sh"][1]
    for name, script in ("bash", 'printf "%s\\n" "$2"'), ("apt-get", ":"):
        stand_in = tmp_path / name
        stand_in.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
        stand_in.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    outcome = run(str(ROOT / ".ci" / "run"))
    assert outcome.output.decode().split() == second.split()
    assert outcome.status == 0
