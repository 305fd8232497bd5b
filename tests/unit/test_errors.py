"""The errors: their classes, codes, fields and messages."""

from __future__ import annotations

import errno
import os
import pickle
import socket
from typing import Any

import pytest

import gnet
from gnet import errors

SYSTEM = [
    ("ECONNREFUSED", ConnectionRefusedError),
    ("ECONNRESET", ConnectionResetError),
    ("ECONNABORTED", ConnectionAbortedError),
    ("EPIPE", BrokenPipeError),
    ("ETIMEDOUT", TimeoutError),
    ("EACCES", PermissionError),
    ("EPERM", PermissionError),
    ("ENOENT", FileNotFoundError),
    ("EADDRINUSE", OSError),
    ("EADDRNOTAVAIL", OSError),
    ("EINVAL", OSError),
    ("EHOSTUNREACH", OSError),
    ("ENETUNREACH", OSError),
    ("EMFILE", OSError),
    ("EBADF", OSError),
]


# -- annotate, system_error ----------------------------------------------------------------


@pytest.mark.parametrize(("code", "kind"), SYSTEM)
def test_a_system_error_is_of_the_class_that_an_except_would_name(code: Any, kind: Any) -> None:
    error = errors.system_error(getattr(errno, code), "connect", "127.0.0.1", 8124)
    assert isinstance(error, kind)
    assert error.errno == getattr(errno, code)
    assert error.code == code
    assert error.syscall == "connect"
    assert error.address == "127.0.0.1"
    assert error.port == 8124
    assert f"connect {code} 127.0.0.1:8124" in str(error)


def test_annotate_changes_the_error_itself_and_returns_it() -> None:
    error = OSError(errno.ECONNREFUSED, os.strerror(errno.ECONNREFUSED))
    assert errors.annotate(error, "connect", "::1", 80) is error
    assert type(error) is ConnectionRefusedError
    assert error.strerror == "connect ECONNREFUSED ::1:80"


def test_the_message_of_a_path_has_no_port() -> None:
    error = errors.system_error(errno.ENOENT, "connect", "/tmp/none.sock")
    assert "connect ENOENT /tmp/none.sock" in str(error)
    assert error.address == "/tmp/none.sock"
    assert getattr(error, "port", None) is None


def test_the_message_names_the_local_address_where_the_socket_was_bound() -> None:
    error = errors.system_error(
        errno.ECONNREFUSED, "connect", "127.0.0.1", 8124, local=("127.0.0.1", 40000)
    )
    assert str(error).endswith("connect ECONNREFUSED 127.0.0.1:8124 - Local (127.0.0.1:40000)")
    assert (error.local_address, error.local_port) == ("127.0.0.1", 40000)


def test_an_error_without_an_address_names_the_call() -> None:
    error = errors.system_error(errno.ECONNRESET, "read")
    assert error.strerror == "read ECONNRESET"
    assert getattr(error, "address", None) is None


def test_a_port_of_zero_is_named() -> None:
    error = errors.system_error(errno.EADDRNOTAVAIL, "listen", "192.0.2.1", 0)
    assert error.port == 0
    assert str(error).endswith("192.0.2.1:0")


def test_what_listening_failed_of_is_said_in_the_systems_words_as_well() -> None:
    error = errors.system_error(errno.EADDRINUSE, "listen", "127.0.0.1", 80)
    assert error.strerror == "listen EADDRINUSE: address already in use 127.0.0.1:80"


def test_a_number_without_words_is_named_alone() -> None:
    assert errors.system_error(9999, "listen").strerror == "listen UNKNOWN"


def test_an_unknown_number_has_a_code_nevertheless() -> None:
    error = errors.annotate(OSError(987654, "strange"), "connect")
    assert error.code == "UNKNOWN"


# -- code_of -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("exc", "code"),
    [
        (OSError(errno.EADDRINUSE, ""), "EADDRINUSE"),
        (TimeoutError("timed out"), "ETIMEDOUT"),
        (TimeoutError("timed out"), "ETIMEDOUT"),
        (socket.gaierror(socket.EAI_NONAME, ""), "ENOTFOUND"),
        (socket.gaierror(socket.EAI_NODATA, ""), "ENOTFOUND"),
        (socket.gaierror(socket.EAI_AGAIN, ""), "EAI_AGAIN"),
        (socket.gaierror(socket.EAI_FAIL, ""), "EAI_FAIL"),
        (socket.gaierror(socket.EAI_FAMILY, ""), "EAI_FAMILY"),
        (socket.gaierror(socket.EAI_MEMORY, ""), "EAI_MEMORY"),
        (socket.gaierror(socket.EAI_SERVICE, ""), "EAI_SERVICE"),
        (socket.gaierror(socket.EAI_SOCKTYPE, ""), "EAI_SOCKTYPE"),
        (socket.gaierror(socket.EAI_BADFLAGS, ""), "EAI_BADFLAGS"),
        (errors.AbortError(), "ABORT_ERR"),
        (KeyError("x"), "UNKNOWN"),
    ],
    ids=repr,
)
def test_every_exception_has_a_code(exc: Any, code: Any) -> None:
    assert errors.code_of(exc) == code


