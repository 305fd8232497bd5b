"""The forms of a target: each is one of Node's or of Python's, and a dict is none."""

from __future__ import annotations

from typing import Any

import pytest

import gnet
from tests.helpers.calls import Call, Calls
from tests.helpers.servers import closing, place_at, serving


def test_every_form_of_a_target_and_its_listener_leads_to_the_server(must_call: Calls) -> None:
    with serving(lambda sock: sock.end()) as server:
        port, host = place_at(server)
        forms: list[tuple[tuple[Any, ...], dict[str, Any]]] = [
            ((port, host, must_call()), {}),
            ((str(port), host, must_call()), {}),
            (((host, port), must_call()), {}),
            ((), {"port": port, "host": host, "connect_listener": must_call()}),
            (((host, port),), {"connect_listener": must_call()}),
        ]
        for args, options in forms:
            with gnet.Socket().connect(*args, **options) as client:
                assert client.remote_port == port
        must_call.wait()


@pytest.mark.parametrize("target", [[{"port": 8124}], {"port": 8124}])
def test_a_dict_is_refused(target: Any, must_not_call: Call) -> None:
    sock = gnet.Socket()
    with closing(sock), pytest.raises(TypeError) as caught:
        sock.connect(target, connect_listener=must_not_call("'connect'"))
    assert caught.value.code == "ERR_INVALID_ARG_TYPE"
    assert not sock.connecting


def test_no_target_at_all_is_refused() -> None:
    sock = gnet.Socket()
    with closing(sock), pytest.raises(TypeError) as caught:
        sock.connect()
    assert caught.value.code == "ERR_MISSING_ARGS"
