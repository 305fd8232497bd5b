"""``gnet wsgi``."""

from __future__ import annotations

import os
import signal
import stat
from pathlib import Path

import gevent
import pytest

from tests.helpers.commands import gnet_command, gnet_server, run_gnet
from tests.helpers.peers import running
from tests.helpers.servers import Place, raw_client, receive_all

APPLICATION = """
class shop:
    @staticmethod
    def application(environ, start_response):
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [b"path ", environ["PATH_INFO"].encode()]

application = shop.application
nothing = None
"""


@pytest.fixture(autouse=True)
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command runs where an application is."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "web.py").write_text(APPLICATION)
    (tmp_path / "broken.py").write_text("1 / 0")
    (tmp_path / "without.py").write_text("open('settings')")


@pytest.mark.parametrize("name", ["web:application", "web:shop.application"])
def test_it_serves_an_application_of_the_working_directory(name: str) -> None:
    with gnet_server("wsgi", name, "127.0.0.1:0") as (process, place):
        with raw_client(place) as client:
            client.sendall(b"GET /hello HTTP/1.0\r\n\r\n")
            head, _, body = receive_all(client).partition(b"\r\n\r\n")
        assert head.split()[1] == b"200"
        assert body == b"path /hello"
        process.signal(signal.SIGTERM)
        assert process.wait() == (b"", b"", 0)


def test_verbose_prints_the_requests(path: str) -> None:
    with gnet_server("wsgi", "web:application", f"unix:{path}", "-v") as (process, place):
        with raw_client(place) as client:
            client.sendall(b"GET /hello HTTP/1.0\r\n\r\n")
            receive_all(client)
        assert process.complaint().startswith(b"accepted ")
        assert b'"GET /hello HTTP/1.0" 200' in process.complaint()


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("nowhere:application", "ModuleNotFoundError"),
        ("web:missing", "AttributeError"),
        ("broken:application", "ZeroDivisionError"),
        ("without:application", "No such file or directory: settings"),
        ("web:nothing", "it cannot be called"),
    ],
)
def test_what_is_no_application_is_an_error_of_one_line(name: str, why: str) -> None:
    outcome = run_gnet("wsgi", name, "127.0.0.1:0")
    assert outcome.complaints.decode().startswith(f"gnet: {name} ")
    assert why in outcome.complaints.decode()
    assert (outcome.complaints.count(b"\n"), outcome.status) == (1, 1)


@pytest.mark.parametrize("name", ["web", "web:", ":application", "we-b:application"])
def test_a_wrong_name_is_an_error_of_one_line(name: str) -> None:
    outcome = run_gnet("wsgi", name, "127.0.0.1:0")
    assert b"is not MODULE:APP" in outcome.complaints
    assert (outcome.complaints.count(b"\n"), outcome.status) == (1, 2)


# -- how it is served -----------------------------------------------------------------------------

# The files that an application makes have their usual modes.
MASKED = """
import os

def application(environ, start_response):
    start_response("200 OK", [])
    mask = os.umask(0)
    os.umask(mask)
    return [oct(mask).encode()]
"""
GET = b"GET /hello HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n"


def ask(place: Place, request: bytes = GET) -> bytes:
    """What comes for a request, behind its head."""
    with raw_client(place) as client:
        client.sendall(request)
        return receive_all(client).partition(b"\r\n\r\n")[2]


def write(directory: Path, name: str, answer: str) -> None:
    """Write a module whose application answers with an expression."""
    (directory / f"{name}.py").write_text(f"""
import os, threading, time, gevent

def application(environ, start_response):
    start_response("200 OK", [])
    return [str(({answer})).encode()]

def create_app():
    return application
""")


def test_a_factory_makes_the_application(tmp_path: Path) -> None:
    write(tmp_path, "made", "'made'")
    with gnet_server("wsgi", "made:create_app()", "127.0.0.1:0") as (_, place):
        assert ask(place) == b"made"


