"""connect()'s keep_alive and keep_alive_initial_delay."""

from __future__ import annotations

from typing import Any

import pytest

import gnet
from tests.helpers.options import keep_alive, keep_alive_delay
from tests.helpers.servers import place_at, serving


@pytest.mark.parametrize("value", [True, 1])
@pytest.mark.parametrize("delay", [1, 456, 456.123])
def test_keep_alive_is_set_with_its_delay_in_whole_seconds(value: Any, delay: float) -> None:
    with (
        serving() as server,
        gnet.connect(
            *place_at(server), keep_alive=value, keep_alive_initial_delay=delay
        ) as client,
    ):
        assert keep_alive(client)
        assert keep_alive_delay(client) == int(delay)


def test_a_delay_below_a_second_is_left_to_the_system() -> None:
    with serving() as server, gnet.connect(*place_at(server)) as plain:
        systems = keep_alive_delay(plain)
        with gnet.connect(
            *place_at(server), keep_alive=True, keep_alive_initial_delay=0.123
        ) as client:
            assert keep_alive(client)
            assert keep_alive_delay(client) == systems


@pytest.mark.parametrize("value", [False, 0])
def test_it_is_not_set_unless_asked_for(value: Any) -> None:
    with (
        serving() as server,
        gnet.connect(*place_at(server), keep_alive=value, keep_alive_initial_delay=5) as client,
    ):
        assert not keep_alive(client)


@pytest.mark.parametrize(
    ("options", "kind"),
    [
        ({"keep_alive": "true"}, TypeError),
        ({"keep_alive": []}, TypeError),
        ({"keep_alive_initial_delay": "5"}, TypeError),
    ],
)
def test_bad_values_are_refused_before_anything_is_opened(
    options: dict[str, Any], kind: type[Exception]
) -> None:
    with pytest.raises(kind, match=next(iter(options))):
        gnet.connect(1, **options)
