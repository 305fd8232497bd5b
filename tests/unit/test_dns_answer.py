"""Messages of name servers, and what is kept of them."""

from __future__ import annotations

import dns.message
import dns.name
import dns.rrset
import pytest
from dns.rdatatype import RdataType
from hypothesis import given
from hypothesis import strategies as st

from gnet.dns.answer import Answer, read_answer, worst
from gnet.dns.cache import AnswerCache
from gnet.dns.wire import BadResponse, read_reply

NAME = dns.name.from_text("name.test.")
OTHER = dns.name.from_text("other.test.")
A, MX = RdataType.A, RdataType.MX


def message() -> tuple[dns.message.QueryMessage, bytearray]:
    """A question, and the wire form of an answer to it with a bit of everything."""
    query = dns.message.make_query(NAME, A, id=0x1234, use_edns=False)
    reply = dns.message.make_response(query)
    reply.answer.append(dns.rrset.from_text(NAME, 60, "IN", "CNAME", "other.test."))
    reply.answer.append(dns.rrset.from_text(OTHER, 30, "IN", "A", "192.0.2.1", "192.0.2.2"))
    soa = "ns.test. admin.test. 1 2 3 4 5"
    reply.authority.append(dns.rrset.from_text("test.", 60, "IN", "SOA", soa))
    return query, bytearray(reply.to_wire())


def check_reading(query: dns.message.QueryMessage, wire: bytes) -> None:
    """It is an answer, none to this question, or unreadable; never another exception."""
    try:
        reply = read_reply(query, wire)
        answer = None if reply is None else read_answer(reply, NAME, A)
    except BadResponse:
        return
    assert answer is None or isinstance(answer, Answer)


@given(st.binary())
def test_any_bytes_behind_the_right_id_are_read_or_refused(tail: bytes) -> None:
    query, _ = message()
    check_reading(query, b"\x12\x34" + tail)


@given(st.data())
def test_any_damage_to_an_answer_is_read_or_refused(data: st.DataObject) -> None:
    query, wire = message()
    for _ in range(data.draw(st.integers(1, 4))):
        wire[data.draw(st.integers(2, len(wire) - 1))] = data.draw(st.integers(0, 255))
    check_reading(query, bytes(wire[: data.draw(st.integers(0, len(wire)))]))


def test_an_alias_and_its_records_make_one_answer() -> None:
    query, wire = message()
    reply = read_reply(query, bytes(wire))
    assert reply is not None
    answer = read_answer(reply, NAME, A)
    assert sorted(answer.records) == ["192.0.2.1", "192.0.2.2"]
    assert (answer.code, answer.ttl, answer.alias, answer.aliased) == ("", 30, None, True)


@pytest.mark.parametrize(
    ("codes", "told"),
    [
        (["ENOTFOUND", "ENODATA"], "ENODATA"),
        (["ETIMEOUT", "ENOTFOUND"], "ETIMEOUT"),
        (["ESERVFAIL", "ETIMEOUT", "ECONNREFUSED"], "ESERVFAIL"),
        (["EMFILE", "ESERVFAIL"], "EMFILE"),
        (["", "ENOTFOUND"], "ENOTFOUND"),
    ],
)
def test_the_code_that_tells_most_is_told(codes: list[str], told: str) -> None:
    assert worst(*codes) == worst(*reversed(codes)) == told


# -- the cache ------------------------------------------------------------------------------------


def test_an_answer_is_given_until_its_time_is_over() -> None:
    cache = AnswerCache(8)
    answer = Answer(ttl=10)
    cache.put(NAME, A, answer, 100.0)
    assert cache.get(NAME, A, 109.9) is answer
    assert cache.get(NAME, MX, 100.0) is None
    assert cache.get(NAME, A, 110.0) is None
    assert len(cache) == 0


def test_a_name_is_the_same_in_any_case() -> None:
    cache = AnswerCache(8)
    cache.put(NAME, A, Answer(ttl=10), 0.0)
    assert cache.get(dns.name.from_text("NAME.Test."), A, 0.0) is not None


def test_a_name_that_does_not_exist_stands_for_all_types_unless_it_is_an_alias() -> None:
    cache = AnswerCache(8)
    cache.put(NAME, A, Answer("ENOTFOUND", ttl=10), 0.0)
    cache.put(OTHER, A, Answer("ENOTFOUND", ttl=10, aliased=True), 0.0)
    assert cache.get(NAME, MX, 0.0) is not None
    assert cache.get(OTHER, MX, 0.0) is None
    assert cache.get(OTHER, A, 0.0) is not None


def test_the_answer_that_was_not_used_for_longest_makes_room() -> None:
    cache = AnswerCache(2)
    names = [dns.name.from_text(f"n{number}.test.") for number in range(3)]
    cache.put(names[0], A, Answer(ttl=10), 0.0)
    cache.put(names[1], A, Answer(ttl=10), 0.0)
    assert cache.get(names[0], A, 1.0)
    cache.put(names[2], A, Answer(ttl=10), 2.0)
    assert [cache.get(each, A, 3.0) is not None for each in names] == [True, False, True]


def test_nothing_is_kept_without_a_size_or_a_time() -> None:
    empty, cache = AnswerCache(0), AnswerCache(8)
    empty.put(NAME, A, Answer(ttl=10), 0.0)
    cache.put(NAME, A, Answer("ESERVFAIL"), 0.0)
    assert len(empty) == len(cache) == 0


def test_a_newer_answer_takes_the_place_of_an_older() -> None:
    cache = AnswerCache(8)
    cache.put(NAME, A, Answer(ttl=10), 0.0)
    newer = Answer("ENODATA", ttl=10)
    cache.put(NAME, A, newer, 5.0)
    assert cache.get(NAME, A, 12.0) is newer


def test_long_answers_count_for_several() -> None:
    cache = AnswerCache(100)
    names = [dns.name.from_text(f"n{number}.test.") for number in range(10)]
    for name in names:
        cache.put(name, A, Answer(ttl=10, size=40_000), 0.0)
    assert [cache.get(each, A, 1.0) is not None for each in names] == [False] * 8 + [True] * 2
    # What is replaced, runs out or is forgotten counts no more.
    for _ in range(3):
        cache.put(names[9], A, Answer(ttl=20, size=40_000), 2.0)
    assert len(cache) == 2
    assert cache.get(names[8], A, 12.0) is None
    cache.put(names[0], A, Answer(ttl=10, size=60_000), 12.0)
    assert len(cache) == 2
    cache.clear()
    cache.put(names[0], A, Answer(ttl=10, size=65_535), 12.0)
    cache.put(names[1], A, Answer(ttl=10, size=30_000), 12.0)
    assert len(cache) == 2


def test_one_answer_is_kept_however_long_it_is() -> None:
    cache = AnswerCache(1)
    cache.put(NAME, A, Answer(ttl=10, size=65_535), 0.0)
    assert cache.get(NAME, A, 1.0) is not None


def test_everything_can_be_forgotten() -> None:
    cache = AnswerCache(8)
    cache.put(NAME, A, Answer(ttl=10), 0.0)
    cache.clear()
    assert cache.get(NAME, A, 0.0) is None
