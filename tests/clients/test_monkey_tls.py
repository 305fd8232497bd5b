"""Clients that do not know gnet, over TLS, by ``gnet.monkey.patch(tls=True)``.

Their connections are gnet's: encrypted by ``start_tls()``, under its deadlines and events.
"""

from __future__ import annotations

import ftplib
import http.client
import imaplib
import io
import select
import smtplib
import socket as std_socket
import socketserver
import ssl
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import gevent
import pytest
from gevent import pywsgi
from gevent import ssl as gevent_ssl
from gevent._hub_local import get_hub_if_exists
from gevent.queue import Queue

import gnet
from gnet import monkey, wsgi
from tests.clients.conftest import PROGRAMS
from tests.conftest import PATCHED
from tests.helpers.peers import python, run, running
from tests.helpers.servers import place_at, serving

authority = pytest.importorskip("tests.helpers.authority")

LARGE = bytes(range(256)) * 2000


@pytest.fixture(autouse=True)
def patched() -> Iterator[None]:
    with monkey.patch(tls=True):
        yield
    assert "gnet" not in std_socket.create_connection.__code__.co_filename


def contexts() -> list[Any]:
    """One of each kind: the standard library's own is there unpatched only."""
    made = []
    for kind in dict.fromkeys((ssl.SSLContext, gevent_ssl.SSLContext)):
        context = kind(ssl.PROTOCOL_TLS_CLIENT)
        authority.authority().configure_trust(context)
        made.append(context)
    return made


CONTEXTS = [pytest.param(each, id=type(each).__module__) for each in contexts()]


def echo(sock: gnet.Socket) -> None:
    for chunk in sock:
        sock.sendall(chunk)


@contextmanager
def echoing(**options: Any) -> Iterator[gnet.Server]:
    options.setdefault("tls", authority.server_context())
    with serving(echo, end_on_return=True, **options) as server:
        yield server


def dial(server: gnet.Server, **options: Any) -> Any:
    return std_socket.create_connection(("localhost", place_at(server)[0]), **options)


@contextmanager
def program(name: str, *arguments: str) -> Iterator[tuple[Any, int]]:
    """A server's program; gives it and its port."""
    with running(sys.executable, str(PROGRAMS / name), *arguments) as peer:
        port = peer.line()
        if not port:
            pytest.skip(peer.finish().complaints.decode().splitlines()[-1])
        yield peer, int(port)


@pytest.fixture
def pair(tmp_path: Path) -> list[str]:
    """The files of a certificate for ``localhost`` and its key."""
    made = authority.write_pair(authority.certificate(), tmp_path / "cert", tmp_path / "key")
    return [str(each) for each in made]


# -- wrap_socket ----------------------------------------------------------------------------------


@pytest.mark.parametrize("context", CONTEXTS)
def test_the_same_socket_is_encrypted_and_passes_for_ssls(context: Any) -> None:
    with echoing() as server:
        sock = dial(server, timeout=5)
        assert type(sock) is gnet.Socket
        assert not isinstance(sock, ssl.SSLSocket)
        with context.wrap_socket(sock, server_hostname="localhost") as tls:
            assert tls is sock
            assert isinstance(sock, context.sslsocket_class)
            assert isinstance(sock, gnet.Socket)
            assert tls.encrypted
            assert tls.context is context
            assert tls.gettimeout() == 5
            assert tls.getpeercert()["subjectAltName"]
            tls.sendall(b"echo")
            assert tls.recv(2) + tls.read(2) == b"echo"


def test_pending_is_what_can_be_read_at_once() -> None:
    with echoing() as server:
        tls = contexts()[0].wrap_socket(dial(server), server_hostname="localhost")
        with tls:
            assert tls.pending() == 0
            tls.sendall(b"echo" * 1000)
            assert tls.recv(1) == b"e"
            while tls.pending() < 3999:
                gevent.sleep(0)
            assert tls.pending() == 3999
            assert len(tls.recv(10_000)) == 3999
            assert tls.pending() == 0


def test_wrap_socket_need_not_wait_for_the_handshake() -> None:
    with echoing() as server:
        tls = contexts()[0].wrap_socket(
            dial(server), server_hostname="localhost", do_handshake_on_connect=False
        )
        with tls:
            assert not tls.encrypted
            tls.do_handshake()
            assert tls.encrypted