def test_it_is_patched_before_the_application_is_imported(tmp_path: Path) -> None:
    write(tmp_path, "patched", "time.sleep.__module__")
    for arguments, module in ((), "time"), (("--patch",), "gevent.hub"):
        with gnet_server("wsgi", "patched:application", "127.0.0.1:0", *arguments) as (_, place):
            assert ask(place) == module.encode()


def test_threads_call_the_application(tmp_path: Path) -> None:
    write(tmp_path, "web2", "threading.current_thread() is threading.main_thread()")
    for arguments, answer in ((), b"True"), (("--threads", "2"), b"False"):
        with gnet_server("wsgi", "web2:application", "127.0.0.1:0", *arguments) as (_, place):
            assert ask(place) == answer


def test_the_access_log_is_on_standard_output() -> None:
    with gnet_server("wsgi", "web:application", "127.0.0.1:0", "--access-log") as (process, place):
        ask(place)
        line = process.line()
        assert line.startswith(b"127.0.0.1 - - [")
        assert b'] "GET /hello HTTP/1.1" 200 11 ' in line


@pytest.mark.limit(60)
def test_workers_serve_and_are_replaced(tmp_path: Path) -> None:
    write(tmp_path, "several", "os.getpid(), environ['wsgi.multiprocess']")
    command = "wsgi", "several:application", "127.0.0.1:0", "--workers", 2, "--grace", 1
    with gnet_server(*command) as (process, place):
        first = ask(place)
        assert b"True" in first
        process.signal(signal.SIGHUP)
        with gevent.Timeout(20):
            seen = {first}
            # Of two there are four in the end.
            while len(seen) < 3:
                seen.add(ask(place))
        process.signal(signal.SIGTERM)
        _, complaints, status = process.wait()
        assert (complaints, status) == (b"", 0)


def test_workers_that_cannot_serve_end_the_command() -> None:
    outcome = run_gnet("wsgi", "broken:application", "127.0.0.1:0", "--workers", 1)
    assert b"broken:application cannot be imported: ZeroDivisionError" in outcome.complaints
    assert outcome.status == 1


@pytest.mark.limit(60)
def test_a_change_is_served_and_one_that_is_broken_is_not(tmp_path: Path) -> None:
    write(tmp_path, "changing", "'first'")
    with gnet_server("wsgi", "changing:application", "127.0.0.1:0", "--reload") as (server, place):
        assert ask(place) == b"first"
        (tmp_path / "changing.py").write_text("1 / 0")
        said = b""
        while b"the former application goes on" not in said:
            said = server.complaint()
        assert ask(place) == b"first"
        write(tmp_path, "changing", "'second'")
        with gevent.Timeout(30):
            while ask(place) != b"second":
                pass


@pytest.mark.limit(60)
@pytest.mark.parametrize("workers", [(), ("--workers", "2")])
def test_the_file_of_a_unix_socket_has_the_mode_that_is_asked_for(
    workers: tuple[str, ...], path: str, tmp_path: Path
) -> None:
    (tmp_path / "masked.py").write_text(MASKED)
    command = gnet_command("wsgi", "masked:application", f"unix:{path}", "--mode", "660")
    with running("sh", "-c", 'umask 022; exec "$@"', "sh", *command, *workers, "-v") as process:
        while b"listening" not in process.complaint():
            pass
        assert ask((path,)) == b"0o22"
        assert stat.S_IMODE(os.stat(path).st_mode) == 0o660
        process.signal(signal.SIGTERM)
        assert process.wait().status == 0


@pytest.mark.parametrize(
    "arguments", [("--workers", "0"), ("--threads", "x"), ("--workers", "-1")], ids=str
)
def test_a_wrong_number_is_an_error_of_one_line(arguments: tuple[str, str]) -> None:
    outcome = run_gnet("wsgi", "web:application", "127.0.0.1:0", *arguments)
    assert (outcome.complaints.count(b"\n"), outcome.status) == (1, 2)
