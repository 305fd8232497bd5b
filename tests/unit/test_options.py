"""Options have one definition, and a name that is none of them is told what was meant."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import pytest

import gnet
from gnet import cluster, wsgi
from gnet._server.options import ListeningOptions, ServeOptions, ServerOptions, ServerSettings
from gnet._socket.options import ConnectionOptions, ConnectOptions, SocketOptions
from gnet.cluster.options import ClusterOptions
from gnet.wsgi.options import WSGIOptions, WSGIServeOptions


@pytest.mark.parametrize(
    ("options", "call"),
    [
        (SocketOptions, gnet.Socket.__init__),
        (ConnectOptions, gnet.Socket.connect),
        (ServerOptions, gnet.Server.__init__),
        (ListeningOptions, gnet.Server.listen),
        (WSGIOptions, wsgi.WSGIServer.__init__),
        (ClusterOptions, cluster.Cluster.__init__),
    ],
)
def test_what_checkers_know_is_what_the_call_takes(options: Any, call: Any) -> None:
    parameters = inspect.signature(call).parameters.values()
    taken = {each.name: each.annotation for each in parameters if each.kind is each.KEYWORD_ONLY}
    known = {name: kind.__forward_arg__ for name, kind in options.__annotations__.items()}
    if options is WSGIOptions:
        # The call has the others as a group.
        known = {name: known[name] for name in known.keys() - ServerSettings.__annotations__}
    assert known == taken


def test_a_call_that_does_two_things_has_the_options_of_both() -> None:
    both = SocketOptions.__annotations__.keys() | ConnectOptions.__annotations__
    assert ConnectionOptions.__annotations__.keys() == both | {"timeout"}
    both = ServerOptions.__annotations__.keys() | ListeningOptions.__annotations__
    assert ServeOptions.__annotations__.keys() == both | {"backlog"}
    both = WSGIOptions.__annotations__.keys() | ListeningOptions.__annotations__
    assert WSGIServeOptions.__annotations__.keys() == both | {"backlog"}


CALLS: dict[str, Callable[..., Any]] = {
    "Server()": gnet.create_server,
    "connect()": lambda **options: gnet.connect(1, **options),
    "serve()": lambda **options: gnet.serve(print, 0, **options),
    "Socket()": gnet.Socket,
    "Socket.connect()": lambda **options: gnet.Socket().connect(1, **options),
    "WSGIServer()": lambda **options: wsgi.WSGIServer(print, **options),
    "gnet.wsgi.serve()": lambda **options: wsgi.serve(print, 0, **options),
    "Cluster()": cluster.Cluster,
    "Server.listen()": lambda **options: gnet.Server().listen(0, **options),
}


@pytest.mark.parametrize(
    ("call", "option", "hint"),
    [
        ("Server()", "no_dely", "; did you mean 'no_delay'?"),
        ("Server()", "nodelay", "; did you mean 'no_delay'?"),
        ("Server()", "maxConnections", "; did you mean 'max_connections'?"),
        ("Server()", "port", "; it is an option of Server.listen()"),
        ("Server()", "backlog", "; it is an option of Server.listen()"),
        ("Server()", "spawn", "; each connection that needs a greenlet has one, and "),
        ("Server()", "keyfile", "; TLS is tls=: "),
        ("Server()", "rejectUnauthorized", "; what is verified is the context's: "),
        ("Server()", "SNICallback", "; did you mean 'sni_callback'?"),
        ("Server()", "server_hostname", "; it is an option of Socket.connect()"),
        ("Server()", "xyzzy", ""),
        ("connect()", "keepalive", "; did you mean 'keep_alive'?"),
        ("connect()", "allowHalfOpen", "; did you mean 'allow_half_open'?"),
        ("connect()", "ssl", "; TLS is tls=: "),
        ("serve()", "max_conections", "; did you mean 'max_connections'?"),
        ("Socket()", "allow_halfopen", "; did you mean 'allow_half_open'?"),
        ("Socket.connect()", "localaddress", "; did you mean 'local_address'?"),
        ("Socket.connect()", "write_limit", "; it is an option of Server() and Socket()"),
        ("Server.listen()", "reuse_prt", "; did you mean 'reuse_port'?"),
        ("Server.listen()", "reuse_address", "; a port that nobody listens on any more "),
        ("WSGIServer()", "max_headr_bytes", "; did you mean 'max_header_bytes'?"),
        ("WSGIServer()", "tls_stict", "; did you mean 'tls_strict'?"),
        ("gnet.wsgi.serve()", "idletimeout", "; did you mean 'idle_timeout'?"),
        ("gnet.wsgi.serve()", "certfile", "; TLS is tls=: "),
        ("Cluster()", "graces", "; did you mean 'grace'?"),
        ("Server.listen()", "no_delay", "; it is an option of Server()"),
    ],
)
def test_an_unknown_option_says_what_was_meant(call: str, option: str, hint: str) -> None:
    with pytest.raises(TypeError) as caught:
        CALLS[call](**{option: 1})
    text = f"{call} got an unexpected keyword argument {option!r}"
    assert str(caught.value).startswith(text + hint)
    assert hint or str(caught.value) == text
    assert caught.value.code == "ERR_INVALID_ARG_TYPE"  # type: ignore[attr-defined]


def test_a_type_error_of_another_kind_is_left_alone() -> None:
    with pytest.raises(TypeError, match='"no_delay" argument must be'):
        gnet.Server(no_delay="yes")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="positional argument"):
        gnet.Server(print, print)  # type: ignore[misc]