def test_a_failed_handshake_is_raised_and_nothing_is_left() -> None:
    with echoing() as server:
        sock = dial(server)
        with pytest.raises(ssl.SSLCertVerificationError) as caught:
            contexts()[0].wrap_socket(sock, server_hostname="another.example")
        assert sock.destroyed
    assert caught.value.code == "ERR_TLS_CERT_ALTNAME_INVALID"  # type: ignore[attr-defined]


def test_the_timeout_of_the_socket_is_the_handshakes() -> None:
    with serving(lambda sock: sock.wait("end"), end_on_return=True) as server:
        sock = dial(server, timeout=0.5)
        with pytest.raises(TimeoutError):
            contexts()[0].wrap_socket(sock, server_hostname="localhost")
        sock.close()


def test_bad_arguments_are_told_as_ssl_tells_them() -> None:
    context = contexts()[0]
    with serving(echo, end_on_return=True) as server, dial(server) as sock:
        with pytest.raises(ValueError, match="server_hostname"):
            context.wrap_socket(sock)
        with pytest.raises(ValueError, match="client mode"):
            authority.server_context().wrap_socket(sock, server_side=True, server_hostname="x.y")
        sock.setblocking(False)
        with pytest.raises(ValueError, match="non-blocking"):
            context.wrap_socket(sock, server_hostname="localhost")
        sock.setblocking(True)
        sock.sendall(b"still there")
        assert sock.recv() == b"still there"


def test_a_non_blocking_read_says_what_ssl_says() -> None:
    with (
        echoing() as server,
        contexts()[0].wrap_socket(dial(server), server_hostname="localhost") as tls,
    ):
        tls.setblocking(False)
        with pytest.raises(ssl.SSLWantReadError):
            tls.recv(1)
        with pytest.raises(ssl.SSLWantReadError):
            tls.recv_into(bytearray(1))


def test_unwrap_gives_the_plain_socket_back() -> None:
    def serve(sock: gnet.Socket) -> None:
        sock.start_tls(authority.server_context(), server_side=True)
        sock.sendall(sock.recv())
        sock.stop_tls()
        echo(sock)

    with serving(serve, end_on_return=True) as server:
        tls = contexts()[0].wrap_socket(dial(server), server_hostname="localhost")
        tls.sendall(b"secret")
        assert tls.recv() == b"secret"
        with tls.unwrap() as plain:
            assert type(plain) is gnet.Socket
            assert not plain.encrypted
            plain.sendall(b"plain")
            assert plain.recv() == b"plain"


def test_a_servers_handler_may_wrap_as_well() -> None:
    """A limit of the server's holds for what is encrypted so."""
    context = authority.server_context()

    def serve(sock: gnet.Socket) -> None:
        tls: Any = context.wrap_socket(sock, server_side=True)
        assert server.connections == {tls}
        echo(tls)

    with (
        serving(serve, end_on_return=True) as server,
        contexts()[0].wrap_socket(dial(server), server_hostname="localhost") as tls,
    ):
        tls.sendall(b"echo")
        assert tls.recv() == b"echo"


def test_a_subclass_of_a_gnet_socket_stays_one() -> None:
    class Own(gnet.Socket):
        def __init__(self) -> None:
            super().__init__()
            self.name = "own"

    with echoing() as server, Own().connect(*place_at(server)) as sock:
        tls = contexts()[0].wrap_socket(sock, server_hostname="localhost")
        assert isinstance(tls, Own)
        assert tls.name == "own"


def test_other_sockets_are_wrapped_as_ever() -> None:
    with echoing() as server:
        plain = gevent.socket.socket()
        plain.connect(place_at(server)[::-1])
        context = gevent_ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        authority.authority().configure_trust(context)
        with context.wrap_socket(plain, server_hostname="localhost") as tls:
            assert not isinstance(tls, gnet.Socket)
            tls.sendall(b"echo")
            assert tls.recv(4) == b"echo"


def test_nothing_is_left_of_a_patch_that_has_ended() -> None:
    methods = [vars(type(each))["wrap_socket"] for each in contexts()]
    monkey.unpatch()
    assert all(vars(type(each))["wrap_socket"] not in methods for each in contexts())
    with monkey.patch(), echoing() as server, dial(server) as sock:
        assert not isinstance(sock, gnet.Socket)


def test_the_option_is_a_flag() -> None:
    with pytest.raises(TypeError, match='"tls"'):
        monkey.patch(tls="yes")  # type: ignore[arg-type]


