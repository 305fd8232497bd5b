"""The clients of the standard library over a gnet socket that is handed to them.

Each of them makes its connection in one method; that is where the socket comes in.
"""

from __future__ import annotations

import ftplib
import http.client
import imaplib
import io
import poplib
import smtplib
import sys
import urllib.request
import xmlrpc.client
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from xmlrpc.server import SimpleXMLRPCDispatcher

import pytest

import gnet
from gnet import wsgi
from tests.clients.conftest import PROGRAMS
from tests.helpers.peers import running
from tests.helpers.servers import place_at, serving

LARGE = bytes(range(256)) * 2000


def given(timeout: Any) -> float | None:
    """The timeout that a client was made with; ``socket``'s mark for the default is none."""
    return timeout if isinstance(timeout, (int, float)) else None


@contextmanager
def program(name: str, *arguments: str) -> Iterator[tuple[Any, int]]:
    """A server's program; gives it and its port."""
    with running(sys.executable, str(PROGRAMS / name), *arguments) as peer:
        port = peer.line()
        if not port:
            pytest.skip(peer.finish().complaints.decode().splitlines()[-1])
        yield peer, int(port)


@contextmanager
def answering(application: Callable[..., Any]) -> Iterator[int]:
    """A WSGI server; gives its port."""
    with wsgi.WSGIServer(application) as server:
        server.listen(0, "127.0.0.1")
        yield place_at(server)[0]


