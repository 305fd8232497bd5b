"""The public names: those that are promised exist, and are documented."""

from __future__ import annotations

import importlib
import inspect
import pydoc

import pytest

import gnet

PUBLIC = (
    "gnet", "gnet.dns", "gnet.errors", "gnet.events", "gnet.live", "gnet.logging",
    "gnet.monkey", "gnet.wsgi",
)  # fmt: skip

PROMISED = {
    "gnet": """
        create_server create_connection connect serve run is_ip is_ipv4 is_ipv6
        get_default_auto_select_family set_default_auto_select_family
        get_default_auto_select_family_attempt_timeout
        set_default_auto_select_family_attempt_timeout
        Server Socket BlockList SocketAddress EventEmitter AddressInfo AggregateError OnRead
        errors dns events
    """,
    "gnet.dns": "lookup Resolver",
    "gnet.errors": "AbortError AggregateError",
    "gnet.events": """
        ServerListening ServerClosed ConnectionAccepted ConnectionDropped ConnectionOpened
        ConnectionFailed ConnectionClosed LookupFinished
    """,
    "gnet.live": "disable enable enable_on make_wsgi_app",
    "gnet.logging": "subscriber",
    "gnet.monkey": "patch unpatch is_patched Patch",
    "gnet.wsgi": "WSGIServer WSGIHandler serve",
    "gnet.EventEmitter": """
        on add_listener once off remove_listener prepend_listener prepend_once_listener emit
        listeners listener_count event_names remove_all_listeners wait
    """,
    "gnet.Server": """
        on once off emit wait
        listen close address get_connections ref unref listening max_connections
        drop_max_connection connections serve_forever wait_closed shutdown __enter__ __exit__
    """,
    "gnet.Socket": """
        on once off emit wait
        connect write end destroy destroy_soon reset_and_destroy pause resume is_paused pipe unpipe
        cork uncork set_encoding set_timeout set_no_delay set_keep_alive ref unref address
        set_type_of_service get_type_of_service
        local_address local_port local_family remote_address remote_port remote_family
        allow_half_open bytes_read bytes_written connecting pending destroyed closed readable
        writable readable_ended writable_ended writable_finished writable_length
        writable_need_drain buffer_size ready_state timeout
        auto_select_family_attempted_addresses
        recv recv_into send sendall makefile fileno getsockname getpeername getsockopt setsockopt
        settimeout gettimeout shutdown close detach __enter__ __exit__ __iter__
        peer_credentials
    """,
    "gnet.BlockList": """
        add_address add_range add_subnet check rules is_block_list to_json from_json
        add_addresses add_cidr add_cidrs remove_address remove_range remove_subnet remove_cidr
        clear replace load watch notes hits mode PRIVATE_RANGES
    """,
    "gnet.SocketAddress": "parse",
}


def found(name: str) -> object:
    """The module ``name``, or the class of ``gnet``."""
    if name in PUBLIC:
        return importlib.import_module(name)
    return getattr(gnet, name.removeprefix("gnet."))


@pytest.mark.parametrize(
    ("owner", "name"),
    [(owner, name) for owner, names in PROMISED.items() for name in names.split()],
)
def test_a_promised_name_exists(owner: str, name: str) -> None:
    assert hasattr(found(owner), name)


@pytest.mark.parametrize("owner", PUBLIC)
def test_all_that_is_exported_exists_once(owner: str) -> None:
    names = importlib.import_module(owner).__all__
    assert sorted(names) == sorted(set(names))
    assert [name for name in names if not hasattr(found(owner), name)] == []


@pytest.mark.parametrize("owner", PUBLIC)
def test_the_promised_names_of_a_module_are_exported(owner: str) -> None:
    assert set(PROMISED[owner].split()) <= set(importlib.import_module(owner).__all__)


@pytest.mark.parametrize("name", ["connect", "on", "once", "off"])
def test_two_names_of_one_thing_are_one_thing(name: str) -> None:
    pairs = {
        "connect": (gnet.connect, gnet.create_connection),
        "on": (gnet.EventEmitter.on, gnet.EventEmitter.add_listener),
        "once": (gnet.Socket.once, gnet.EventEmitter.once),
        "off": (gnet.EventEmitter.off, gnet.EventEmitter.remove_listener),
    }
    first, second = pairs[name]
    assert first is second


def test_what_is_exported_has_a_docstring() -> None:
    exported = [
        (owner, name) for owner in PUBLIC for name in importlib.import_module(owner).__all__
    ]
    things = {f"{owner}.{name}": getattr(found(owner), name) for owner, name in exported}
    silent = [
        name
        for name, thing in things.items()
        if (inspect.isclass(thing) or inspect.isfunction(thing)) and not inspect.getdoc(thing)
    ]
    assert silent == []


@pytest.mark.parametrize("owner", [gnet.EventEmitter, gnet.Server, gnet.Socket, gnet.BlockList])
def test_every_public_part_of_a_class_has_a_docstring(owner: type) -> None:
    silent = [
        name
        for name, part in inspect.getmembers(owner)
        if not name.startswith("_")
        and (callable(part) or isinstance(part, property))
        and not inspect.getdoc(part)
    ]
    assert silent == []


def test_what_is_completed_is_public() -> None:
    names = [name for name in dir(gnet) if not name.startswith("__")]
    late = {"cluster", "events", "live", "testing", "tls"}
    modules = {"logging", "metrics", "monkey", "shared", "wsgi"}
    assert set(gnet.__all__) | late <= set(names) <= set(gnet.__all__) | late | modules
    assert [name for name in dir(gnet) if not hasattr(gnet, name)] == []


@pytest.mark.parametrize("kind", [gnet.Socket, gnet.Server, gnet.EventEmitter])
def test_help_shows_no_object_in_the_place_of_a_default(kind: type) -> None:
    text = pydoc.render_doc(kind, renderer=pydoc.plaintext)
    assert [line for line in text.splitlines() if "<object" in line or " at 0x" in line] == []
