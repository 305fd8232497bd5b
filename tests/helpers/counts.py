"""What the process holds, and what of it is new: descriptors, greenlets, watchers of the loop."""

from __future__ import annotations

import gc
import os
import traceback
from collections.abc import Iterator
from typing import Any

import gevent
from gevent.greenlet import Greenlet
from greenlet import getcurrent, greenlet

FD_DIRECTORY = "/proc/self/fd"

# What gevent's loops open for themselves, some of it later than at their start. libuv's pair of
# pipes is opened with the loop, so it is no news to anybody.
LOOP_DESCRIPTORS = (
    "anon_inode:[eventpoll]",
    "anon_inode:[eventfd]",
    "anon_inode:[timerfd]",
    "anon_inode:[io_uring]",
)


def descriptors() -> dict[int, str]:
    """The open descriptors and what each one is, for example ``socket:[4711]``.

    Empty where the system has no ``/proc``.
    """
    found: dict[int, str] = {}
    if os.name != "posix" or not os.path.isdir(FD_DIRECTORY):
        return found
    for name in os.listdir(FD_DIRECTORY):
        try:
            kind = os.readlink(f"{FD_DIRECTORY}/{name}")
        except FileNotFoundError:
            continue  # that was the directory's own
        if kind not in LOOP_DESCRIPTORS:
            found[int(name)] = kind
    return found


def greenlets() -> list[greenlet]:
    """The greenlets of this thread that run or are about to, but for the standing ones.

    Those are the main greenlet, the caller, the hub, and what is parked in gnet's dispatcher.
    """
    hub = gevent.get_hub()
    standing = {hub, hub.parent, getcurrent(), *_parked(hub)}
    return [
        each
        for each in _objects(greenlet)
        if each not in standing and (each or _starts(each)) and _thread_of(each) is hub.parent
    ]


def watchers() -> list[Any]:
    """The started watchers of this thread's loop, whether they hold it or not."""
    loop = gevent.get_hub().loop
    found = _objects(_watcher_class(loop))
    return [each for each in found if _is_open(each) and each.active and each.loop is loop]


def _is_open(watcher: Any) -> bool:
    # libuv's, once it is closed, has nothing that could be asked.
    return getattr(watcher, "_watcher", True) is not None


class Holdings:
    """What the process held when this was made."""

    def __init__(self) -> None:
        self._descriptors = descriptors()
        # Identities, so that nothing is kept alive by being counted.
        self._objects = {id(each) for each in (*greenlets(), *watchers())}

    def changes(self, *own: object) -> list[str]:
        """What is held now and was not then, or the other way round; one line for each.

        :param own: objects of the caller's, which do not count.
        """
        known = self._objects.union(map(id, own))
        return [*self._descriptor_changes(), *_descriptions(known)]

    def _descriptor_changes(self) -> Iterator[str]:
        now = descriptors()
        for fd, kind in sorted(now.items() - self._descriptors.items()):
            yield f"descriptor {fd} is open: {kind}"
        for fd, kind in sorted(self._descriptors.items() - now.items()):
            yield f"descriptor {fd} was closed by somebody else: {kind}"


def _descriptions(known: set[int]) -> Iterator[str]:
    """Of the greenlets and watchers that are not known."""
    for each in greenlets():
        if id(each) not in known:
            yield f"{each!r} has not ended; it is {_place(each)}"
    for each in watchers():
        if id(each) not in known:
            yield f"watcher is active: {each!r}"


def _objects(kind: type) -> list[Any]:
    """The instances of a class that the collector knows and :func:`gc.freeze` has not hidden."""
    matches = _Matches(kind)
    return [each for each in gc.get_objects() if matches[type(each)]]


class _Matches(dict[type, bool]):
    """Whether a type is of a kind; asked of the type alone, since a proxy's class may lie."""

    def __init__(self, kind: type) -> None:
        self._kind = kind

    def __missing__(self, asked: type) -> bool:
        answer = self[asked] = issubclass(asked, self._kind)
        return answer


def _parked(hub: Any) -> list[greenlet]:
    dispatcher = getattr(hub, "gnet_dispatcher", None)
    return dispatcher._idle if dispatcher is not None else []


def _starts(each: greenlet) -> bool:
    return isinstance(each, Greenlet) and each.started


def _thread_of(each: greenlet) -> greenlet:
    """The main greenlet of the thread that ``each`` runs in."""
    while each.parent is not None:
        each = each.parent
    return each


def _watcher_class(loop: Any) -> type:
    """The class that all watchers of the loop have in common; each of gevent's has its own."""
    timer = loop.timer(0)
    timer.close()
    common: type = type(timer).__mro__[-2]
    return common


def _place(each: greenlet) -> str:
    frame = each.gr_frame
    if frame is None:
        return "not started"
    calls = traceback.extract_stack(frame)
    return "in " + " < ".join(
        f"{call.name} ({call.filename}:{call.lineno})" for call in calls[:-6:-1]
    )
