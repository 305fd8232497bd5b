"""Wrong kinds and values of arguments: refused with Node's code before anything is opened."""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from gevent import monkey, socket

import gnet
from tests.helpers.counts import descriptors

if TYPE_CHECKING:
    from tests.helpers.calls import Call
    from tests.net.conftest import Net

# The one of gevent's, where it is patched in, closes only when the loop next looks for events.
close = monkey.get_original("os", "close")

KIND = (TypeError, "ERR_INVALID_ARG_TYPE")
VALUE = (ValueError, "ERR_INVALID_ARG_VALUE")
RANGE = (ValueError, "ERR_OUT_OF_RANGE")
PORT = (ValueError, "ERR_SOCKET_BAD_PORT")
ADDRESS = (ValueError, "ERR_INVALID_IP_ADDRESS")
ENCODING = (ValueError, "ERR_UNKNOWN_ENCODING")

NO_FLAGS = ["yes", 2, 1.0, [], None]
NO_FUNCTIONS = [1, "f", [], object()]
NO_SECONDS = ["1", True, [], object()]
NOT_FINITE = [math.inf, math.nan]
BAD_SECONDS = [-1, -0.5, *NOT_FINITE]
NO_INTEGERS = ["1", True, 1.5, [], object()]
NO_PORTS = [True, 1.5, b"80", [], object()]
BAD_PORTS = [-1, 65536, "65536", "x", "", "-1"]
NO_TEXTS = [1, True, b"text", [], object()]
NO_SIGNALS = [1, "now", True, object()]


def refused(
    right: tuple[type[Exception], str], call: Callable[..., Any], *args: Any, **kw: Any
) -> str:
    """Call and give the error, which has to be of the right kind and code."""
    kind, code = right
    before = descriptors()
    with pytest.raises(kind) as caught:
        call(*args, **kw)
    assert descriptors() == before, "something was opened"
    assert isinstance(caught.value, kind)
    assert caught.value.code == code
    return str(caught.value)


def cases(*rows: tuple[str, list[Any], tuple[type[Exception], str]]) -> pytest.MarkDecorator:
    """One case for each of the values of each row ``(option, values, right error)``."""
    return pytest.mark.parametrize(
        ("option", "value", "right"),
        [
            pytest.param(option, value, right, id=f"{option}={type(value).__name__}-{number}")
            for option, values, right in rows
            for number, value in enumerate(values)
        ],
    )


# -- connect() -----------------------------------------------------------------------------

CONNECT_OPTIONS = (
    ("port", NO_PORTS, KIND),
    ("port", BAD_PORTS, PORT),
    ("host", [1, True, b"localhost", [], object()], KIND),
    ("family", [True, 4.0, [], object()], KIND),
    ("family", [5, 1, -4, "ipv5"], VALUE),
    ("hints", NO_INTEGERS, KIND),
    ("hints", [-1, 1 << 40], VALUE),
    ("local_address", NO_TEXTS, KIND),
    ("local_address", ["localhost", "", "1.2.3", "::1::", "127.0.0.1:80"], ADDRESS),
    ("local_port", NO_INTEGERS, KIND),
    ("local_port", [-1, 65536], PORT),
    ("lookup", NO_FUNCTIONS, KIND),
    ("no_delay", NO_FLAGS, KIND),
    ("keep_alive", NO_FLAGS, KIND),
    ("keep_alive_initial_delay", NO_SECONDS, KIND),
    ("keep_alive_initial_delay", NOT_FINITE, RANGE),
    ("auto_select_family", ["yes", 2, 1.0, []], KIND),
    ("auto_select_family_attempt_timeout", NO_SECONDS, KIND),
    ("auto_select_family_attempt_timeout", [0, *BAD_SECONDS], RANGE),
    ("block_list", [1, "127.0.0.1", [], object()], KIND),
    ("connect_listener", NO_FUNCTIONS, KIND),
)


def checked_message(text: str, option: str, value: Any) -> None:
    assert option in text
    assert repr(value) in text


@cases(*CONNECT_OPTIONS)
def test_connect_refuses(option: Any, value: Any, right: Any) -> None:
    sock = gnet.Socket()
    arguments = {"port": 1, "host": "127.0.0.1", option: value}
    checked_message(refused(right, sock.connect, **arguments), option, value)
    assert not sock.connecting
    assert sock.pending
    assert not sock.destroyed
    assert sock.ready_state == "closed"
    assert sock.listener_count("connect") == 0


