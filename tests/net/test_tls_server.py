"""A server with TLS: its gate, its certificates, its limits, and clients of other makes."""

from __future__ import annotations

import socket as std_socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import gevent
import gevent.ssl
import pytest
import zope.event
from gevent import socket
from gevent.event import AsyncResult, Event

import gnet
from gnet import events
from gnet.errors import DeadlineError
from gnet.tls import Certificates
from tests.helpers.authority import (
    authority,
    certificate,
    client_context,
    issue,
    server_context,
    write_pair,
)
from tests.helpers.calls import Calls
from tests.helpers.peers import node, run, running
from tests.helpers.servers import echoing, serving
from tests.helpers.tls_peer import Peer

STYLES = pytest.mark.parametrize("style", ["event", "blocking"])


def port_of(server: gnet.Server) -> int:
    address = server.address()
    assert isinstance(address, gnet.AddressInfo)
    return address.port


def gevents_context(leaf: Any = None) -> Any:
    """A client's context whose sockets wait in the loop."""
    context = gevent.ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    authority().configure_trust(context)
    if leaf is not None:
        leaf.configure_cert(context)
    return context


@contextmanager
def client(
    server: gnet.Server, name: str | None = "localhost", context: Any = None
) -> Iterator[Any]:
    """gevent's own client, behind the handshake."""
    plain = socket.create_connection(("127.0.0.1", port_of(server)))
    try:
        with (context or gevents_context()).wrap_socket(plain, server_hostname=name) as sock:
            yield sock
    finally:
        plain.close()


@contextmanager
def stranger(server: gnet.Server) -> Iterator[Any]:
    """A client that may do anything."""
    with closing(socket.create_connection(("127.0.0.1", port_of(server)))) as sock:
        yield sock


class Failures:
    """What a server tells of the clients that it has not let in."""

    def __init__(self, server: gnet.Server) -> None:
        self.errors: list[BaseException] = []
        self.infos: list[Any] = []
        self.drops: list[Any] = []
        self._came = Event()
        server.on("tls_client_error", self._failed)
        server.on("drop", self._dropped)

    def _failed(self, error: BaseException, info: Any) -> None:
        self.errors.append(error)
        self.infos.append(info)

    def _dropped(self, info: Any) -> None:
        self.drops.append(info)
        self._came.set()

    def wait(self) -> BaseException:
        """The one failure, once its connection is closed."""
        self._came.wait()
        [error], [info], [drop] = self.errors, self.infos, self.drops
        assert info == drop
        assert drop.reason == info.reason == "tls"
        assert drop.remote_address == "127.0.0.1"
        return error


def code_of(error: BaseException) -> Any:
    return getattr(error, "code", None)


def at_end(sock: Any) -> bytes:
    """All up to the end of a connection, or its reset."""
    data = b""
    with suppress(ConnectionError):
        while True:
            chunk = sock.recv(65536)
            if not chunk:
                break
            data += chunk
    return data


# -- connections -----------------------------------------------------------------------------


