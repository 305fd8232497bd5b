"""What several processes have counted, added up."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields, is_dataclass, replace
from typing import Any, TypeVar

from .._values.addresses import AddressInfo
from .._values.stats import AGES, ConnectStats, LookupStats, ProcessStats, ServerStats

__all__ = ["added", "read", "settled"]

_Stats = TypeVar("_Stats", ConnectStats, LookupStats, ProcessStats, ServerStats)

# Of these the sum would say nothing.
_HIGHEST = {"longest_queue", "loop_lag"}
_LOWEST = {"listening_since"}


def added(living: Sequence[ProcessStats], ended: Sequence[ProcessStats] = ()) -> ProcessStats:
    """The numbers of several processes, as those of one.

    :param living: of processes that run; one at least.
    :param ended: of others. Their servers are told of where one that runs has the same address.
    """
    whole = _added([*living, *ended])
    places = {server.address for each in living for server in each.servers}
    return replace(whole, servers=tuple(each for each in whole.servers if each.address in places))


def settled(last: ProcessStats) -> ProcessStats:
    """The numbers of a process that has ended: what was open has closed."""
    connects = replace(last.connects, active=0)
    return replace(
        last,
        servers=tuple(map(_closed, last.servers)),
        servers_closed=last.servers_opened,
        active=0,
        closed=last.closed + last.active + last.connects.active,
        queued=0,
        handshakes_active=0,
        connects=connects,
        loop_lag=None,
        greenlets_lent=0,
        greenlets_idle=0,
    )


def _closed(server: ServerStats) -> ServerStats:
    return replace(
        server,
        listening_since=None,
        active=0,
        entering=0,
        closed=server.closed + server.active,
        queued=0,
        handshakes_active=0,
        ages=dict.fromkeys(AGES, 0),
    )


def _added(parts: Sequence[_Stats]) -> _Stats:
    """Field by field."""
    first = parts[0]
    sums: Any = {
        each.name: _sum(each.name, [getattr(part, each.name) for part in parts])
        for each in fields(first)
    }
    return replace(first, **sums)


def _sum(name: str, values: list[Any]) -> Any:
    first = values[0]
    if name == "servers":
        return _merged(server for servers in values for server in servers)
    if name == "address":
        return first
    if name == "workers":
        return {}
    if name in _HIGHEST or name in _LOWEST:
        known = [value for value in values if value is not None]
        return (min if name in _LOWEST else max)(known, default=None)
    if is_dataclass(first):
        return _added(values)
    if isinstance(first, dict):
        return _sum_of_dicts(values)
    return sum(values)


def _sum_of_dicts(values: list[dict[str, int]]) -> dict[str, int]:
    counts: Counter[str] = Counter()
    for each in values:
        counts.update(each)
    return dict(counts)


def _merged(servers: Iterable[ServerStats]) -> tuple[ServerStats, ...]:
    """Those at one address are one."""
    places: dict[Any, list[ServerStats]] = {}
    for server in servers:
        places.setdefault(server.address, []).append(server)
    return tuple(map(_added, places.values()))


# -- from another process -------------------------------------------------------------------------


def read(told: Mapping[str, Any]) -> ProcessStats:
    """What :func:`dataclasses.asdict` has made of the numbers, and JSON of that.

    :raises TypeError: it is something else.
    """
    known = _known(ProcessStats, told)
    known["connects"] = ConnectStats(**_known(ConnectStats, known["connects"]))
    known["dns"] = LookupStats(**_known(LookupStats, known["dns"]))
    known["servers"] = tuple(map(_read_server, known["servers"]))
    known["workers"] = {}
    return ProcessStats(**known)


def _read_server(told: Mapping[str, Any]) -> ServerStats:
    known = _known(ServerStats, told)
    if isinstance(known["address"], list):
        known["address"] = AddressInfo(*known["address"])
    return ServerStats(**known)


def _known(kind: type, told: Mapping[str, Any]) -> dict[str, Any]:
    # A worker may be of a newer release: the primary goes on while workers are replaced.
    return {each.name: told[each.name] for each in fields(kind) if each.name in told}
