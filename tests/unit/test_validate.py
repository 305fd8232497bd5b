"""The checks of arguments, one by one."""

from __future__ import annotations

import math
import os
import pathlib
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gnet._values import arguments


def refused(kind: type[Exception], code: str, check: Any, *args: Any) -> str:
    """The message of the error that ``check`` raises."""
    with pytest.raises(kind) as caught:
        check(*args)
    assert type(caught.value) is kind
    assert caught.value.code == code
    return str(caught.value)


# -- ports ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "number"),
    [(0, 0), (1, 1), (65535, 65535), ("0", 0), ("8124", 8124), ("0x50", 80), ("0xFFFF", 65535),
     ("0X1f90", 8080), ("065", 65)],
)  # fmt: skip
def test_a_port_is_an_int_or_a_string_of_digits(value: Any, number: Any) -> None:
    assert arguments.port(value) == number


@pytest.mark.parametrize(
    "value",
    [-1, 65536, 10**30, "", "x", "-1", "65536", "0x10000", "0x", "1.5", "1_000", "+80", "80a",
     "٣", "²", "0b11", "0o17", "1e3", " ", "0x-1", "0x 1"],
)  # fmt: skip
def test_a_port_out_of_range_or_out_of_form_is_a_value_error(value: Any) -> None:
    message = refused(ValueError, "ERR_SOCKET_BAD_PORT", arguments.port, value)
    assert "port" in message
    assert repr(value) in message
    assert "65535" in message


@pytest.mark.parametrize("value", [True, False, None, 1.0, 80.5, b"80", [], {}, object(), 1j])
def test_a_port_of_another_kind_is_a_type_error(value: Any) -> None:
    message = refused(TypeError, "ERR_INVALID_ARG_TYPE", arguments.port, value)
    assert "port" in message
    assert repr(value) in message


def test_a_ports_message_has_its_own_name() -> None:
    assert '"local_port"' in refused(
        ValueError, "ERR_SOCKET_BAD_PORT", arguments.port_number, "local_port", -1
    )


@given(st.integers(0, 65535))
def test_every_port_is_taken_in_its_three_forms(number: Any) -> None:
    assert arguments.port(number) == number
    assert arguments.port(str(number)) == number
    assert arguments.port(hex(number)) == number


@given(st.text(max_size=8))
@example("0\x1f")
def test_any_string_is_a_port_or_a_value_error(text: Any) -> None:
    try:
        number = arguments.port(text)
    except ValueError as exc:
        assert exc.code == "ERR_SOCKET_BAD_PORT"
    else:
        assert 0 <= number <= 65535
        assert number == int(text, 16 if "x" in text.lower() else 10)


# -- times ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "number"), [(None, None), (0, None), (0.0, None), (1, 1.0), (0.25, 0.25)]
)
def test_seconds_are_a_number_and_zero_is_no_limit(value: Any, number: Any) -> None:
    assert arguments.seconds("timeout", value) == number


@pytest.mark.parametrize("value", [True, False, "1", b"1", [], object(), 1j])
@pytest.mark.parametrize("check", [arguments.seconds, arguments.positive_seconds])
def test_seconds_of_another_kind_are_a_type_error(check: Any, value: Any) -> None:
    message = refused(TypeError, "ERR_INVALID_ARG_TYPE", check, "timeout", value)
    assert '"timeout"' in message
    assert repr(value) in message
    assert "seconds" in message


@pytest.mark.parametrize("value", [-1, -0.001, math.inf, -math.inf, math.nan, 1e300, 10**400])
@pytest.mark.parametrize("check", [arguments.seconds, arguments.positive_seconds])
def test_seconds_that_no_timer_can_wait_are_a_value_error(check: Any, value: Any) -> None:
    message = refused(ValueError, "ERR_OUT_OF_RANGE", check, "timeout", value)
    assert '"timeout"' in message


def test_positive_seconds_are_above_zero() -> None:
    assert arguments.positive_seconds("delay", 0.5) == 0.5
    assert '"delay"' in refused(
        ValueError, "ERR_OUT_OF_RANGE", arguments.positive_seconds, "delay", 0
    )


def test_positive_seconds_are_not_none() -> None:
    refused(TypeError, "ERR_INVALID_ARG_TYPE", arguments.positive_seconds, "delay", None)


# -- integers, flags, functions, strings ---------------------------------------------------


def test_an_integer_has_bounds_that_are_allowed_themselves() -> None:
    assert arguments.integer("backlog", 0, 0, 5) == 0
    assert arguments.integer("backlog", 5, 0, 5) == 5