# -- who polls the descriptor ---------------------------------------------------------------------


def is_readable(sock: Any) -> bool:
    return bool(select.select([sock], [], [], 0)[0])


def until_readable(sock: Any) -> None:
    while not is_readable(sock):
        gevent.sleep(0.001)


def test_a_quiet_connection_is_not_readable_whatever_tickets_come() -> None:
    with (
        echoing() as server,
        contexts()[0].wrap_socket(dial(server), server_hostname="localhost") as tls,
    ):
        tls.sendall(b"echo")
        assert tls.recv() == b"echo"
        assert not is_readable(tls)


def test_what_was_received_is_readable_also_when_it_was_decrypted() -> None:
    with (
        echoing() as server,
        contexts()[0].wrap_socket(dial(server), server_hostname="localhost") as tls,
    ):
        tls.sendall(b"echo")
        assert tls.recv(1) == b"e"
        assert is_readable(tls)
        assert tls.recv(3) == b"cho"
        assert not is_readable(tls)
        tls.sendall(b"more")
        until_readable(tls)
        assert tls.recv() == b"more"


def test_the_end_of_the_peer_is_readable() -> None:
    with echoing() as server:
        tls = contexts()[0].wrap_socket(dial(server), server_hostname="localhost")
        with tls:
            tls.sendall(b"echo")
            assert tls.recv() == b"echo"
            (at_server,) = server.connections
            at_server.end()
            until_readable(tls)
            assert tls.recv() == b""
            assert is_readable(tls)
        assert tls.fileno() == -1


# -- threads, and plain scripts -------------------------------------------------------------------


@pytest.mark.skipif(PATCHED, reason="a patched thread has a hub")
def test_a_thread_has_a_hub_as_long_as_its_connections() -> None:
    context = contexts()[0]

    def in_thread(port: int) -> list[Any]:
        seen: list[Any] = [get_hub_if_exists()]
        address = "localhost", port
        first = std_socket.create_connection(address, timeout=5)
        with context.wrap_socket(first, server_hostname="localhost") as tls:
            with std_socket.create_connection(address) as other:
                seen.append(isinstance(other, gnet.Socket))
            seen.append(get_hub_if_exists() is not None)
            tls.sendall(b"echo")
            seen.append(tls.recv())
        seen.append(get_hub_if_exists())
        return seen

    with echoing() as server:
        pool = gevent.get_hub().threadpool
        seen = pool.apply(in_thread, (place_at(server)[0],))
    assert seen == [None, True, True, b"echo", None]


@pytest.mark.skipif(PATCHED, reason="the program is a plain one")
def test_a_plain_script_has_gnets_sockets() -> None:
    script = """
import http.client, socket, ssl, sys
import gnet.monkey
from gevent._hub_local import get_hub_if_exists
from gevent.queue import Queue
context = ssl.create_default_context(cafile=sys.argv[2])
with gnet.monkey.patch(tls=True):
    for _ in range(3):
        client = http.client.HTTPSConnection("localhost", int(sys.argv[1]), context=context)
        client.request("GET", "/")
        assert isinstance(client.sock, gnet.Socket) and isinstance(client.sock, ssl.SSLSocket)
        print(client.getresponse().read())
        client.close()
        assert get_hub_if_exists() is None
"""
    with answering() as server, authority.authority().cert_pem.tempfile() as cafile:
        outcome = run(*python(script, str(server.port), cafile))
    assert (outcome.status, outcome.complaints.decode()) == (0, "")
    assert outcome.output.splitlines() == [b"b'nothing'"] * 3


@pytest.mark.skipif(PATCHED, reason="a patched thread has a hub")
@pytest.mark.parametrize("fate", ["peer stays", "refused certificate", "nobody listens"])
def test_a_thread_loses_its_hub_however_its_connection_ends(fate: str) -> None:
    context = contexts()[0]

    def in_thread(port: int) -> Any:
        try:
            sock = std_socket.create_connection(("localhost", port), timeout=5)
            if fate == "refused certificate":
                context.wrap_socket(sock, server_hostname="another.example")
            sock.close()
        except OSError:
            pass
        return get_hub_if_exists()

    pool = gevent.get_hub().threadpool
    if fate == "refused certificate":
        with echoing() as server:
            assert pool.apply(in_thread, (place_at(server)[0],)) is None
    else:
        with serving(lambda sock: None, allow_half_open=True) as server:
            port = place_at(server)[0]
            if fate == "nobody listens":
                server.close()
            assert pool.apply(in_thread, (port,)) is None