@STYLES
def test_an_echo_goes_encrypted(style: str) -> None:
    with echoing(style, tls=server_context()) as server, client(server) as sock:
        for size in (1, 1000, 16384, 16385, 300_000):
            data = bytes(range(256)) * (size // 256) + b"x" * (size % 256)
            sender = gevent.spawn(sock.sendall, data)
            got = b""
            while len(got) < size:
                got += sock.recv(65536)
            sender.get()
            assert got == data


@STYLES
def test_an_end_comes_back(style: str) -> None:
    with echoing(style, tls=server_context()) as server, client(server) as sock:
        sock.sendall(b"last words")
        assert sock.recv(100) == b"last words"
        plain = sock.unwrap()
        assert plain.recv(100) == b""


def test_the_listener_is_called_when_the_handshake_is_done(must_call: Calls) -> None:
    begun = Event()

    def connected(sock: gnet.Socket) -> None:
        assert begun.is_set()
        sock.end(b"hello")

    with (
        serving(must_call(connected), tls=server_context()) as server,
        stranger(server) as plain,
    ):
        gevent.sleep(0.01)
        assert server.connections == frozenset()
        begun.set()
        sock = gevents_context().wrap_socket(plain, server_hostname="localhost")
        # To its end, as a close with that unread is a reset.
        assert at_end(sock) == b"hello"
        must_call.wait()
        sock.close()


def test_what_comes_with_the_handshake_is_not_lost() -> None:
    with echoing(tls=server_context()) as server, stranger(server) as plain:
        peer = Peer(plain._sock, client_context(), server_hostname="localhost")
        peer.handshake()
        while True:
            socket.wait_read(plain.fileno())
            peer.hear()
            try:
                peer.tls.do_handshake()
            except ssl.SSLWantReadError:
                continue
            break
        # The last step and the first bytes in one piece.
        peer.deliver(peer.take() + peer.encrypted(b"at once", b", and more"))
        got = b""
        while len(got) < 17:
            socket.wait_read(plain.fileno())
            got += peer.read()
        assert got == b"at once, and more"


def test_bytes_count_as_the_program_sees_them() -> None:
    counts: AsyncResult[Any] = AsyncResult()

    def serve(sock: gnet.Socket) -> None:
        data = sock.recv(100)
        sock.sendall(b"answer")
        counts.set((data, sock.bytes_read, sock.bytes_written))

    with (
        serving(serve, tls=server_context(), end_on_return=True) as server,
        client(server) as sock,
    ):
        sock.sendall(b"hello")
        assert sock.recv(100) == b"answer"
        assert counts.get() == (b"hello", 5, 6)


def test_limits_hold_over_tls() -> None:
    with serving(tls=server_context(), max_connections=1, lifetime=0.3) as server:
        dropped = Event()
        slow: AsyncResult[Any] = AsyncResult()
        server.on("drop", lambda info: dropped.set() if info.reason == "max_connections" else 0)
        server.on("connection", lambda sock: sock.on("error", slow.set))
        with client(server) as first, stranger(server) as second:
            assert second.recv(1) == b""
            dropped.wait()
            assert len(server.connections) == 1
            assert at_end(first) == b""
            assert slow.get().deadline == "lifetime"


def test_lifetime_runs_from_the_accept() -> None:
    slow: AsyncResult[Any] = AsyncResult()
    with serving(tls=server_context(), lifetime=2) as server, stranger(server) as plain:
        server.on("connection", lambda sock: sock.on("error", slow.set))
        gevent.sleep(1)
        sock = gevents_context().wrap_socket(plain, server_hostname="localhost")
        with gevent.Timeout(1.8):
            assert at_end(sock) == b""
        assert slow.get().deadline == "lifetime"
        sock.close()


def test_a_handshake_counts_for_max_connections_and_is_no_connection_yet() -> None:
    with (
        serving(tls=server_context(), max_connections=2) as server,
        stranger(server),
        stranger(server),
        stranger(server) as third,
    ):
        assert third.recv(1) == b""
        assert server.connections == frozenset()


def test_shutdown_ends_handshakes_at_once() -> None:
    with serving(tls=server_context()) as server, stranger(server) as sock:
        gevent.sleep(0.01)
        server.shutdown(grace=5)
        assert sock.recv(1) == b""


def test_the_process_hears_of_it() -> None:
    told: list[Any] = []
    zope.event.subscribers.append(told.append)
    with echoing(tls=server_context()) as server, client(server) as sock:
        sock.sendall(b"x")
        assert sock.recv(1) == b"x"
        [secure] = [each for each in told if isinstance(each, events.SecureConnected)]
        [inside] = server.connections
        assert secure.socket is inside
        assert (secure.protocol, secure.resumed) == ("TLSv1.3", False)
        assert 0 < secure.seconds < 5
        names = [type(each).__name__ for each in told]
        assert names.index("ConnectionAccepted") < names.index("SecureConnected")


# -- failures --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "garbage, code",
    [
        (b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", "ERR_SSL_HTTP_REQUEST"),
        (b"SSH-2.0-x\r\n", "ERR_SSL_WRONG_VERSION_NUMBER"),
        (b"\0" * 1000, "ERR_SSL_WRONG_VERSION_NUMBER"),
        (b"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00", "ERR_SSL_LENGTH_TOO_SHORT"),
        (b"\x16\x03\x01\x00\x05\x02\x00\x00\x01\x00", "ERR_SSL_UNEXPECTED_MESSAGE"),
    ],
)
def test_what_is_no_client_is_one_error(
    garbage: bytes, code: str, capfd: pytest.CaptureFixture[str]
) -> None:
    with echoing(tls=server_context()) as server:
        failures = Failures(server)
        with stranger(server) as sock:
            sock.sendall(garbage)
            # An alert for what speaks TLS, and the end.
            assert at_end(sock)[:1] == (b"\x15" if garbage[0] == 22 else b"")
        assert code_of(failures.wait()) == code
        with client(server) as sock:
            sock.sendall(b"x")
            assert sock.recv(1) == b"x"
    assert capfd.readouterr().err == ""


def test_a_name_that_is_no_ascii_prints_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    from tests.unit.test_client_hello import HELLO

    with echoing(tls=server_context()) as server, stranger(server) as sock:
        sock.sendall(HELLO.replace(b"www.example.com", b"www.ex\xffmple.com"))
        assert sock.recv(1) == b"\x16"
    assert capfd.readouterr().err == ""


def test_a_client_that_says_nothing_is_dropped_in_time() -> None:
    with echoing(tls=server_context(), handshake_timeout=0.05) as server:
        failures = Failures(server)
        with stranger(server) as sock:
            assert sock.recv(1) == b""
        error = failures.wait()
        assert isinstance(error, DeadlineError)
        assert (error.deadline, error.seconds) == ("handshake_timeout", 0.05)
        assert code_of(error) == "ERR_TLS_HANDSHAKE_TIMEOUT"


def test_a_client_that_drips_is_dropped_in_time() -> None:
    with echoing(tls=server_context(), handshake_timeout=0.2) as server:
        failures = Failures(server)
        with stranger(server) as sock:

            def drip() -> None:
                from tests.unit.test_client_hello import HELLO

                with suppress(OSError):
                    for byte in HELLO:
                        sock.send(bytes([byte]))
                        gevent.sleep(0.005)

            dripping = gevent.spawn(drip)
            assert at_end(sock) == b""
            dripping.kill()
        assert isinstance(failures.wait(), DeadlineError)


@pytest.mark.parametrize("step", ["nothing", "half a hello", "hello", "all but the last"])
def test_a_client_that_resets_in_any_step_is_one_error(step: str) -> None:
    with echoing(tls=server_context()) as server:
        failures = Failures(server)
        with stranger(server) as sock:
            peer = Peer(sock._sock, client_context(), server_hostname="localhost")
            if step != "nothing":
                with suppress(ssl.SSLWantReadError):
                    peer.tls.do_handshake()
                hello = peer.take()
                peer.deliver(hello[:50] if step == "half a hello" else hello)
            if step in ("hello", "all but the last"):
                socket.wait_read(sock.fileno())
            if step == "all but the last":
                peer.hear()
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        error = failures.wait()
        assert isinstance(error, OSError)
        assert code_of(error) == "ECONNRESET"


def test_a_client_that_does_not_believe_the_certificate_says_why() -> None:
    with echoing(tls=server_context()) as server:
        failures = Failures(server)
        context = gevent.ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        with pytest.raises(ssl.SSLCertVerificationError), client(server, context=context):
            pass
        assert code_of(failures.wait()) == "ERR_SSL_TLSV1_ALERT_UNKNOWN_CA"


def test_a_client_without_the_certificate_that_is_wanted_is_told() -> None:
    with echoing(tls=server_context(clients=True)) as server:
        failures = Failures(server)
        with pytest.raises(ssl.SSLError, match="certificate required"), client(server) as sock:
            sock.recv(1)
        assert code_of(failures.wait()) == "ERR_SSL_PEER_DID_NOT_RETURN_A_CERTIFICATE"
        with client(server, context=gevents_context(issue("me"))) as sock:
            sock.sendall(b"x")
            assert sock.recv(1) == b"x"


def test_the_process_hears_of_failures() -> None:
    told: list[Any] = []
    zope.event.subscribers.append(told.append)
    with echoing(tls=server_context()) as server:
        failures = Failures(server)
        with stranger(server) as sock:
            sock.sendall(b"GET / HTTP/1.0\r\n\r\n")
            at_end(sock)
        error = failures.wait()
        [event] = [each for each in told if isinstance(each, events.HandshakeFailed)]
        assert (event.socket, event.error, event.server) == (None, error, server)
        assert event.info.remote_address == "127.0.0.1"


# -- places among the handshakes -------------------------------------------------------------


def test_who_says_nothing_takes_no_place_among_the_handshakes() -> None:
    with (
        echoing(tls=server_context(), max_handshakes=1) as server,
        stranger(server),
        stranger(server) as half,
    ):
        half.sendall(b"\x16\x03\x01\x02")
        with client(server) as sock:
            sock.sendall(b"x")
            assert sock.recv(1) == b"x"


def test_a_handshake_waits_for_a_place() -> None:
    with echoing(tls=server_context(), max_handshakes=1) as server, stranger(server) as first:
        peer = Peer(first._sock, client_context(), server_hostname="localhost")
        peer.handshake()
        socket.wait_read(first.fileno())
        with stranger(server) as second:
            other = Peer(second._sock, client_context(), server_hostname="localhost")
            other.handshake()
            with pytest.raises(TimeoutError):
                socket.wait_read(second.fileno(), 0.1, TimeoutError())
            first.close()
            socket.wait_read(second.fileno())


# -- names -----------------------------------------------------------------------------------


def names_of(sock: Any) -> tuple[str, ...]:
    return tuple(value for kind, value in sock.getpeercert()["subjectAltName"] if kind == "DNS")


def test_each_name_gets_its_certificate(tmp_path: Path) -> None:
    write_pair(certificate("a.example"), tmp_path / "a.pem")
    write_pair(certificate("*.b.example"), tmp_path / "b.pem")
    with echoing(tls=Certificates(tmp_path, watch=False)) as server:
        for name, expected in [("A.Example", "a.example"), ("www.b.example", "*.b.example")]:
            with client(server, name) as sock:
                assert names_of(sock) == (expected,)


def test_the_callback_may_wait() -> None:
    contexts = {"slow.example": server_context(certificate("slow.example"))}
    asked: list[str | None] = []

    def choose(name: str | None) -> ssl.SSLContext | None:
        asked.append(name)
        gevent.sleep(0.05)
        return contexts.get(name or "")

    with echoing(tls=server_context(), sni_callback=choose) as server:
        with client(server, "SLOW.example") as sock:
            assert names_of(sock) == ("slow.example",)
        with client(server, "localhost") as sock:
            assert names_of(sock) == ("localhost",)
        assert asked == ["slow.example", "localhost"]


def test_the_whole_context_holds_that_it_gives() -> None:
    other = server_context(certificate("strict.example"), clients=True)
    other.minimum_version = ssl.TLSVersion.TLSv1_3
    other.set_alpn_protocols(["other"])
    with echoing(tls=server_context(), sni_callback=lambda name: other) as server:
        failures = Failures(server)
        with pytest.raises(ssl.SSLError), client(server, "strict.example") as sock:
            sock.recv(1)
        failures.wait()
        context = gevents_context(issue("me"))
        context.set_alpn_protocols(["other"])
        with client(server, "strict.example", context) as sock:
            assert sock.selected_alpn_protocol() == "other"
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        with pytest.raises(ssl.SSLError), client(server, "strict.example", context):
            pass


@pytest.mark.parametrize("wrong", [ValueError("no such name"), 5, client_context])
def test_what_the_callback_fails_with_fails_that_handshake(wrong: Any) -> None:
    def choose(name: str | None) -> Any:
        if name != "wrong.example":
            return None
        if isinstance(wrong, Exception):
            raise wrong
        return wrong() if callable(wrong) else wrong

    with echoing(tls=server_context(), sni_callback=choose) as server:
        failures = Failures(server)
        with pytest.raises(ssl.SSLError, match="internal error"), client(server, "wrong.example"):
            pass
        error = failures.wait()
        if isinstance(wrong, Exception):
            assert error is wrong
        else:
            assert isinstance(error, (TypeError, ValueError))
            assert "sni_callback" in str(error)
        with client(server) as sock:
            sock.sendall(b"x")
            assert sock.recv(1) == b"x"


def test_garbage_is_nothing_to_ask_the_callback_about(must_not_call: Callable[..., Any]) -> None:
    with echoing(tls=server_context(), sni_callback=must_not_call("sni_callback")) as server:
        failures = Failures(server)
        with stranger(server) as sock:
            sock.sendall(b"GET / HTTP/1.0\r\n\r\n")
            at_end(sock)
        failures.wait()


def test_a_context_that_is_replaced_is_for_new_handshakes() -> None:
    with (
        echoing(tls=server_context(certificate("old.example"))) as server,
        client(server, "old.example") as sock,
    ):
        server.set_secure_context(server_context(certificate("new.example")))
        with client(server, "new.example") as other:
            assert names_of(other) == ("new.example",)
        sock.sendall(b"x")
        assert sock.recv(1) == b"x"


def test_set_secure_context_is_checked_as_tls_is() -> None:
    with echoing(tls=server_context()) as server:
        with pytest.raises(ValueError, match="context for servers"):
            server.set_secure_context(client_context())
        with client(server) as sock:
            assert names_of(sock) == ("localhost",)
    with serving() as plain, pytest.raises(RuntimeError, match="tls="):
        plain.set_secure_context(server_context())


@pytest.mark.parametrize(
    "options, error",
    [
        ({"tls": True}, TypeError),
        ({"sni_callback": lambda name: None}, TypeError),
        ({"tls": ("missing.pem", "missing.key")}, FileNotFoundError),
        ({"handshake_timeout": -1}, ValueError),
        ({"handshake_timeout": "soon"}, TypeError),
        ({"max_handshakes": 0}, ValueError),
        ({"max_handshakes": 1.5}, TypeError),
        ({"sni_callback": 5}, TypeError),
        ({"tls_strict": "yes"}, TypeError),
    ],
)
def test_bad_options_are_refused(options: dict[str, Any], error: type[Exception]) -> None:
    if "tls" not in options and options.keys() != {"sni_callback"}:
        options = {"tls": server_context(), **options}
    with pytest.raises(error):
        gnet.Server(**options)


# -- in front of it --------------------------------------------------------------------------


def test_a_proxy_header_goes_ahead_of_tls() -> None:
    trusted = gnet.BlockList()
    trusted.add_address("127.0.0.1")
    remotes: list[Any] = []

    def connected(sock: gnet.Socket) -> None:
        remotes.append((sock.remote_address, sock.remote_port))
        sock.pipe(sock)

    options = {"proxy_protocol": "require", "trusted_proxies": trusted, "tls": server_context()}
    with serving(connected, **options) as server, stranger(server) as plain:
        plain.sendall(b"PROXY TCP4 192.0.2.7 192.0.2.8 1234 443\r\n")
        sock = gevents_context().wrap_socket(plain, server_hostname="localhost")
        sock.sendall(b"x")
        assert sock.recv(1) == b"x"
        assert remotes == [("192.0.2.7", 1234)]
        sock.close()


# -- other makes -----------------------------------------------------------------------------


@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
def test_openssls_client(version: str) -> None:
    with echoing(tls=server_context()) as server:
        command = (
            "openssl", "s_client", "-quiet", "-no_ign_eof", version, "-servername", "localhost",
            "-connect", f"127.0.0.1:{port_of(server)}",
        )  # fmt: skip
        with running(*command) as peer:
            peer.send(b"hello\n")
            assert peer.line() == b"hello"
            # By its end it says that it has nothing more to say.
            assert peer.finish().status == 0


NODES_CLIENT = """
const tls = require('tls');
const options = { port: +process.argv[1], host: '127.0.0.1', servername: 'localhost',
                  ca: [process.argv[2]], ALPNProtocols: ['echo'] };
const socket = tls.connect(options, () => {
  console.log(socket.authorized, socket.alpnProtocol, socket.getProtocol());
  socket.write('x'.repeat(200000));
});
let size = 0;
socket.on('data', (data) => { size += data.length; if (size === 200000) socket.end(); });
socket.on('end', () => console.log('end', size));
socket.on('close', (hadError) => console.log('close', hadError));
"""


@STYLES
def test_nodes_client(style: str) -> None:
    context = server_context()
    context.set_alpn_protocols(["echo"])
    pem = authority().cert_pem.bytes().decode()
    with echoing(style, tls=context) as server:
        outcome = run(*node(NODES_CLIENT, str(port_of(server)), pem))
    assert outcome.output.decode().split("\n") == [
        "true echo TLSv1.3", "end 200000", "close false", ""
    ]  # fmt: skip


def test_curl_finds_its_certificate(tmp_path: Path) -> None:
    ca = tmp_path / "ca.pem"
    ca.write_bytes(authority().cert_pem.bytes())

    def answer(sock: gnet.Socket) -> None:
        sock.read_until(b"\r\n\r\n") if hasattr(sock, "read_until") else sock.recv()
        sock.sendall(b"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello")

    with serving(answer, tls=server_context(), end_on_return=True) as server:
        outcome = run(
            "curl", "-s", "--cacert", str(ca), f"https://localhost:{port_of(server)}/",
            "--resolve", f"localhost:{port_of(server)}:127.0.0.1",
        )  # fmt: skip
    assert (outcome.output, outcome.status) == (b"hello", 0)


def test_a_server_on_a_path_speaks_tls(tmp_path: Path) -> None:
    path = str(tmp_path / "socket")
    with echoing(at=(path,), tls=server_context()):
        plain = socket.socket(std_socket.AF_UNIX)
        plain.connect(path)
        sock = gevents_context().wrap_socket(plain, server_hostname="localhost")
        sock.sendall(b"x")
        assert sock.recv(1) == b"x"
        sock.close()
