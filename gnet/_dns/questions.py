"""Questions on their way to the name servers, and the answers that still hold."""

from __future__ import annotations

import errno
from collections.abc import Sequence
from time import monotonic
from typing import Any

import dns.name
import gevent
from dns.rdatatype import RdataType
from gevent.lock import BoundedSemaphore

from ..errors import code_of
from .answer import Answer, read_answer, worst
from .cache import AnswerCache
from .nameserver import BadResponse, NameServer

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
    )
}
# Each question has one descriptor; the usual limit of a process is 1,024.
_MAX_QUESTIONS = 256
# An alias that the server does not follow itself is asked for so many times.
_MAX_ALIASES = 16
# How long a known address waits for the addresses of the other family. Some servers never
# answer for AAAA, and the name would take the whole timeout each time.
_OTHER_FAMILY_SECONDS = 1.0


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


class Questions:
    """Asks name servers, for any number of greenlets at once.

    Each question has a greenlet, so that several can be on their way for one caller, and
    several callers can wait for one. It ends when it is answered, or when nobody waits for it.

    :param servers: in the order in which they are asked.
    :param timeout: seconds that all servers and tries have together.
    :param tries: how often each server is asked.
    :param cache_size: how many answers are kept.
    """

    def __init__(
        self, servers: Sequence[NameServer], timeout: float, tries: int, cache_size: int
    ) -> None:
        self.cache = AnswerCache(cache_size)
        self._servers = servers
        self._first = 0
        self._tries = tries
        # The first try's time for one server. It doubles with each try, and all of them
        # together are the timeout.
        self._first_wait = timeout / (len(servers) * (2**tries - 1))
        self._under_way: dict[tuple[Any, ...], _Question] = {}
        self._slots = BoundedSemaphore(_MAX_QUESTIONS)

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
                    answers.append(answer)
                else:
                    questions.append(self._join(name, rdtype, deadline))
            while questions:
                enough = any(each.records for each in answers)
                limit = _OTHER_FAMILY_SECONDS if enough else None
                if not gevent.wait([each.greenlet for each in questions], limit, 1):
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
        if question is None:
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

    # -- in a question's greenlet -------------------------------------------------------------

    def _answer(self, name: dns.name.Name, rdtype: RdataType, deadline: float) -> Answer:
        if not self._slots.acquire(timeout=max(0.0, deadline - monotonic())):
            return Answer("ETIMEOUT")
        try:
            answer = self._follow(name, rdtype, deadline)
        finally:
            self._slots.release()
        self.cache.put(name, rdtype, answer, monotonic())
        return answer

    def _follow(self, name: dns.name.Name, rdtype: RdataType, deadline: float) -> Answer:
        """The answer at the end of the aliases; it holds no longer than any of them."""
        answer = self._ask_servers(name, rdtype, deadline)
        ttl = answer.ttl
        asked = {name}
        while answer.alias is not None:
            if answer.alias in asked or len(asked) == _MAX_ALIASES:
                return Answer("ESERVFAIL")
            asked.add(answer.alias)
            answer = self._ask_servers(answer.alias, rdtype, deadline)
            ttl = min(ttl, answer.ttl)
        if len(asked) == 1:
            return answer
        return Answer(answer.code, answer.records, ttl, aliased=True)

    def _ask_servers(self, name: dns.name.Name, rdtype: RdataType, deadline: float) -> Answer:
        """The first answer that is more than a failure; else the weightiest failure."""
        failure = ""
        first, count = self._first, len(self._servers)
        for attempt in range(self._tries):
            for turn in range(first, first + count):
                now = monotonic()
                if now >= deadline:
                    return Answer(worst(failure, "ETIMEOUT"))
                limit = min(deadline, now + self._first_wait * 2**attempt)
                answer = _outcome(self._servers[turn % count], name, rdtype, limit)
                if answer.code in ("", "ENOTFOUND", "ENODATA"):
                    self._first = turn % count
                    return answer
                failure = worst(failure, answer.code)
        return Answer(failure)


def _outcome(server: NameServer, name: dns.name.Name, rdtype: RdataType, limit: float) -> Answer:
    try:
        return read_answer(server.ask(name, rdtype, limit), name, rdtype)
    except BadResponse:
        return Answer("EBADRESP")
    except TimeoutError:
        return Answer("ETIMEOUT")
    except OSError as exc:
        unreachable = isinstance(exc, ConnectionError) or exc.errno in _UNREACHABLE
        return Answer("ECONNREFUSED" if unreachable else code_of(exc))
