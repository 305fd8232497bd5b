"""How the command is called."""

from __future__ import annotations

import platform
import sys
from pathlib import Path

import gevent
import pytest

import gnet
from tests.helpers.commands import run_gnet
from tests.helpers.peers import run

COMMANDS = (
    "listen",
    "connect",
    "proxy",
    "scan",
    "lookup",
    "wsgi",
    "ps",
    "top",
    "live",
    "completion",
)


def test_python_m_gnet_is_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(gnet.__file__).parent.parent))
    output, errors, status = run(sys.executable, "-m", "gnet", "--version")
    assert (errors, status) == (b"", 0)
    assert output.startswith(f"gnet {gnet.__version__} (".encode())


@pytest.mark.parametrize(
    ("loop", "text"), [("libev-cext", "libev-cext, epoll"), ("libuv-cffi", "libuv-cffi")]
)
def test_the_version_is_one_line_that_names_form_loop_and_interpreter(
    loop: str, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("cffi", reason="gevent's other loop is made with cffi")
    monkeypatch.setenv("GEVENT_LOOP", loop)
    monkeypatch.setenv("GNET_PURE", "1")
    monkeypatch.setenv("LIBEV_FLAGS", "4")
    [line] = run_gnet("--version").output.decode().splitlines()
    assert line == (
        f"gnet {gnet.__version__} (pure: GNET_PURE is set), gevent {gevent.__version__} ({text}), "
        f"CPython {platform.python_version()}, {platform.system()} {platform.machine()}"
    )


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(command: str) -> None:
    outcome = run_gnet(command, "--help")
    assert outcome.output.decode().startswith(f"usage: gnet {command} ")
    assert outcome.status == 0


def test_the_help_names_every_command() -> None:
    text = run_gnet("--help").output.decode()
    assert [each for each in COMMANDS if f"\n    {each} " not in text] == []


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("nonsense",),
        ("listen",),
        ("listen", "nowhere"),
        ("connect", "a", "b"),
        ("proxy", "1"),
        ("listen", "0", "--max-connections", "-1"),
        ("listen", "0", "--max-connections", "many"),
        ("listen", "0", "--grace", "nan"),
        ("listen", "0", "--grace", "-1"),
        ("lookup", "localhost", "--timeout", "1e99"),
        ("lookup", "localhost", "--timeout", "0"),
        ("lookup", "localhost", "--server", "localhost"),
        ("lookup", "localhost", "NONSENSE"),
        ("lookup", "localhost", "ANY"),
    ],
)
def test_a_wrong_call_is_an_error_of_one_line(arguments: tuple[str, ...]) -> None:
    outcome = run_gnet(*arguments)
    assert outcome.output == b""
    assert outcome.complaints.startswith(b"gnet")
    assert (outcome.complaints.count(b"\n"), outcome.status) == (1, 2)
