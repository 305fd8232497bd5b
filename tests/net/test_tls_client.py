"""A client with TLS: how it connects, whom it believes, and servers of other makes."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import gevent
import pytest
import zope.event
from gevent import monkey, socket
from gevent.event import Event

import gnet
from gnet import events
from gnet.errors import DeadlineError
from gnet.tls import Session
from tests.helpers.authority import (
    certificate,
    client_context,
    expired,
    issue,
    server_context,
    unverified_context,
    write_pair,
)
from tests.helpers.calls import Calls
from tests.helpers.peers import node, running
from tests.helpers.servers import echoing, serving

LOCALHOST = "localhost"


def port_of(server: gnet.Server) -> int:
    address = server.address()
    assert isinstance(address, gnet.AddressInfo)
    return address.port


def connect(server: gnet.Server, **options: Any) -> gnet.Socket:
    options.setdefault("tls", client_context())
    options.setdefault("server_hostname", LOCALHOST)
    return gnet.connect(port_of(server), "127.0.0.1", **options)


def code_of(error: BaseException) -> Any:
    return getattr(error, "code", None)


@contextmanager
def silent() -> Iterator[int]:
    """A port whose server accepts and says nothing."""
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        yield server.getsockname()[1]


# -- both styles -----------------------------------------------------------------------------


@pytest.mark.parametrize("size", [1, 1000, 16384, 100_000, 1_000_000])
def test_an_echo_in_blocking_style(size: int) -> None:
    data = bytes(range(256)) * (size // 256) + b"x" * (size % 256)
    with echoing(tls=server_context()) as server, connect(server) as sock:
        sender = gevent.spawn(sock.sendall, data)
        got = b""
        while len(got) < size:
            got += sock.recv()
        sender.get()
        assert got == data


@pytest.mark.parametrize("size", [1, 1000, 16384, 100_000, 1_000_000])
def test_an_echo_in_event_style(size: int, must_call: Calls) -> None:
    data = bytes(range(256)) * (size // 256) + b"x" * (size % 256)
    got = bytearray()
    with echoing(tls=server_context()) as server:
        sock = connect(server)
        sock.on("end", must_call(None))
        sock.on("close", must_call(None))

        @sock.on("data")
        def received(chunk: bytes) -> None:
            got.extend(chunk)
            if len(got) == size:
                sock.end()

        sock.write(data)
        must_call.wait()
        assert got == data


def test_a_file_of_lines() -> None:
    with (
        echoing("blocking", tls=server_context()) as server,
        connect(server) as sock,
        sock.makefile("rwb") as file,
    ):
        file.write(b"one\ntwo\n")
        file.flush()
        assert [file.readline(), file.readline()] == [b"one\n", b"two\n"]


# -- the order of things ---------------------------------------------------------------------


def test_events_come_in_order() -> None:
    seen: list[Any] = []
    told: list[Any] = []
    zope.event.subscribers.append(told.append)
    ready = Event()
    with echoing(tls=server_context()) as server:

        def listener() -> None:
            seen.append(("listener", sock.ready_state))

        sock = gnet.connect(
            port_of(server), "127.0.0.1", listener, tls=client_context(), server_hostname=LOCALHOST
        )
        for event in ("connect", "secure_connect"):
            sock.on(event, lambda event=event: seen.append((event, sock.ready_state)))
        sock.on("connect", lambda: seen.append(sock.remote_port))
        sock.on("connect", lambda: seen.append(sock.local_address))
        sock.on("ready", ready.set)
        assert (sock.encrypted, sock.ready_state) == (False, "opening")
        ready.wait()
        assert seen == [
            ("connect", "opening"), port_of(server), "127.0.0.1", ("listener", "open"),
            ("secure_connect", "open"),
        ]  # fmt: skip
        assert sock.wait("secure_connect") == sock.wait("connect") == ()
        names = [type(each).__name__ for each in told if getattr(each, "socket", None) is sock]
        assert names == ["ConnectionOpened", "SecureConnected"]
        sock.destroy()


def test_connect_is_not_waited_for_once_it_has_come() -> None:
    with silent() as port:
        sock = gnet.connect(port, "127.0.0.1", tls=client_context(), server_hostname=LOCALHOST)
        assert sock.wait("connect", 5) == ()
        assert sock.wait("connect", 5) == ()
        with pytest.raises(TimeoutError):
            sock.wait("secure_connect", 0.01)
        sock.destroy()
        with pytest.raises(OSError):
            sock.wait("secure_connect")


def test_what_is_written_at_once_goes_behind_the_handshake() -> None:
    with echoing(tls=server_context()) as server:
        sock = connect(server)
        assert sock.write(b"one")
        sock.sendall(b"two")
        got = b""
        while len(got) < 6:
            got += sock.recv()
        assert got == b"onetwo"
        assert sock.bytes_written == sock.bytes_read == 6
        sock.close()


def test_what_it_knows_of_the_connection() -> None:
    context = client_context()
    context.set_alpn_protocols(["h2", "echo"])
    servers = server_context()
    servers.set_alpn_protocols(["echo"])
    inside: list[gnet.Socket] = []
    with serving(inside.append, tls=servers) as server, connect(server, tls=context) as sock:
        assert sock.encrypted and sock.authorized
        assert (sock.alpn_protocol, sock.selected_alpn_protocol()) == ("echo", "echo")
        assert (sock.get_protocol(), sock.version()) == ("TLSv1.3", "TLSv1.3")
        name, version, bits = sock.cipher() or ("", "", 0)
        assert sock.get_cipher() == {"name": name, "version": version}
        assert (version, bits >= 128) == ("TLSv1.3", True)
        assert ("DNS", LOCALHOST) in sock.getpeercert()["subjectAltName"]
        assert sock.get_peer_certificate() == sock.getpeercert()
        assert isinstance(sock.getpeercert(True), bytes)
        assert sock.context is context
        assert (sock.server_hostname, sock.servername) == (LOCALHOST, LOCALHOST)
        assert (sock.server_side, sock.session_reused, sock.truncated) == (False, False, False)
        assert not sock.is_session_reused()
        assert sock.do_handshake() is None
        # With TLS 1.3 the client is done first.
        sock.sendall(b"x")
        while not inside:
            gevent.sleep(0.001)
        [other] = inside
        assert other.encrypted and other.server_side and not other.authorized
        assert (other.servername, other.alpn_protocol) == (LOCALHOST, "echo")
        assert other.getpeercert() is None
        assert other.get_peer_certificate() == {}
        assert other.shared_ciphers()
        assert other.wait("secure_connect") == ()


def test_a_plain_connection_says_that_it_is_plain() -> None:
    with echoing() as server, gnet.connect(port_of(server), "127.0.0.1") as sock:
        assert not (sock.encrypted or sock.authorized or sock.truncated or sock.server_side)
        for value in (
            sock.alpn_protocol, sock.servername, sock.get_protocol(), sock.get_cipher(),
            sock.version(), sock.cipher(), sock.getpeercert(), sock.context, sock.session,
            sock.session_reused, sock.server_hostname, sock.get_channel_binding(),
        ):  # fmt: skip
            assert value is None
        assert sock.get_peer_certificate() == {}


def test_client_certificates() -> None:
    inside: list[gnet.Socket] = []
    with (
        serving(inside.append, tls=server_context(clients=True)) as server,
        connect(server, tls=client_context(issue("me"))),
    ):
        # With TLS 1.3 the client is done first.
        while not inside:
            gevent.sleep(0.001)
        assert inside[0].authorized
        assert ("DNS", "me") in inside[0].getpeercert()["subjectAltName"]


def test_a_redial_shakes_hands_anew(must_call: Calls) -> None:
    with echoing(tls=server_context()) as server:
        sock = connect(server)
        sock.sendall(b"x")
        assert sock.recv() == b"x"
        sock.destroy()
        sock.wait("close")
        sock.connect(
            port_of(server), "127.0.0.1", must_call(None), tls=client_context(),
            server_hostname=LOCALHOST,
        )  # fmt: skip
        assert not sock.encrypted
        sock.sendall(b"y")
        assert sock.recv() == b"y"
        assert sock.encrypted
        must_call.wait()
        sock.close()


# -- whom it believes ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "names, options, code",
    [
        (("other.example",), {}, "ERR_TLS_CERT_ALTNAME_INVALID"),
        ((LOCALHOST,), {"server_hostname": None}, "ERR_TLS_CERT_ALTNAME_INVALID"),
        (("127.0.0.1",), {}, "ERR_TLS_CERT_ALTNAME_INVALID"),
        ((), {}, "CERT_HAS_EXPIRED"),
    ],
)
def test_a_server_that_is_not_believed(
    names: tuple[str, ...], options: dict[str, Any], code: str
) -> None:
    leaf = certificate(*names) if names else expired(LOCALHOST)
    with echoing(tls=server_context(leaf)) as server:
        failures: list[Any] = []
        server.on("tls_client_error", lambda error, info: failures.append(error))
        dropped = Event()
        server.on("drop", lambda info: dropped.set())
        sock = connect(server, **options)
        with pytest.raises(ssl.SSLCertVerificationError) as failure:
            sock.wait("secure_connect")
        error: Any = failure.value
        assert code_of(error) == code
        assert (error.address, error.port) == ("127.0.0.1", port_of(server))
        assert f"127.0.0.1:{port_of(server)}" in str(error)
        sock.wait("close")
        # The alert has reached the server.
        dropped.wait()
        assert "ALERT" in code_of(failures[0])


def test_a_stranger_with_his_own_authority_is_not_believed() -> None:
    with echoing(tls=server_context()) as server:
        sock = connect(server, tls=True)
        with pytest.raises(ssl.SSLCertVerificationError) as failure:
            sock.recv()
        assert code_of(failure.value) in (
            "SELF_SIGNED_CERT_IN_CHAIN", "UNABLE_TO_GET_ISSUER_CERT_LOCALLY",
            "UNABLE_TO_VERIFY_LEAF_SIGNATURE",
        )  # fmt: skip


def test_an_address_is_verified_as_an_address() -> None:
    with echoing(tls=server_context()) as server:
        for host in ("127.0.0.1", "127.1"):
            with gnet.connect(port_of(server), host, tls=client_context()) as sock:
                assert sock.authorized
                assert sock.servername is None


def test_nobody_may_be_verified_when_that_is_said() -> None:
    with (
        echoing(tls=server_context(certificate("other.example"))) as server,
        connect(server, tls=unverified_context(), server_hostname="") as sock,
    ):
        assert sock.encrypted and not sock.authorized
        assert sock.server_hostname is None
        assert sock.get_peer_certificate() == {}


@pytest.mark.parametrize(
    "options, error, text",
    [
        ({"tls": "yes"}, TypeError, "tls"),
        ({"tls": server_context}, ValueError, "context for clients"),
        ({"tls": None, "server_hostname": "x"}, TypeError, "needs the option tls="),
        ({"tls": None, "session": object()}, TypeError, "needs the option tls="),
        ({"server_hostname": "a\0b"}, ValueError, "server_hostname"),
        ({"server_hostname": ""}, ValueError, "check_hostname=False"),
        ({"server_hostname": 5}, TypeError, "server_hostname"),
        ({"handshake_timeout": -1}, ValueError, "handshake_timeout"),
        ({"session": object()}, TypeError, "session"),
        ({"tls_strict": 5}, TypeError, "tls_strict"),
    ],
)
def test_bad_options_are_refused_before_anything_is_sent(
    options: dict[str, Any], error: type[Exception], text: str
) -> None:
    if callable(options.get("tls")):
        options = {**options, "tls": options["tls"]()}
    with silent() as port:
        options = {"tls": client_context(), **options}
        with pytest.raises(error, match=text):
            gnet.connect(port, "127.0.0.1", **options)


def test_a_path_needs_a_name(tmp_path: Path) -> None:
    path = str(tmp_path / "socket")
    with echoing(at=(path,), tls=server_context()):
        with pytest.raises(ValueError, match="server_hostname"):
            gnet.connect(path, tls=client_context())
        with gnet.connect(path, tls=client_context(), server_hostname=LOCALHOST) as sock:
            sock.sendall(b"x")
            assert sock.recv() == b"x"


# -- sessions --------------------------------------------------------------------------------


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize("style", ["event", "nobody reads"])
def test_a_session_is_resumed(version: ssl.TLSVersion, style: str) -> None:
    servers, clients = server_context(), client_context()
    clients.maximum_version = version
    with echoing(tls=servers) as server:
        first = connect(server, tls=clients)
        got: list[Session] = []
        came = Event()

        @first.on("session")
        def keep(session: Session) -> None:
            got.append(session)
            came.set()

        if style == "event":
            first.resume()
        came.wait()
        assert not first.is_session_reused()
        first.destroy()
        assert isinstance(first.session, Session)
        with connect(server, tls=clients, session=got[-1]) as second:
            second.sendall(b"x")
            assert second.recv() == b"x"
            assert second.is_session_reused() and second.session_reused


def test_a_session_is_for_one_server_and_one_context() -> None:
    context = client_context()
    with echoing(tls=server_context()) as server, connect(server, tls=context) as sock:
        sock.sendall(b"x")
        assert sock.recv() == b"x"
        session = sock.session
        assert isinstance(session, Session)
        assert (session.host, session.port) == (LOCALHOST, port_of(server))
        for options in ({"server_hostname": "127.0.0.1"}, {"tls": client_context()}):
            with pytest.raises(ValueError, match="session"):
                connect(server, **{"tls": context, **options}, session=session)
        with pytest.raises(ValueError, match="session"):
            gnet.connect(1, "127.0.0.1", tls=context, server_hostname=LOCALHOST, session=session)


# -- failures --------------------------------------------------------------------------------


def test_a_server_that_says_nothing_is_given_up() -> None:
    with silent() as port:
        sock = gnet.connect(
            port, "127.0.0.1", tls=client_context(), server_hostname=LOCALHOST,
            handshake_timeout=0.05,
        )  # fmt: skip
        with pytest.raises(DeadlineError) as failure:
            sock.recv()
        assert failure.value.deadline == "handshake_timeout"
        assert code_of(failure.value) == "ERR_TLS_HANDSHAKE_TIMEOUT"


def test_connect_timeout_covers_the_handshake() -> None:
    with silent() as port:
        sock = gnet.connect(
            port, "127.0.0.1", tls=client_context(), server_hostname=LOCALHOST,
            connect_timeout=0.05,
        )  # fmt: skip
        with pytest.raises(DeadlineError) as failure:
            sock.recv()
        assert failure.value.deadline == "connect_timeout"


def test_destroy_ends_a_handshake() -> None:
    with silent() as port:
        sock = gnet.connect(port, "127.0.0.1", tls=client_context(), server_hostname=LOCALHOST)
        sock.wait("connect")
        sock.destroy()
        assert sock.wait("close") == (False,)


def test_a_plain_server_is_an_error_with_nodes_code() -> None:
    def greet(sock: gnet.Socket) -> None:
        sock.end(b"220 hello, this is no TLS at all\r\n")

    with serving(greet) as server:
        sock = connect(server)
        with pytest.raises(ssl.SSLError) as failure:
            sock.recv()
        assert code_of(failure.value) == "ERR_SSL_WRONG_VERSION_NUMBER"


def test_a_server_that_leaves_in_the_handshake_is_a_reset() -> None:
    with serving(lambda sock: sock.destroy()) as server:
        sock = connect(server)
        with pytest.raises(OSError) as failure:
            sock.recv()
        error: Any = failure.value
        assert (code_of(error), error.address) == ("ECONNRESET", "127.0.0.1")


def test_the_process_hears_of_failures() -> None:
    told: list[Any] = []
    zope.event.subscribers.append(told.append)
    with serving(lambda sock: sock.destroy()) as server:
        sock = connect(server)
        with pytest.raises(OSError) as failure:
            sock.recv()
        sock.wait("close")
        mine = [each for each in told if getattr(each, "socket", None) is sock]
        assert [type(each) for each in mine] == [events.HandshakeFailed, events.ConnectionFailed]
        assert mine[0].error is mine[1].error is failure.value


# -- ends ------------------------------------------------------------------------------------


def test_an_end_without_close_notify_is_truncated() -> None:
    def cut(sock: gnet.Socket) -> None:
        sock.write(b"half", callback=lambda error: sock.destroy())

    with serving(cut, tls=server_context()) as server, connect(server) as sock:
        assert [sock.recv(), sock.recv()] == [b"half", b""]
        assert sock.truncated
        sock.close()
        sock.wait("close")
        assert sock.truncated


def test_it_is_an_error_to_a_strict_one() -> None:
    def cut(sock: gnet.Socket) -> None:
        sock.write(b"half", callback=lambda error: sock.destroy())

    with serving(cut, tls=server_context()) as server:
        sock = connect(server, tls_strict=True)
        assert sock.recv() == b"half"
        with pytest.raises(ssl.SSLEOFError) as failure:
            sock.recv()
        assert code_of(failure.value) == "ERR_SSL_UNEXPECTED_EOF_WHILE_READING"


def test_half_open_works() -> None:
    def late(sock: gnet.Socket) -> None:
        data = b"".join(sock)
        sock.sendall(data.upper())

    with (
        serving(late, tls=server_context(), end_on_return=True) as server,
        connect(server) as sock,
    ):
        sock.sendall(b"hello")
        sock.end()
        assert b"".join(sock) == b"HELLO"
        assert not sock.truncated


# -- other makes -----------------------------------------------------------------------------


@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
def test_openssls_server(version: str, tmp_path: Path) -> None:
    certfile, keyfile = write_pair(certificate(), tmp_path / "cert.pem", tmp_path / "key.pem")
    command = (
        "openssl", "s_server", "-rev", version, "-accept", "127.0.0.1:0",
        "-cert", str(certfile), "-key", str(keyfile), "-cert_chain", str(certfile),
    )  # fmt: skip
    with running(*command) as server:
        line = b""
        while not line.startswith(b"ACCEPT"):
            line = server.line()
            assert line, server.finish().complaints
        port = int(line.rpartition(b":")[2])
        with gnet.connect(port, LOCALHOST, tls=client_context()) as sock:
            sock.sendall(b"hello\n")
            assert sock.recv() == b"olleh\n"


NODES_SERVER = """
const tls = require('tls');
const fs = require('fs');
const options = { cert: fs.readFileSync(process.argv[1]), key: fs.readFileSync(process.argv[2]) };
const server = tls.createServer(options, (socket) => {
  socket.pipe(socket);
  socket.on('error', (error) => console.log(error.code));
  socket.on('end', () => console.log('end'));
});
server.listen(0, '127.0.0.1', () => console.log(server.address().port));
"""


def test_nodes_server(tmp_path: Path) -> None:
    certfile, keyfile = write_pair(certificate(), tmp_path / "cert.pem", tmp_path / "key.pem")
    with running(*node(NODES_SERVER, str(certfile), str(keyfile))) as server:
        port = int(server.line())
        data = bytes(range(256)) * 2000
        with gnet.connect(port, LOCALHOST, tls=client_context()) as sock:
            sender = gevent.spawn(sock.sendall, data)
            got = b""
            while len(got) < len(data):
                got += sock.recv()
            sender.get()
            assert got == data
            sock.end()
            assert sock.recv() == b""
        assert server.line() == b"end"


def test_pythons_server() -> None:
    if monkey.is_module_patched("ssl"):
        pytest.skip("its sockets would be gevent's")
    plain = monkey.get_original("socket", "socket")
    listener = plain()
    listener.bind(("127.0.0.1", 0))
    listener.listen()
    outcome: list[Any] = []

    def serve() -> None:
        accepted, _ = listener.accept()
        with suppress(OSError), server_context().wrap_socket(accepted, server_side=True) as sock:
            while data := sock.recv(65536):
                sock.sendall(data)
            outcome.append(sock.unwrap() and "unwrapped")

    thread = monkey.get_original("threading", "Thread")(target=serve)
    thread.start()
    try:
        port = listener.getsockname()[1]
        with gnet.connect(port, LOCALHOST, tls=client_context()) as sock:
            sock.sendall(b"hello")
            assert sock.recv() == b"hello"
    finally:
        gevent.get_hub().threadpool.apply(thread.join)
        listener.close()
