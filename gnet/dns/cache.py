"""Answers that still hold."""

from __future__ import annotations

from collections import OrderedDict

import dns.name
import dns.rdatatype

from .answer import Answer

# A name that does not exist has no records of any type (RFC 2308, section 5); no type has 0.
_ANY_TYPE = 0
# What answers may have had on the wire: each on average, and at least all of them together. In
# memory it can be twenty times as much.
_BYTES_EACH = 1024
_LEAST_BYTES = 65535

_Key = tuple[dns.name.Name, int]


class AnswerCache:
    """Answers by name and type, each until its time to live is over.

    When it is full, the one that was not used for longest goes.

    :param size: how many answers are kept; ``0`` for none. Long ones count for several: a
        stranger's may have 64 KiB.

    From RFC 1034, section 7.4, and RFC 2308.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._most_bytes = max(size * _BYTES_EACH, _LEAST_BYTES)
        self._bytes = 0
        self._answers: OrderedDict[_Key, tuple[Answer, float]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._answers)

    def get(self, name: dns.name.Name, rdtype: int, now: float) -> Answer | None:
        """The answer that holds at the time ``now``, in seconds of a monotonic clock."""
        for key in ((name, rdtype), (name, _ANY_TYPE)):
            answer, end = self._answers.get(key, (None, 0.0))
            if answer is None:
                continue
            if now < end:
                self._answers.move_to_end(key)
                return answer
            self._drop(key)
        return None

    def put(self, name: dns.name.Name, rdtype: int, answer: Answer, now: float) -> None:
        """Keep an answer that came at the time ``now``, if it holds for any time."""
        if answer.ttl <= 0 or not self._size:
            return
        everything = answer.code == "ENOTFOUND" and not answer.aliased
        key = (name, _ANY_TYPE if everything else rdtype)
        if key in self._answers:
            self._drop(key)
        self._answers[key] = (answer, now + answer.ttl)
        self._bytes += answer.size
        while len(self._answers) > self._size or self._bytes > self._most_bytes:
            self._drop(next(iter(self._answers)))

    def _drop(self, key: _Key) -> None:
        answer, _ = self._answers.pop(key)
        self._bytes -= answer.size

    def clear(self) -> None:
        """Forget everything."""
        self._answers.clear()
        self._bytes = 0
