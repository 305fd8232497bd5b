"""What ``gnet completion`` prints, in the shells that it is for; and the manual page."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

import pytest

from gnet.cli.completion import verbs_of
from gnet.cli.manual import manual
from gnet.cli.parser import make_parser
from tests.helpers.commands import Terminal, run_gnet
from tests.helpers.peers import program, run

ROOT = Path(__file__).parent.parent.parent
VERBS = [each.name for each in verbs_of(make_parser())]

BASH = """
source {script}
COMP_WORDS=({words} "") COMP_CWORD={count}
COMP_WORDS[COMP_CWORD]={last}
_gnet
printf '%s\\n' "${{COMPREPLY[@]}}"
"""


@pytest.fixture
def script(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    outcome = run_gnet("completion", request.param)
    assert (outcome.complaints, outcome.status) == (b"", 0)
    path = tmp_path / "completion"
    path.write_bytes(outcome.output)
    return path


def completed(shell: str, script: Path, line: str) -> list[str]:
    """What the shell offers in the place of the last word."""
    *words, last = line.split(" ")
    if shell == "fish":
        command = f"source {script}; complete -C {shlex.quote(line)}"
        output = run("fish", "--no-config", "-c", command).output.decode()
        # Each has its help behind a tab.
        return [each.partition("\t")[0] for each in output.splitlines()]
    text = BASH.format(
        script=script, words=" ".join(words), count=len(words), last=shlex.quote(last)
    )
    return run("bash", "--norc", "-c", text).output.decode().split()


@pytest.mark.parametrize(
    ("shell", "script"), [("bash", "bash"), ("fish", "fish")], indirect=["script"]
)
def test_verbs_options_and_choices_are_completed(shell: str, script: Path) -> None:
    assert set(VERBS) <= set(completed(shell, script, "gnet "))
    assert completed(shell, script, "gnet conn") == ["connect"]
    assert completed(shell, script, "gnet proxy --send") == ["--send-proxy", "--send-proxy-v2"]
    assert completed(shell, script, "gnet connect --cr") == ["--crlf"]
    assert completed(shell, script, "gnet connect --ech") == []
    assert completed(shell, script, "gnet completion f") == ["fish"]


@pytest.mark.skipif(sys.platform == "win32", reason="a terminal of POSIX")
@pytest.mark.parametrize("script", ["zsh"], indirect=True)
def test_zsh_completes_at_its_prompt(script: Path, tmp_path: Path) -> None:
    # Without the user's settings; -f, as macOS' have others for all users.
    start = f"PS1='> '; autoload -U compinit; compinit -u -D; source {script}; echo ready"
    terminal = Terminal([program("zsh"), "-f", "-i"])
    try:
        terminal.type(f"{start}\n")
        terminal.wait_for("ready\r\n")
        terminal.type("gnet conn\t--cr\t")
        terminal.wait_for("gnet connect")
        terminal.wait_for(" --crlf")
        # What is on the line is not run.
        terminal.type("\x15exit\n")
        assert terminal.wait() == 0
    finally:
        terminal.close()


@pytest.mark.parametrize(
    ("script", "command"), [("zsh", "zsh -f -n"), ("bash", "bash -n"), ("fish", "fish -n")],
    indirect=["script"],
)  # fmt: skip
def test_the_shell_can_read_it(script: Path, command: str) -> None:
    assert run(*command.split(), str(script)) == (b"", b"", 0)


@pytest.mark.parametrize("arguments", [(), ("tcsh",), ("bash", "zsh")])
def test_another_shell_is_an_error_of_one_line(arguments: tuple[str, ...]) -> None:
    outcome = run_gnet("completion", *arguments)
    assert outcome.complaints.startswith(b"gnet completion: ")
    assert (outcome.complaints.count(b"\n"), outcome.status) == (1, 2)


# -- the manual page ------------------------------------------------------------------------------


def test_the_page_that_is_installed_is_the_parsers() -> None:
    # To write it: python -m gnet.cli.manual > docs/gnet.1
    assert (ROOT / "docs" / "gnet.1").read_text(encoding="utf-8") == manual()


def test_the_page_has_every_verb_and_every_option() -> None:
    page = manual().replace("\\-", "-")
    for verb in verbs_of(make_parser()):
        assert f"\n.SS gnet {verb.name}\n" in page
        missing = [
            option
            for action in verb.options
            for option in action.option_strings
            if f"\\fB{option}\\fR" not in page
        ]
        assert missing == []


def test_the_page_is_good_roff() -> None:
    page = str(ROOT / "docs" / "gnet.1")
    outcome = run("groff", "-man", "-Tutf8", "-ww", page)
    assert (outcome.complaints, outcome.status) == (b"", 0)
    assert b"connections for the quick job" in outcome.output