def mirror(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
    body = environ["wsgi.input"].read()
    start_response("200 OK", [("X-Path", environ["PATH_INFO"])])
    return [body or b"nothing"]


# -- HTTP -----------------------------------------------------------------------------------------


class Connection(HTTPConnection):
    def connect(self) -> None:
        self.sock = gnet.connect(self.port, self.host, timeout=given(self.timeout))


@pytest.mark.parametrize("body", [LARGE, io.BytesIO(LARGE), iter([LARGE[:1000], LARGE[1000:]])])
def test_http_client(body: Any) -> None:
    with answering(mirror) as port:
        client = Connection("127.0.0.1", port, timeout=5)
        client.request("POST", "/here", body)
        response = client.getresponse()
        assert (response.status, response.read()) == (200, LARGE)
        client.request("GET", "/there")
        with client.getresponse() as response:
            assert response.getheader("X-Path") == "/there"
            buffer = bytearray(20)
            assert response.readinto(memoryview(buffer)) == len(b"nothing")
        client.close()


def test_urllib_request() -> None:
    class Handler(urllib.request.HTTPHandler):
        def http_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
            return self.do_open(Connection, req)

    with answering(mirror) as port:
        opener = urllib.request.build_opener(Handler)
        with opener.open(f"http://127.0.0.1:{port}/", data=LARGE, timeout=5) as response:
            assert response.read(1000) + response.read() == LARGE


def test_xmlrpc_client() -> None:
    dispatcher = SimpleXMLRPCDispatcher()
    dispatcher.register_function(pow)

    def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        start_response("200 OK", [("Content-Type", "text/xml")])
        return [dispatcher._marshaled_dispatch(environ["wsgi.input"].read())]  # type: ignore[list-item]

    class Transport(xmlrpc.client.Transport):
        def make_connection(self, host: Any) -> HTTPConnection:
            if self._connection[1] is None:  # type: ignore[has-type]
                self._connection = host, Connection(host)
            return self._connection[1]  # type: ignore[return-value]

    with answering(application) as port:
        proxy = xmlrpc.client.ServerProxy(f"http://127.0.0.1:{port}", Transport())
        assert proxy.pow(2, 10) == 1024
        assert proxy.pow(3, 3) == 27
        proxy("close")()


# -- mail -----------------------------------------------------------------------------------------


def test_smtplib() -> None:
    class Client(smtplib.SMTP):
        def _get_socket(self, host: Any, port: Any, timeout: Any) -> Any:
            return gnet.connect(port, host, timeout=given(timeout))

    with program("smtp_server.py") as (peer, port):
        with Client("127.0.0.1", port, timeout=5) as client:
            client.sendmail("me@here.example", ["you@there.example"], "Subject: x\r\n\r\nHello")
        assert peer.line() == b"['you@there.example'] b'Hello'"


def conversation(*turns: tuple[bytes, bytes]) -> Callable[[gnet.Socket], None]:
    """A server that greets, and then has an answer for each command, and an end for the last.

    :param turns: what a command contains, and the answer to it; ``%s`` stands for its tag.
    """

    def converse(sock: gnet.Socket) -> None:
        with sock.makefile("rb") as commands:
            sock.sendall(turns[0][1])
            for expected, answer in turns[1:]:
                command = commands.readline()
                assert expected in command, command
                sock.sendall(answer.replace(b"%s", command.split()[0]))

    return converse


def test_imaplib() -> None:
    class Client(imaplib.IMAP4):
        def _create_socket(self, timeout: Any) -> Any:
            return gnet.connect(self.port, self.host, timeout=timeout)

    listener = conversation(
        (b"", b"* OK hello\r\n"),
        (b"CAPABILITY", b"* CAPABILITY IMAP4rev1\r\n%s OK done\r\n"),
        (b"LOGIN", b"%s OK done\r\n"),
        (b"SELECT", b"* 1 EXISTS\r\n%s OK [READ-WRITE]\r\n"),
        (b"FETCH", b"* 1 FETCH (RFC822 {5}\r\nHello)\r\n%s OK done\r\n"),
        (b"LOGOUT", b"* BYE\r\n%s OK done\r\n"),
    )
    with (
        serving(listener, end_on_return=True) as server,
        Client("127.0.0.1", place_at(server)[0], timeout=5) as client,
    ):
        client.login("user", "secret")
        assert client.select()[1] == [b"1"]
        _, ((_, message), _) = client.fetch("1", "(RFC822)")  # type: ignore[misc]
        assert message == b"Hello"


def test_poplib() -> None:
    class Client(poplib.POP3):
        def _create_socket(self, timeout: Any) -> Any:
            return gnet.connect(self.port, self.host, timeout=given(timeout))

    listener = conversation(
        (b"", b"+OK hello\r\n"),
        (b"USER user", b"+OK\r\n"),
        (b"PASS secret", b"+OK\r\n"),
        (b"RETR 1", b"+OK\r\nSubject: x\r\n\r\nHello\r\n.\r\n"),
        (b"QUIT", b"+OK\r\n"),
    )
    with serving(listener, end_on_return=True) as server:
        client = Client("127.0.0.1", place_at(server)[0], timeout=5)
        client.user("user")
        client.pass_("secret")
        assert client.retr(1)[1] == [b"Subject: x", b"", b"Hello"]
        client.quit()


# -- FTP ------------------------------------------------------------------------------------------


class Ftp(ftplib.FTP):
    """An FTP client whose connections, for control and data, are gnet's."""

    def connect(self, host: str = "", port: int = 0, *args: Any, **options: Any) -> str:
        self.sock = gnet.connect(port, host, timeout=5)
        self.af = self.sock.family
        self.file = self.sock.makefile("r", encoding=self.encoding)
        self.welcome = self.getresp()
        return self.welcome

    def ntransfercmd(self, cmd: str, rest: Any = None) -> tuple[Any, int | None]:
        host, port = self.makepasv()
        data = gnet.connect(port, host, timeout=5)
        data.wait("connect")
        response = self.sendcmd(cmd)
        assert response.startswith("1"), response
        return data, ftplib.parse150(response) if response.startswith("150") else None


def test_ftplib(tmp_path: Path) -> None:
    with program("ftp_server.py", str(tmp_path)) as (_, port), Ftp() as client:
        client.connect("127.0.0.1", port)
        client.login("user", "secret")
        client.storbinary("STOR large", io.BytesIO(LARGE))
        client.storlines("STOR lines", io.BytesIO(b"one\r\ntwo\r\n"))
        assert (tmp_path / "large").read_bytes() == LARGE
        received: list[bytes] = []
        client.retrbinary("RETR large", received.append)
        assert b"".join(received) == LARGE
        lines: list[str] = []
        client.retrlines("RETR lines", lines.append)
        assert lines == ["one", "two"]
        assert sorted(client.nlst()) == ["large", "lines"]
