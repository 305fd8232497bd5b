"""Questions on their way to the name servers, and the answers that still hold."""

from __future__ import annotations

import _socket
import errno
import os
from collections.abc import Sequence
from dataclasses import replace
from time import monotonic
from typing import Any, NamedTuple
from weakref import WeakSet

import dns.name
import gevent
from dns.rdatatype import RdataType
from gevent.lock import BoundedSemaphore

from ..errors import code_of
from .answer import MAX_ALIASES, Answer, read_answer, worst
from .cache import AnswerCache
from .counted import hit
from .nameserver import Manner, NameServer
from .wire import BadResponse

# What keeps a question from a server; to c-ares, and so to Node, all of it is ECONNREFUSED.
# Windows' sockets have numbers of their own.
_UNREACHABLE = {
    getattr(errno, prefix + name, None)
    for prefix in ("", "WSA")
    for name in (
        "EADDRNOTAVAIL",
        "EAFNOSUPPORT",
        "EHOSTDOWN",
        "EHOSTUNREACH",
        "ENETDOWN",
        "ENETUNREACH",
        "ENODEV",
        "ENXIO",
    )
}
# Each question has one descriptor; the usual limit of a process is 1,024.
_MAX_QUESTIONS = 256
# How long a known address waits for the addresses of the other family. Some servers never
# answer for AAAA, and the name would take the whole timeout each time.
_OTHER_FAMILY_SECONDS = 1.0
# And how long for those that are in the kernel already.
_LOOK_SECONDS = 0.01


class _Question:
    """A question on its way, and how many greenlets wait for its answer."""

    __slots__ = ("greenlet", "key", "waiters")

    def __init__(self, key: tuple[Any, ...], greenlet: Any) -> None:
        self.key = key
        self.greenlet = greenlet
        self.waiters = 0

    @property
    def answer(self) -> Answer:
        """The answer, once the greenlet has ended; one that was killed has none."""
        value = self.greenlet.get(block=False)
        return value if isinstance(value, Answer) else Answer("ECANCELLED")


class Plan(NamedTuple):
    """How often servers are asked, and for how long.

    :ivar tries: how often each server is asked.
    :ivar first_wait: seconds that each server has for its answer at first.
    :ivar growth: by which that is multiplied with each try.
    :ivar rotate: whether the next question begins with the next server; else the one that has
        answered last is asked first.
    """

    tries: int
    first_wait: float
    growth: int = 2
    rotate: bool = False
    manner: Manner = Manner()


