"""What is known of all servers and sockets of a process: ``gnet.stats()``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING, Any, NamedTuple

from .._core.dispatcher import Dispatcher
from .._core.ledger import ThreadLedger, thread_ledgers
from .._core.tally import consistent, tally
from .._processes.neighbours import figures
from .._server.dropped import REASONS
from .._values.lookups import lookups_of_threads
from ..errors import late_import
from .lag import lag_of
from .living import counted_sockets, loops, servers_of

if TYPE_CHECKING:
    from .._values.stats import ProcessStats

__all__ = ["own_stats", "stats"]


def stats() -> ProcessStats:
    """What is known of all servers and sockets of the process; may be called from any thread.

    In the primary of a cluster the workers' numbers are in these, and ``workers`` has each
    worker's apart. A worker tells its primary once a second, and when it ends.

    :returns: a frozen dataclass. What counts never falls, whatever closes.
    """
    own = own_stats()
    living, ended = figures()
    if not living and not ended:
        return own
    with late_import():
        from dataclasses import replace

        from .sums import added

    return replace(added([own, *living.values()], ended), workers=living)


def own_stats(look: bool = True) -> ProcessStats:
    """Those of this process alone.

    :param look: measure how late the loops are, for a while.
    """
    with late_import():
        from .._values.stats import ConnectStats, LookupStats, ProcessStats

    threads = loops()
    ledgers = thread_ledgers()
    lookups = lookups_of_threads()
    sums = _sums(ledgers, threads)
    servers = [each for loop in threads for each in servers_of(loop)]
    lags = [lag for loop in threads if look and (lag := lag_of(loop)) is not None]
    greenlets = [loop.greenlets() for loop in threads]
    add = partial(_add, ledgers)
    told = tuple(server.stats() for server in servers)
    of_servers = sum(each.active for each in told)
    return ProcessStats(
        servers=told,
        servers_opened=add("servers"),
        servers_closed=add("closed_servers"),
        active=of_servers,
        accepted=add("accepted"),
        refused={**dict.fromkeys(REASONS, 0), **_merge(each.refused for each in ledgers)},
        closed=sums.closed,
        bytes_in=sums.bytes_in,
        bytes_out=sums.bytes_out,
        queued=sums.queued,
        longest_queue=sums.longest,
        pauses=add("pauses"),
        handshakes=add("handshakes"),
        handshakes_active=sum(each.handshakes_active for each in told),
        handshakes_failed=add("failed_handshakes"),
        connects=ConnectStats(
            add("tried"),
            add("made"),
            _merge(each.failed for each in ledgers),
            add("lost"),
            max(0, sums.active - of_servers),
        ),
        dns=LookupStats(
            _add(lookups, "asked"),
            _add(lookups, "cache_hits"),
            _add(lookups, "failed_lookups"),
            sum(each.lookup_seconds.seconds for each in lookups),
        ),
        loop_lag=max(lags, default=None),
        greenlets_lent=sum(lent for lent, _ in greenlets),
        greenlets_idle=sum(idle for _, idle in greenlets),
    )


def _add(ledgers: Iterable[Any], name: str) -> int:
    return sum(getattr(each, name) for each in ledgers)


def _merge(counts: Iterable[dict[str, int]]) -> dict[str, int]:
    merged: Counter[str] = Counter()
    for each in counts:
        # In one step, as the thread that counts may add another.
        merged.update(dict(each))
    return dict(merged)


class _Sums(NamedTuple):
    """What all connections come to: those that have closed, and the ``active`` others."""

    active: int = 0
    closed: int = 0
    bytes_in: int = 0
    bytes_out: int = 0
    queued: int = 0
    longest: int = 0


def _sums(ledgers: list[ThreadLedger], threads: list[Dispatcher]) -> _Sums:
    loop_of = {id(loop.ledger): loop for loop in threads}
    now = monotonic()
    of_threads = [_of_thread(each, loop_of.get(id(each)), now) for each in ledgers]
    longest = max((each.longest for each in of_threads), default=0)
    return _Sums(*map(sum, zip(*of_threads)))._replace(longest=longest) if of_threads else _Sums()


def _of_thread(ledger: ThreadLedger, loop: Dispatcher | None, now: float) -> _Sums:
    living: Callable[[], list[Any]] = list if loop is None else partial(counted_sockets, loop)
    settled, sockets = consistent(ledger, loop, living)
    lives = tally(sockets, settled.leaving, now, (float("inf"),))
    # Those that were collected are nobody's any more. The first may be settled just now.
    collected = list(ledger.collected)[settled.leaving is ledger.collected :]
    return _Sums(
        len(sockets),
        settled.closed + len([each for each in collected if each[2] is not None]),
        settled.bytes_in + lives.bytes_in + sum(each[0] for each in collected),
        settled.bytes_out + lives.bytes_out + sum(each[1] for each in collected),
        lives.queued,
        max(lives.longest, ledger.longest_queue),
    )