@pytest.mark.parametrize("value", [-1, 6])
def test_an_integer_out_of_its_bounds_is_a_value_error_that_names_them(value: Any) -> None:
    message = refused(ValueError, "ERR_OUT_OF_RANGE", arguments.integer, "backlog", value, 0, 5)
    assert '"backlog"' in message
    assert "0" in message
    assert "5" in message
    assert repr(value) in message


@pytest.mark.parametrize("value", [True, False, 1.0, "1", None, [], b"1"])
def test_an_integer_of_another_kind_is_a_type_error(value: Any) -> None:
    message = refused(TypeError, "ERR_INVALID_ARG_TYPE", arguments.integer, "backlog", value, 0, 5)
    assert '"backlog"' in message
    assert repr(value) in message


@pytest.mark.parametrize("value", [True, False])
def test_a_flag_is_a_bool(value: Any) -> None:
    assert arguments.flag("exclusive", value) is value


@pytest.mark.parametrize("value", ["yes", "", None, 2, 1.0, [], object()])
def test_a_flag_of_another_kind_is_a_type_error(value: Any) -> None:
    message = refused(TypeError, "ERR_INVALID_ARG_TYPE", arguments.flag, "exclusive", value)
    assert '"exclusive"' in message
    assert "bool" in message


def test_a_function_is_what_can_be_called() -> None:
    assert arguments.function("callback", len) is len
    assert arguments.optional_function("callback", len) is len
    assert arguments.optional_function("callback", None) is None


@pytest.mark.parametrize("value", [1, "len", object(), []])
@pytest.mark.parametrize("check", [arguments.function, arguments.optional_function])
def test_what_cannot_be_called_is_a_type_error(check: Any, value: Any) -> None:
    message = refused(TypeError, "ERR_INVALID_ARG_TYPE", check, "callback", value)
    assert '"callback"' in message


def test_a_function_is_not_none() -> None:
    refused(TypeError, "ERR_INVALID_ARG_TYPE", arguments.function, "callback", None)


def test_a_string_is_a_str() -> None:
    assert arguments.string("host", "localhost") == "localhost"
    message = refused(TypeError, "ERR_INVALID_ARG_TYPE", arguments.string, "host", b"localhost")
    assert '"host"' in message


# -- paths ---------------------------------------------------------------------------------


class BytesPath:
    def __fspath__(self) -> bytes:
        return os.fsencode("/tmp/öcho.sock")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("/tmp/echo.sock", "/tmp/echo.sock"),
        (pathlib.PurePosixPath("/tmp/echo.sock"), "/tmp/echo.sock"),
        (BytesPath(), "/tmp/öcho.sock"),
        ("\0abstract", "\0abstract"),
        ("\0ab\0stract", "\0ab\0stract"),
    ],
)
def test_a_path_is_a_str_or_a_pathlike(value: Any, text: Any) -> None:
    assert arguments.path("path", value) == text


@pytest.mark.parametrize("value", [1, True, None, b"/tmp/echo.sock", [], object()])
def test_a_path_of_another_kind_is_a_type_error(value: Any) -> None:
    message = refused(TypeError, "ERR_INVALID_ARG_TYPE", arguments.path, "path", value)
    assert '"path"' in message
    assert "PathLike" in message


@pytest.mark.parametrize("value", ["", "/tmp/e\0cho"])
def test_a_path_that_no_system_takes_is_a_value_error(value: Any) -> None:
    message = refused(ValueError, "ERR_INVALID_ARG_VALUE", arguments.path, "path", value)
    assert '"path"' in message


# -- families, options ---------------------------------------------------------------------


@pytest.mark.parametrize(("value", "number"), [(0, 0), (4, 4), (6, 6), ("IPv4", 4), ("IPv6", 6)])
def test_a_family_is_a_number_or_its_name(value: Any, number: Any) -> None:
    assert arguments.family(value) == number


@pytest.mark.parametrize("value", [1, 5, -4, 10**30, "ipv5", "", "4x"])
def test_an_impossible_family_is_a_value_error(value: Any) -> None:
    message = refused(ValueError, "ERR_INVALID_ARG_VALUE", arguments.family, value)
    assert '"family"' in message
    assert "IPv4" in message


@pytest.mark.parametrize("value", [True, False, 4.0, [], b"IPv4", object()])
def test_a_family_of_another_kind_is_a_type_error(value: Any) -> None:
    message = refused(TypeError, "ERR_INVALID_ARG_TYPE", arguments.family, value)
    assert '"family"' in message