# -- servers --------------------------------------------------------------------------------------


def test_a_handler_of_pywsgi_speaks_over_what_was_wrapped() -> None:
    context = authority.server_context()
    application = pywsgi.WSGIServer(("127.0.0.1", 0), mirror, log=None)

    def serve(sock: Any) -> None:
        tls = context.wrap_socket(sock, server_side=True)
        pywsgi.WSGIHandler(tls, tls.getpeername(), application).handle()

    with serving(serve, end_on_return=True) as server:
        port = place_at(server)[0]
        client = http.client.HTTPSConnection("localhost", port, timeout=5, context=contexts()[0])
        client.request("POST", "/", LARGE)
        assert client.getresponse().read() == LARGE
        client.close()


def test_a_handler_of_socketserver_speaks_over_what_was_wrapped() -> None:
    class Shout(socketserver.StreamRequestHandler):
        def setup(self) -> None:
            self.request = authority.server_context().wrap_socket(self.request, server_side=True)
            super().setup()

        def handle(self) -> None:
            for line in self.rfile:
                self.wfile.write(line.upper())

    def serve(sock: Any) -> None:
        Shout(sock, sock.getpeername(), sock.server)

    with (
        serving(serve, end_on_return=True) as server,
        contexts()[0].wrap_socket(dial(server), server_hostname="localhost") as tls,
        tls.makefile("rb") as file,
    ):
        tls.sendall(b"hello\n")
        assert file.readline() == b"HELLO\n"


# -- HTTP -----------------------------------------------------------------------------------------


