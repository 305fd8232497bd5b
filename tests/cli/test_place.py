"""The targets of the command line."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gnet._values import targets
from gnet.cli.place import Place

TARGETS = {
    "8124": Place(8124),
    "0": Place(0),
    ":8124": Place(8124),
    "localhost:8124": Place(8124, "localhost"),
    "127.0.0.1:65535": Place(65535, "127.0.0.1"),
    "[::1]:8124": Place(8124, "::1"),
    "[fe80::1%eth0]:80": Place(80, "fe80::1%eth0"),
    "unix:/run/app.sock": Place(path="/run/app.sock"),
    "unix:relative": Place(path="relative"),
    "unix:8124": Place(path="8124"),
    "unix:@name": Place(path="\0name"),
    "unix:./@name": Place(path="./@name"),
    r"\\.\pipe\name": Place(path=r"\\.\pipe\name"),
}

WRONG = {
    "": "it has no port",
    "localhost": "it has no port",
    "localhost:": "it has no port",
    "localhost:http": "it has no port",
    "localhost:65536": "it has no port from 0 to 65535",
    "localhost:0x50": "it has no port",
    "localhost:-1": "it has no port",
    "localhost: 80": "it has no port",
    "localhost:1_0": "it has no port",
    "localhost:٨": "it has no port",
    "::1:8124": "an IPv6 address has brackets",
    "[::1]": "it has no port",
    "[::1": "no host name",
    "[localhost]:80": "no IPv6 address between the brackets",
    "[]:80": "no IPv6 address between the brackets",
    "http://localhost:80": "no host name",
    "/run/app.sock:80": "no host name",
    "a b:80": "no host name",
    "unix:": "the path is empty",
    "unix:@": "the path is empty",
    "unix:/a\0b": "no NUL",
}


@pytest.mark.parametrize(("text", "place"), TARGETS.items())
def test_a_target_is_read(text: str, place: Place) -> None:
    assert Place.parse(text) == place


@pytest.mark.parametrize(("text", "why"), WRONG.items())
def test_what_is_no_target_is_refused_with_the_reason(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        Place.parse(text)


@given(
    st.one_of(
        st.text(),
        st.text(st.characters()).map("unix:{}".format),
        st.from_regex(r"\A(unix:)?[@/\[\]:.%0-9a-z]{0,30}\Z"),
        st.tuples(st.ip_addresses().map(str), st.text(max_size=6)).map(":".join),
        st.tuples(st.ip_addresses(v=6), st.integers(-5, 70000)).map(
            lambda a: "[{}]:{}".format(*a)
        ),
    )
)
@example("unix:\ud800")
@example("9" * 5000)
def test_any_text_is_a_place_that_gnet_takes_or_an_error(text: str) -> None:
    try:
        place = Place.parse(text)
    except ValueError as exc:
        assert str(exc).startswith(repr(text))
        return
    assert Place.parse(str(place)) == place
    target = targets.parse(None, place.host, port=place.port, path=place.path)
    assert target == (*place, None)