# -- lookup_error --------------------------------------------------------------------------


def test_a_lookup_error_made_of_a_code_is_a_gaierror() -> None:
    error = errors.lookup_error("ENOTFOUND", "no.such.host")
    assert isinstance(error, socket.gaierror)
    assert isinstance(error, OSError)
    assert error.errno == socket.EAI_NONAME
    assert error.code == "ENOTFOUND"
    assert error.syscall == "getaddrinfo"
    assert error.hostname == "no.such.host"
    assert "getaddrinfo ENOTFOUND no.such.host" in str(error)


def test_a_lookup_error_keeps_the_resolvers_exception() -> None:
    cause = socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
    error = errors.lookup_error(cause, "some.host")
    assert error is cause
    assert error.code == "EAI_AGAIN"
    assert error.errno == socket.EAI_AGAIN
    assert error.hostname == "some.host"
    assert "getaddrinfo EAI_AGAIN some.host" in str(error)


def test_a_lookup_error_names_what_was_asked() -> None:
    error = errors.lookup_error("ENOTFOUND", "example.test", "queryMx")
    assert error.syscall == "queryMx"
    assert "queryMx ENOTFOUND example.test" in str(error)


# -- the classes ---------------------------------------------------------------------------

CLASSES = [
    (errors.AbortError(), "ABORT_ERR", OSError),
    (errors.SocketClosedError(), "ERR_SOCKET_CLOSED", OSError),
    (errors.StreamDestroyedError("write"), "ERR_STREAM_DESTROYED", OSError),
    (errors.WriteAfterEndError(), "ERR_STREAM_WRITE_AFTER_END", BrokenPipeError),
    (errors.IPBlockedError("192.0.2.1"), "ERR_IP_BLOCKED", OSError),
    (errors.HandleTypeError(), "ERR_INVALID_HANDLE_TYPE", TypeError),
    (errors.AlreadyListeningError(), "ERR_SERVER_ALREADY_LISTEN", Exception),
    (errors.NotRunningError(), "ERR_SERVER_NOT_RUNNING", Exception),
]


@pytest.mark.parametrize(("error", "code", "kind"), CLASSES, ids=[code for _, code, _ in CLASSES])
def test_gnets_own_errors_have_nodes_code_and_a_message(error: Any, code: Any, kind: Any) -> None:
    assert error.code == code
    assert isinstance(error, kind)
    assert len(str(error)) > 5


def test_messages_name_what_they_are_about() -> None:
    assert "192.0.2.1" in str(errors.IPBlockedError("192.0.2.1"))
    assert errors.IPBlockedError("192.0.2.1").address == "192.0.2.1"
    assert "pipe" in str(errors.StreamDestroyedError("pipe"))


def test_gnets_system_like_errors_have_an_errno_that_names_them() -> None:
    for error, _, kind in CLASSES:
        if isinstance(error, OSError):
            assert error.errno in errno.errorcode, kind


def test_bad_arguments_are_the_builtin_classes_with_a_code() -> None:
    wrong = errors.type_error("message")
    assert type(wrong) is TypeError
    assert wrong.code == "ERR_INVALID_ARG_TYPE"
    assert str(wrong) == "message"
    bad = errors.value_error("message", "ERR_SOCKET_BAD_PORT")
    assert type(bad) is ValueError
    assert bad.code == "ERR_SOCKET_BAD_PORT"
    assert errors.value_error("message").code == "ERR_INVALID_ARG_VALUE"


# -- AggregateError ------------------------------------------------------------------------


def attempts() -> list[OSError]:
    return [
        errors.system_error(errno.ECONNREFUSED, "connect", "::1", 80),
        errors.system_error(errno.ETIMEDOUT, "connect", "127.0.0.1", 80),
    ]


def test_an_aggregate_error_has_all_attempts_in_order_and_the_firsts_number_and_code() -> None:
    every = attempts()
    error = gnet.AggregateError(every)
    assert isinstance(error, OSError)
    assert list(error.errors) == every
    assert error.errno == errno.ECONNREFUSED
    assert error.code == "ECONNREFUSED"


def test_an_aggregate_errors_message_names_each_attempt() -> None:
    text = str(gnet.AggregateError(attempts()))
    assert "connect ECONNREFUSED ::1:80" in text
    assert "connect ETIMEDOUT 127.0.0.1:80" in text


def test_an_aggregate_error_is_one_name() -> None:
    assert gnet.AggregateError is errors.AggregateError


@pytest.mark.parametrize(
    "error", [*(each for each, _, _ in CLASSES), gnet.AggregateError(attempts())], ids=repr
)
def test_errors_survive_pickling(error: Any) -> None:
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is type(error)
    assert str(copy) == str(error)
    assert copy.code == error.code


def test_a_waits_timeout_says_what_was_waited_for_and_how_long() -> None:
    error = errors.wait_timeout("connect", 0.5)
    assert isinstance(error, TimeoutError)
    assert error.code == "ETIMEDOUT"
    assert "connect" in str(error)
    assert "0.5" in str(error)


def test_everything_that_is_public_is_there_and_documented() -> None:
    for name in errors.__all__:
        assert getattr(errors, name).__doc__, name
