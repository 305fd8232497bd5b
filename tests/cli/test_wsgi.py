"""``gnet wsgi``."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from tests.helpers.commands import gnet_server, run_gnet
from tests.helpers.servers import raw_client, receive_all

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