@cases(
    *CONNECT_OPTIONS,
    ("timeout", NO_SECONDS, KIND),
    ("timeout", BAD_SECONDS, RANGE),
    ("signal", NO_SIGNALS, KIND),
    ("allow_half_open", NO_FLAGS, KIND),
    ("high_water_mark", ["1", True, 1.5, [], object()], KIND),
    ("onread", [1, {}, object(), bytearray(4)], KIND),
)
def test_create_connection_refuses(option: Any, value: Any, right: Any) -> None:
    arguments = {"port": 1, "host": "127.0.0.1", option: value}
    checked_message(refused(right, gnet.create_connection, **arguments), option, value)


@pytest.mark.parametrize("path", [1, True, b"/tmp/x.sock", [], object()])
def test_connect_refuses_a_path_of_another_kind(path: Any) -> None:
    checked_message(refused(KIND, gnet.connect, path=path), "path", path)


@pytest.mark.parametrize("path", ["", "/tmp/a\0b"])
def test_connect_refuses_a_path_that_is_none(path: Any) -> None:
    checked_message(refused(VALUE, gnet.connect, path=path), "path", path)


@pytest.mark.parametrize("target", [True, 1.5, b"80", {}, object(), [True], [{}], [b"80"]])
@pytest.mark.parametrize("call", ["connect", "create_connection", "Socket.connect"])
def test_connect_refuses_a_target_of_another_kind(call: Any, target: Any) -> None:
    function = gnet.Socket().connect if "." in call else getattr(gnet, call)
    refusal = refused(KIND, function, target)
    assert repr(target[0] if isinstance(target, list) else target) in refusal


@pytest.mark.parametrize("target", [[], ["127.0.0.1"], ["::1:80"], ["host:port"], [["a:1"]]])
def test_connect_refuses_a_list_that_is_none_of_targets(target: Any) -> None:
    with pytest.raises((TypeError, ValueError), match='"target" argument must be'):
        gnet.connect(target)


@pytest.mark.parametrize("target", [-1, 65536, "65536", ("127.0.0.1", -1), ("127.0.0.1", "x")])
def test_connect_refuses_a_target_that_is_no_port(target: Any) -> None:
    assert "port" in refused(PORT, gnet.connect, target)


@pytest.mark.parametrize(
    "target", [(), ("127.0.0.1",), ("127.0.0.1", 80, 0, 0, 0), (80, "127.0.0.1"), (None, True)]
)
def test_connect_refuses_a_tuple_that_is_no_address(target: Any) -> None:
    with pytest.raises((TypeError, ValueError)) as caught:
        gnet.connect(target)
    assert caught.value.code.startswith("ERR_")


@pytest.mark.parametrize("arguments", [{}, {"host": "localhost"}, {"no_delay": True}])
@pytest.mark.parametrize("call", ["create_connection", "Socket.connect"])
def test_connect_needs_a_port_or_a_path(call: Any, arguments: Any) -> None:
    function = gnet.Socket().connect if "." in call else getattr(gnet, call)
    text = refused((TypeError, "ERR_MISSING_ARGS"), function, **arguments)
    assert "port" in text
    assert "path" in text


@pytest.mark.parametrize("call", ["connect", "create_connection", "Socket.connect"])
def test_host_before_port_is_refused_with_both_right_forms(call: Any) -> None:
    function = gnet.Socket().connect if "." in call else getattr(gnet, call)
    text = refused(KIND, function, "localhost", 8124)
    assert "8124, 'localhost'" in text
    assert "('localhost', 8124)" in text


@pytest.mark.parametrize("call", ["Server.listen", "serve"])
def test_host_before_port_is_refused_where_one_listens_as_well(call: Any) -> None:
    if call == "serve":
        text = refused(KIND, gnet.serve, print, "localhost", 8124)
    else:
        text = refused(KIND, gnet.Server().listen, "localhost", 8124)
    assert "8124, 'localhost'" in text
    assert "('localhost', 8124)" in text


HOST_AND_PORT = {
    "127.0.0.1:8080": ("127.0.0.1", 8080),
    "localhost:80": ("localhost", 80),
    "example.org:0": ("example.org", 0),
    "münchen.example:65535": ("münchen.example", 65535),
    "[::1]:80": ("::1", 80),
    "[fe80::1%eth0]:443": ("fe80::1%eth0", 443),
}


