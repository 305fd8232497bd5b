"""Publishing the events of :mod:`gnet.events`."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from zope.event import notify, subscribers

__all__ = ["is_publishing", "publish", "subscribers"]


def publish(defer: Callable[[Callable[[], object]], object], kind: str, *fields: Any) -> None:
    """Publish an event in the next turn of the loop; make none while nobody subscribes.

    :param defer: the dispatcher's ``defer``.
    :param kind: the name of the event's class.
    :param fields: its fields.
    """
    if subscribers:
        # Not before the next turn: no descriptor may be left to import with, which is no reason
        # for what happens here to stop half-way.
        defer(partial(_notify, kind, fields))


def is_publishing(job: object) -> bool:
    """Whether a deferred job has published an event: its failure is a subscriber's."""
    return isinstance(job, partial) and job.func is _notify


def _notify(kind: str, fields: tuple[Any, ...]) -> None:
    # dataclasses take longer to import than the rest of gnet: only who subscribes pays.
    from .. import events

    notify(getattr(events, kind)(*fields))