def mirror(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
    body = environ["wsgi.input"].read()
    start_response("200 OK", [])
    return [body or b"nothing"]


@contextmanager
def answering() -> Iterator[wsgi.WSGIServer]:
    with wsgi.WSGIServer(mirror, tls=authority.server_context()) as server:
        yield server.listen(0, "127.0.0.1")


def test_http_client() -> None:
    with answering() as server:
        port = server.port
        client = http.client.HTTPSConnection("localhost", port, timeout=5, context=contexts()[0])
        client.request("POST", "/", LARGE)
        assert client.getresponse().read() == LARGE
        client.request("GET", "/")
        assert isinstance(client.sock, gnet.Socket)
        assert client.getresponse().read() == b"nothing"
        client.close()


def test_urllib3_keeps_its_connections_and_sees_which_are_over() -> None:
    urllib3 = pytest.importorskip("urllib3")
    with answering() as server:
        port = server.port
        with urllib3.HTTPSConnectionPool(
            "localhost", port, timeout=5, maxsize=1, ssl_context=contexts()[0]
        ) as pool:
            for _ in range(3):
                assert pool.request("POST", "/", body=LARGE).data == LARGE
            assert pool.num_connections == 1
            (idle,) = [each for each in pool.pool.queue if each is not None]
            first = idle.sock
            assert isinstance(first, gnet.Socket)
            assert idle.is_connected
            for each in server.connections:
                each.end()
            while idle.is_connected:
                gevent.sleep(0.001)
            assert pool.request("GET", "/").data == b"nothing"
            assert idle.sock is not first


def test_requests(tmp_path: Path) -> None:
    requests = pytest.importorskip("requests")
    with (
        answering() as server,
        authority.authority().cert_pem.tempfile() as cafile,
        requests.Session() as session,
    ):
        session.trust_env = False
        url = f"https://localhost:{server.port}/"
        assert session.post(url, data=LARGE, timeout=5, verify=cafile).content == LARGE
        with session.post(url, data=LARGE, verify=cafile, stream=True) as response:
            assert b"".join(response.iter_content(7000)) == LARGE
        with pytest.raises(requests.exceptions.SSLError):
            session.get(url, timeout=5)


def test_a_block_list_holds_under_https() -> None:
    block_list = gnet.BlockList()
    block_list.add_subnet("127.0.0.0", 8)
    block_list.add_address("::1", "ipv6")
    client = http.client.HTTPSConnection("localhost", 443, timeout=5, context=contexts()[0])
    with monkey.patch(tls=True, block_list=block_list), pytest.raises(PermissionError):
        client.request("GET", "/")


# -- mail, and FTP --------------------------------------------------------------------------------


def test_smtplib_with_starttls(pair: list[str]) -> None:
    with program("smtp_server.py", *pair) as (peer, port):
        with smtplib.SMTP("localhost", port, timeout=5) as client:
            client.starttls(context=contexts()[0])
            assert isinstance(client.sock, gnet.Socket)
            client.sendmail("me@here.example", ["you@there.example"], "Subject: x\r\n\r\nHello")
        assert peer.line() == b"['you@there.example'] b'Hello'"


@pytest.mark.parametrize("starttls", [False, True], ids=["imaps", "starttls"])
def test_imaplib(starttls: bool) -> None:
    context = authority.server_context()

    def converse(sock: gnet.Socket) -> None:
        answers = {
            b"CAPABILITY": b"* CAPABILITY IMAP4rev1 STARTTLS\r\n%s OK done\r\n",
            b"STARTTLS": b"%s OK begin\r\n",
            b"LOGIN": b"%s OK done\r\n",
            b"LOGOUT": b"* BYE\r\n%s OK done\r\n",
        }
        sock.sendall(b"* OK hello\r\n")
        buffer = b""
        while chunk := sock.recv():
            buffer += chunk
            while b"\r\n" in buffer:
                line, _, buffer = buffer.partition(b"\r\n")
                tag, command = line.split()[:2]
                sock.sendall(answers[command].replace(b"%s", tag))
                if command == b"STARTTLS":
                    sock.start_tls(context, server_side=True)

    kind: Any = imaplib.IMAP4 if starttls else imaplib.IMAP4_SSL
    options: dict[str, Any] = {} if starttls else {"ssl_context": contexts()[0]}
    tls = None if starttls else context
    with (
        serving(converse, end_on_return=True, tls=tls) as server,
        kind("localhost", place_at(server)[0], timeout=5, **options) as client,
    ):
        if starttls:
            client.starttls(contexts()[0])
        assert isinstance(client.sock, gnet.Socket)
        assert client.login("user", "secret")[0] == "OK"


def ftp(context: ssl.SSLContext, stored: dict[bytes, bytes]) -> Callable[[gnet.Socket], None]:
    """An FTP server's handler, as far as a client over TLS needs one.

    :param stored: its files.
    """

    def transfer(control: gnet.Socket, data: gnet.Socket, command: bytes, name: bytes) -> None:
        control.sendall(b"150 here\r\n")
        data.start_tls(context, server_side=True)
        if command == b"STOR":
            stored[name] = b"".join(data)
        else:
            data.sendall(stored[name] if command == b"RETR" else b"\r\n".join([*stored, b""]))
        data.close()
        control.sendall(b"226 done\r\n")

    def converse(control: gnet.Socket) -> None:
        control.sendall(b"220 hello\r\n")
        buffer = b""
        listener: Any = None
        connections: Queue[gnet.Socket] = Queue()
        for chunk in control:
            buffer += chunk
            while b"\r\n" in buffer:
                line, _, buffer = buffer.partition(b"\r\n")
                command, _, argument = line.partition(b" ")
                if command == b"PASV":
                    listener = gnet.create_server(connections.put, allow_half_open=True)
                    high, low = divmod(listener.listen(0, "127.0.0.1").port, 256)
                    control.sendall(f"227 go to (127,0,0,1,{high},{low})\r\n".encode())
                elif command in (b"STOR", b"RETR", b"NLST"):
                    transfer(control, connections.get(), command, argument)
                    listener.close()
                else:
                    code = {b"AUTH": 234, b"USER": 331, b"PASS": 230}.get(command, 200)
                    control.sendall(b"%d fine\r\n" % code)
                    if command == b"AUTH":
                        control.start_tls(context, server_side=True)

    return converse


def test_ftplib() -> None:
    stored: dict[bytes, bytes] = {}
    handler = ftp(authority.server_context(), stored)
    with (
        serving(handler, end_on_return=True) as server,
        ftplib.FTP_TLS(context=contexts()[0], timeout=5) as client,
    ):
        client.connect("localhost", place_at(server)[0])
        client.login("user", "secret")
        client.prot_p()
        assert isinstance(client.sock, gnet.Socket)
        client.storbinary("STOR large", io.BytesIO(LARGE))
        assert stored == {b"large": LARGE}
        received: list[bytes] = []
        client.retrbinary("RETR large", received.append)
        assert b"".join(received) == LARGE
        assert client.nlst() == ["large"]