class Questions:
    """Asks name servers, for any number of greenlets at once.

    Each question has a greenlet, so that several can be on their way for one caller, and
    several callers can wait for one. It ends when it is answered, or when nobody waits for it.

    :param servers: in the order in which they are asked.
    :param plan: how.
    :param cache_size: how many answers are kept.
    """

    def __init__(self, servers: Sequence[NameServer], plan: Plan, cache_size: int) -> None:
        self.cache: AnswerCache = AnswerCache(cache_size)
        self._servers = servers
        self._first = 0
        self._plan = plan
        self._under_way: dict[tuple[Any, ...], _Question] = {}
        self._slots = BoundedSemaphore(_MAX_QUESTIONS)
        _all.add(self)

    def ask(
        self,
        name: dns.name.Name,
        rdtypes: Sequence[RdataType],
        deadline: float,
    ) -> list[Answer]:
        """The answers for a name; records of one type need not wait long for another's."""
        answers: list[Answer] = []
        questions: list[_Question] = []
        try:
            for rdtype in rdtypes:
                answer = self.cache.get(name, rdtype, monotonic())
                if answer is not None:
                    hit()
                    answers.append(answer)
                else:
                    questions.append(self._join(name, rdtype, deadline))
            while questions:
                enough = any(each.records for each in answers)
                limit = _OTHER_FAMILY_SECONDS if enough else None
                if not _await_one([each.greenlet for each in questions], limit):
                    break
                for question in [each for each in questions if each.greenlet.ready()]:
                    answers.append(question.answer)
                    questions.remove(question)
        finally:
            for question in questions:
                self._leave(question)
        return answers

    def _join(self, name: dns.name.Name, rdtype: RdataType, deadline: float) -> _Question:
        """Wait for the question as well, if it is on its way; else ask it."""
        # A greenlet can be waited for in its own thread only.
        key = (gevent.get_hub(), name, rdtype)
        question = self._under_way.get(key)
        # One that is answered is forgotten in the loop's next turn only.
        if question is None or question.greenlet.ready():
            greenlet = gevent.Greenlet(self._answer, name, rdtype, deadline)
            question = self._under_way[key] = _Question(key, greenlet)
            greenlet.rawlink(lambda _: self._forget(question))
            greenlet.start()
        question.waiters += 1
        return question

    def _leave(self, question: _Question) -> None:
        question.waiters -= 1
        if not question.waiters:
            self._drop(question)

    def _drop(self, question: _Question) -> None:
        self._forget(question)
        question.greenlet.kill(block=False)

    def _forget(self, question: _Question) -> None:
        if self._under_way.get(question.key) is question:
            del self._under_way[question.key]

    def cancel(self) -> None:
        """End all questions of this thread: their answer is ``ECANCELLED``."""
        hub = gevent.get_hub()
        for question in [each for each in self._under_way.values() if each.key[0] is hub]:
            self._drop(question)

    def abandon(self) -> None:
        """In a forked child: the questions are the parent's, and so are those who wait."""
        for question in self._under_way.values():
            # Its socket is closed here, where it would take the answer away from the parent.
            question.greenlet.unlink_all()
            question.greenlet.kill(block=False)
        self._under_way.clear()
        self._slots = BoundedSemaphore(_MAX_QUESTIONS)

    # -- in a question's greenlet -------------------------------------------------------------

    def _answer(self, name: dns.name.Name, rdtype: RdataType, deadline: float) -> Answer:
        slots = self._slots
        if not slots.acquire(timeout=max(0.0, deadline - monotonic())):
            return Answer("ETIMEOUT")
        try:
            answer = self._follow(name, rdtype, deadline)
        finally:
            slots.release()
        self.cache.put(name, rdtype, answer, monotonic())
        return answer

    def _follow(self, name: dns.name.Name, rdtype: RdataType, deadline: float) -> Answer:
        """The answer at the end of the aliases; it holds no longer than any of them."""
        answer = self._ask_servers(name, rdtype, deadline)
        ttl = answer.ttl
        asked = {name}
        while answer.alias is not None:
            if answer.alias in asked or len(asked) == MAX_ALIASES:
                return Answer("ESERVFAIL")
            asked.add(answer.alias)
            answer = self._ask_servers(answer.alias, rdtype, deadline)
            ttl = min(ttl, answer.ttl)
        if len(asked) == 1:
            return answer
        return replace(answer, ttl=ttl, aliased=True)

    def _ask_servers(self, name: dns.name.Name, rdtype: RdataType, deadline: float) -> Answer:
        """The first answer that is more than a failure; else the weightiest failure."""
        failure = ""
        plan = self._plan
        first, count = self._first, len(self._servers)
        if plan.rotate:
            self._first = (first + 1) % count
        for attempt in range(plan.tries):
            for turn in range(first, first + count):
                now = monotonic()
                if now >= deadline:
                    return Answer(worst(failure, "ETIMEOUT"))
                limit = min(deadline, now + plan.first_wait * plan.growth**attempt)
                server = self._servers[turn % count]
                answer = _outcome(server, name, rdtype, limit, plan.manner)
                if answer.code in ("", "ENOTFOUND", "ENODATA"):
                    if not plan.rotate:
                        self._first = turn % count
                    return answer
                failure = worst(failure, answer.code)
        return Answer(failure)


def _await_one(greenlets: list[gevent.Greenlet[..., Any]], seconds: float | None) -> bool:
    """Block until one of them is over, or for so long; tells whether one is."""
    if gevent.wait(greenlets, seconds, 1):
        return True
    # The process may have stood still, and their answers be in the kernel.
    return bool(gevent.wait(greenlets, _LOOK_SECONDS, 1))


def _outcome(
    server: NameServer, name: dns.name.Name, rdtype: RdataType, limit: float, manner: Manner
) -> Answer:
    try:
        return read_answer(server.ask(name, rdtype, limit, manner), name, rdtype)
    except BadResponse:
        return Answer("EBADRESP")
    except TimeoutError:
        return Answer("ETIMEOUT")
    except OSError as exc:
        # A zone that is no interface now is the resolver's kind of error.
        known = isinstance(exc, (ConnectionError, _socket.gaierror))
        unreachable = known or exc.errno in _UNREACHABLE
        return Answer("ECONNREFUSED" if unreachable else code_of(exc))


_all: WeakSet[Questions] = WeakSet()


def _abandon_all() -> None:
    for each in list(_all):
        each.abandon()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_abandon_all)