@pytest.mark.parametrize("text", HOST_AND_PORT)
@pytest.mark.parametrize("call", ["connect", "Socket.connect", "Server.listen", "serve"])
def test_host_and_port_in_one_string_is_refused_with_both_right_forms(
    call: str, text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    host, port = HOST_AND_PORT[text]
    calls: dict[str, Callable[[str], Any]] = {
        "connect": gnet.connect,
        "Socket.connect": gnet.Socket().connect,
        "Server.listen": gnet.Server().listen,
        "serve": lambda target: gnet.serve(print, target),
    }
    message = refused(VALUE, calls[call], text)
    assert f"{port}, {host!r}" in message
    assert f"({host!r}, {port})" in message
    assert os.listdir(tmp_path) == []


def test_a_port_behind_a_colon_is_refused_as_well() -> None:
    assert "8080" in refused(VALUE, gnet.Server().listen, ":8080")


@pytest.mark.skipif(sys.platform == "win32", reason="paths are those of named pipes")
@pytest.mark.parametrize(
    "target",
    [
        "localhost", "::1", "a:b", "host:65536", "[nothing]:80", "./localhost:80", "a b:80",
        Path("localhost:80"), "localhost:80:90",
    ],
    ids=repr,
)  # fmt: skip
def test_every_other_text_is_a_path(
    target: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with gnet.Server().listen(target) as server:
        assert server.address() == str(target)


@pytest.mark.skipif(sys.platform == "win32", reason="paths are those of named pipes")
def test_a_path_by_its_keyword_may_look_as_it_likes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with gnet.Server().listen(path="localhost:80") as server:
        assert server.address() == "localhost:80"
        with gnet.connect(path="localhost:80") as sock:
            assert sock.ready_state == "open"


# -- Socket() ------------------------------------------------------------------------------


@cases(
    ("fd", ["1", True, 1.5, [], object()], KIND),
    ("fd", [-1], RANGE),
    ("handle", [1, "x", [], object()], KIND),
    ("allow_half_open", NO_FLAGS, KIND),
    ("readable", ["yes", 2, 1.0, []], KIND),
    ("writable", ["yes", 2, 1.0, []], KIND),
    ("onread", [1, {}, object(), bytearray(4), print], KIND),
    ("signal", NO_SIGNALS, KIND),
    ("high_water_mark", NO_INTEGERS, KIND),
)
def test_socket_refuses(option: Any, value: Any, right: Any) -> None:
    checked_message(refused(right, gnet.Socket, **{option: value}), option, value)


def test_socket_refuses_a_negative_high_water_mark() -> None:
    with pytest.raises(ValueError, match="high_water_mark") as caught:
        gnet.Socket(high_water_mark=-1)
    assert caught.value.code in ("ERR_OUT_OF_RANGE", "ERR_INVALID_ARG_VALUE")


def test_socket_refuses_a_descriptor_that_is_not_open() -> None:
    fd = os.dup(0)
    close(fd)
    with pytest.raises(OSError) as caught:
        gnet.Socket(fd=fd)
    assert caught.value.code == "EBADF"
    assert "EBADF" in str(caught.value)
    assert isinstance(caught.value.syscall, str)


def test_socket_refuses_the_descriptor_of_a_file_and_leaves_it_open(tmp_path: Path) -> None:
    with open(tmp_path / "file", "w") as file:
        with pytest.raises((TypeError, ValueError)) as caught:
            gnet.Socket(fd=file.fileno())
        assert caught.value.code == "ERR_INVALID_FD_TYPE"
        os.fstat(file.fileno())


def test_socket_refuses_a_datagram_socket_and_leaves_it_open() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams:
        with pytest.raises((TypeError, ValueError)) as caught:
            gnet.Socket(handle=datagrams)
        assert caught.value.code.startswith("ERR_INVALID_")
        assert datagrams.fileno() >= 0


@pytest.mark.parametrize("buffer", [1, "text", None, object()])
def test_onread_refuses_a_buffer_that_is_none(buffer: Any) -> None:
    text = refused(KIND, gnet.OnRead, buffer, print)
    assert "buffer" in text


def test_onread_refuses_a_buffer_that_cannot_be_written() -> None:
    assert "buffer" in refused(KIND, gnet.OnRead, b"constant", print)


def test_onread_refuses_a_buffer_without_room() -> None:
    with pytest.raises(ValueError, match="buffer") as caught:
        gnet.OnRead(bytearray(), print)
    assert caught.value.code in ("ERR_INVALID_ARG_VALUE", "ERR_OUT_OF_RANGE")


@pytest.mark.parametrize("callback", [*NO_FUNCTIONS, None])
def test_onread_refuses_a_callback_that_cannot_be_called(callback: Any) -> None:
    checked_message(refused(KIND, gnet.OnRead, bytearray(8), callback), "callback", callback)


# -- Server(), listen() --------------------------------------------------------------------


@cases(
    ("allow_half_open", NO_FLAGS, KIND),
    ("pause_on_connect", NO_FLAGS, KIND),
    ("no_delay", NO_FLAGS, KIND),
    ("keep_alive", NO_FLAGS, KIND),
    ("keep_alive_initial_delay", NO_SECONDS, KIND),
    ("keep_alive_initial_delay", NOT_FINITE, RANGE),
    ("high_water_mark", NO_INTEGERS, KIND),
    ("block_list", [1, "127.0.0.1", [], object()], KIND),
    ("end_on_return", NO_FLAGS, KIND),
    ("connection_listener", NO_FUNCTIONS, KIND),
)
@pytest.mark.parametrize(
    "make", [gnet.Server, gnet.create_server], ids=["Server", "create_server"]
)
def test_server_refuses(make: Any, option: Any, value: Any, right: Any) -> None:
    checked_message(refused(right, make, **{option: value}), option, value)


@cases(
    ("port", NO_PORTS, KIND),
    ("port", BAD_PORTS, PORT),
    ("host", [1, True, b"localhost", [], object()], KIND),
    ("backlog", ["1", True, 1.5, [], object()], KIND),
    ("backlog", [-1], RANGE),
    ("listening_listener", NO_FUNCTIONS, KIND),
    ("exclusive", NO_FLAGS, KIND),
    ("ipv6_only", NO_FLAGS, KIND),
    ("reuse_port", NO_FLAGS, KIND),
    ("readable_all", NO_FLAGS, KIND),
    ("writable_all", NO_FLAGS, KIND),
    ("replace_stale", NO_FLAGS, KIND),
    ("signal", NO_SIGNALS, KIND),
)
def test_listen_refuses(
    option: Any, value: Any, right: Any, must_not_call: Callable[..., Call]
) -> None:
    server = gnet.Server()
    server.on("error", must_not_call("'error' for a bad argument"))
    arguments = {"port": 0, "host": "127.0.0.1", option: value}
    checked_message(refused(right, server.listen, **arguments), option, value)
    assert not server.listening
    assert server.address() is None
    assert server.listener_count("listening") == 0
    server.listen(0, "127.0.0.1")
    assert server.listening
    server.close()


@cases(
    ("path", [1, True, b"/tmp/x.sock", [], object()], KIND),
    ("path", ["", "/tmp/a\0b"], VALUE),
    ("fd", ["1", True, 1.5, [], object()], KIND),
    ("fd", [-1], RANGE),
)
def test_listen_refuses_as_its_only_argument(option: Any, value: Any, right: Any) -> None:
    server = gnet.Server()
    checked_message(refused(right, server.listen, **{option: value}), option, value)
    assert not server.listening


@pytest.mark.parametrize("target", [True, 1.5, b"80", [], {}, object()])
def test_listen_refuses_a_target_of_another_kind(target: Any) -> None:
    server = gnet.Server()
    assert repr(target) in refused(KIND, server.listen, target)
    assert not server.listening


@pytest.mark.parametrize("target", [-1, 65536, "65536", ("127.0.0.1", -1)])
def test_listen_refuses_a_target_that_is_no_port(target: Any) -> None:
    assert "port" in refused(PORT, gnet.Server().listen, target)


def test_listen_refuses_a_server_that_does_not_listen() -> None:
    with pytest.raises((TypeError, ValueError, OSError)) as caught:
        gnet.Server().listen(gnet.Server())
    assert isinstance(caught.value.code, str)


@cases(("max_connections", ["1", 1.5, [], object(), True], KIND), ("max_connections", [-1], RANGE))
def test_a_server_refuses_as_its_attribute(option: Any, value: Any, right: Any) -> None:
    server = gnet.Server()
    checked_message(refused(right, setattr, server, option, value), option, value)


@cases(("drop_max_connection", NO_FLAGS, KIND))
def test_a_server_refuses_as_its_flag(option: Any, value: Any, right: Any) -> None:
    server = gnet.Server()
    checked_message(refused(right, setattr, server, option, value), option, value)


SERVER_CALLS = [
    ("close", NO_FUNCTIONS, KIND, "callback"),
    ("get_connections", NO_FUNCTIONS, KIND, "callback"),
    ("wait_closed", NO_SECONDS, KIND, "timeout"),
    ("wait_closed", BAD_SECONDS, RANGE, "timeout"),
    ("shutdown", NO_SECONDS, KIND, "grace"),
    ("shutdown", BAD_SECONDS, RANGE, "grace"),
]


@pytest.mark.parametrize(("method", "values", "right", "argument"), SERVER_CALLS)
def test_a_servers_method_refuses(method: Any, values: Any, right: Any, argument: Any) -> None:
    server = gnet.Server()
    server.listen(0, "127.0.0.1")
    try:
        for value in values:
            checked_message(refused(right, getattr(server, method), value), argument, value)
            assert server.listening
    finally:
        server.close()


# -- a socket's methods --------------------------------------------------------------------


@pytest.fixture
def sock(tcp: Net) -> gnet.Socket:
    """A connected socket, whose peer is silent."""
    return tcp.connected()[0]


SOCKET_CALLS: list[tuple[str, tuple[Any, ...], str, list[Any], tuple[type[Exception], str]]] = [
    # method, arguments ahead of the wrong one, its name, values, the right error
    ("write", (), "data", [1, True, [], object(), ["x"], 1.5], KIND),
    ("write", ("x",), "encoding", [1, True, [], b"utf-8"], KIND),
    ("write", (b"x", "utf-8"), "callback", NO_FUNCTIONS, KIND),
    ("write", ("x",), "encoding", ["nonsense", ""], ENCODING),
    ("end", (), "data", [1, True, [], object()], KIND),
    ("end", ("x",), "encoding", ["nonsense"], ENCODING),
    ("end", (b"x", "utf-8"), "callback", NO_FUNCTIONS, KIND),
    ("sendall", (), "data", [1, None, [], object()], KIND),
    ("send", (), "data", [1, None, [], object()], KIND),
    ("set_encoding", (), "encoding", [1, True, [], b"utf-8"], KIND),
    ("set_encoding", (), "encoding", ["nonsense"], ENCODING),
    ("set_timeout", (), "seconds", NO_SECONDS, KIND),
    ("set_timeout", (), "seconds", BAD_SECONDS, RANGE),
    ("set_timeout", (1,), "callback", NO_FUNCTIONS, KIND),
    ("settimeout", (), "", NO_SECONDS, KIND),
    ("settimeout", (), "", BAD_SECONDS, RANGE),
    ("set_no_delay", (), "no_delay", NO_FLAGS, KIND),
    ("set_keep_alive", (), "enable", NO_FLAGS, KIND),
    ("set_keep_alive", (True,), "initial_delay", NO_SECONDS, KIND),
    ("set_keep_alive", (True,), "initial_delay", NOT_FINITE, RANGE),
    ("set_type_of_service", (), "tos", NO_INTEGERS, KIND),
    ("set_type_of_service", (), "tos", [-1, 256], RANGE),
    ("pipe", (), "destination", [1, "x", None, [], object()], KIND),
    ("recv", (), "bufsize", ["1", True, 1.5, [], None], KIND),
    ("recv", (), "bufsize", [-1], RANGE),
    ("recv_into", (), "buffer", [1, "x", b"constant", None, []], KIND),
    ("recv_into", (bytearray(4),), "nbytes", ["1", True, 1.5, []], KIND),
    ("recv_into", (bytearray(4),), "nbytes", [-1, 5], RANGE),
    ("destroy", (), "error", [1, "text", [], object()], KIND),
    ("makefile", (), "mode", [1, b"r", []], KIND),
    ("makefile", (), "mode", ["x", "a", "r+q"], VALUE),
]


@pytest.mark.parametrize(
    ("method", "ahead", "argument", "value", "right"),
    [
        pytest.param(
            method, ahead, argument, value, right, id=f"{method}-{argument}-{value!r:.20}"
        )
        for method, ahead, argument, values, right in SOCKET_CALLS
        for value in values
    ],
)
def test_a_sockets_method_refuses(
    sock: gnet.Socket, method: Any, ahead: Any, argument: Any, value: Any, right: Any
) -> None:
    text = refused(right, getattr(sock, method), *ahead, value)
    assert argument in text
    assert sock.ready_state == "open"
    assert sock.bytes_written == 0


def test_nothing_is_no_data(sock: gnet.Socket) -> None:
    with pytest.raises(TypeError) as caught:
        sock.write(None)
    assert caught.value.code in ("ERR_STREAM_NULL_VALUES", "ERR_INVALID_ARG_TYPE")


def test_setblocking_true_is_what_it_is_anyway(sock: gnet.Socket) -> None:
    sock.setblocking(True)
    assert sock.gettimeout() is None


@pytest.mark.parametrize("how", [-1, 3, 99])
def test_shutdown_refuses_what_is_no_direction(sock: gnet.Socket, how: Any) -> None:
    with pytest.raises(ValueError, match="how") as caught:
        sock.shutdown(how)
    assert caught.value.code.startswith("ERR_")
    assert sock.ready_state == "open"


# -- the module ----------------------------------------------------------------------------

UNKNOWN = [
    lambda **kw: gnet.create_server(**kw),
    lambda **kw: gnet.Server(**kw),
    lambda **kw: gnet.Socket(**kw),
    lambda **kw: gnet.create_connection(1, "127.0.0.1", **kw),
    lambda **kw: gnet.Socket().connect(1, "127.0.0.1", **kw),
    lambda **kw: gnet.Server().listen(0, "127.0.0.1", **kw),
    lambda **kw: gnet.serve(print, 0, "127.0.0.1", **kw),
]


@pytest.mark.parametrize("call", UNKNOWN, ids=range(len(UNKNOWN)))
@pytest.mark.parametrize("option", ["allowHalfOpen", "nodelay", "timeout_ms"])
def test_an_unknown_option_is_a_type_error_that_names_it(call: Any, option: Any) -> None:
    before = descriptors()
    with pytest.raises(TypeError, match=option):
        call(**{option: 1})
    assert descriptors() == before


@pytest.mark.parametrize("value", NO_SECONDS)
def test_run_refuses_a_timeout_of_another_kind(value: Any) -> None:
    checked_message(refused(KIND, gnet.run, value), "timeout", value)


@pytest.mark.parametrize("value", BAD_SECONDS)
def test_run_refuses_a_timeout_that_is_none(value: Any) -> None:
    assert "timeout" in refused(RANGE, gnet.run, value)


@pytest.mark.parametrize("handler", [*NO_FUNCTIONS, None])
def test_serve_refuses_a_handler_that_cannot_be_called(handler: Any) -> None:
    checked_message(refused(KIND, gnet.serve, handler, 0, "127.0.0.1"), "handler", handler)


@pytest.mark.parametrize("value", NO_FLAGS)
def test_the_default_of_family_selection_is_a_flag(value: Any) -> None:
    before = gnet.get_default_auto_select_family()
    refused(KIND, gnet.set_default_auto_select_family, value)
    assert gnet.get_default_auto_select_family() is before


@pytest.mark.parametrize(
    ("value", "right"),
    [*((v, KIND) for v in [*NO_SECONDS, None]), *((v, RANGE) for v in [0, *BAD_SECONDS])],
)
def test_the_default_of_the_attempts_time_is_above_zero(value: Any, right: Any) -> None:
    before = gnet.get_default_auto_select_family_attempt_timeout()
    refused(right, gnet.set_default_auto_select_family_attempt_timeout, value)
    assert gnet.get_default_auto_select_family_attempt_timeout() == before


@cases(
    ("hostname", [1, True, b"localhost", [], object()], KIND),
    ("family", [True, 4.0, [], object()], KIND),
    ("family", [5, "ipv5", -1], VALUE),
    ("hints", ["1", True, 1.5, [], object()], KIND),
    ("hints", [-1, 1 << 40], VALUE),
    ("all", ["yes", 2, 1.0, []], KIND),
)
def test_lookup_refuses(option: Any, value: Any, right: Any) -> None:
    arguments = {"hostname": "localhost", option: value}
    checked_message(refused(right, gnet.dns.lookup, **arguments), option, value)
