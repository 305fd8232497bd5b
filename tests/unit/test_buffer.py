"""The queue of what is still to be sent."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gnet._core.outbox import Outbox


def content(queue: Outbox) -> bytes:
    """All that is queued, in order; more than one look where there are many buffers."""
    found = b""
    while queue.size:
        buffers = [bytes(each) for each in queue.buffers()]
        assert buffers, "bytes are queued and none are given"
        found += b"".join(buffers)
        queue.consume(sum(map(len, buffers)))
    return found


def test_an_empty_queue_has_nothing_to_send() -> None:
    queue = Outbox()
    assert queue.size == 0
    assert list(queue.buffers()) == []
    assert list(queue.clear()) == []


def test_messages_come_out_in_the_order_of_their_writing() -> None:
    queue = Outbox()
    for each in (b"one", b"two", b"three"):
        queue.push(each)
    assert queue.size == 11
    assert content(queue) == b"onetwothree"


def test_bytes_are_not_copied() -> None:
    queue, data = Outbox(), bytes(1000)
    queue.push(data)
    (buffer,) = queue.buffers()
    held = buffer.obj if isinstance(buffer, memoryview) else buffer
    assert held is data


def test_the_rest_of_a_message_is_not_copied() -> None:
    queue, data = Outbox(), bytes(range(256))
    queue.push(data)
    queue.consume(100)
    (rest,) = queue.buffers()
    assert isinstance(rest, memoryview)
    assert rest.obj is data
    assert rest == data[100:]


def test_consume_gives_the_messages_that_are_sent_whole() -> None:
    queue = Outbox()
    one, two, three = (queue.push(each) for each in (b"aaa", b"bbb", b"ccc"))
    assert list(queue.consume(2)) == []
    assert queue.size == 7
    assert list(queue.consume(1)) == [one]
    assert list(queue.consume(4)) == [two]
    assert list(queue.consume(2)) == [three]
    assert queue.size == 0
    assert one.sent
    assert two.sent
    assert three.sent


def test_consume_of_everything_at_once_gives_every_message() -> None:
    queue = Outbox()
    chunks = [queue.push(each) for each in (b"aaa", b"bbb")]
    assert list(queue.consume(6)) == chunks
    assert list(queue.buffers()) == []


def test_a_message_keeps_its_callback() -> None:
    queue = Outbox()
    queue.push(b"a", print)
    (chunk,) = queue.consume(1)
    assert chunk.callback is print


def test_clear_gives_what_was_not_sent_whole() -> None:
    queue = Outbox()
    queue.push(b"aaa")
    two = queue.push(b"bbb")
    three = queue.push(b"ccc")
    queue.consume(4)
    assert list(queue.clear()) == [two, three]
    assert queue.size == 0
    assert not two.sent
    assert not three.sent
    assert list(queue.buffers()) == []


def test_one_look_gives_no_more_buffers_than_a_system_call_takes() -> None:
    queue = Outbox()
    for number in range(3000):
        queue.push(bytes([number % 256]))
    assert 1 <= len(list(queue.buffers())) <= 1024
    assert content(queue) == bytes(number % 256 for number in range(3000))


def test_memoryviews_are_counted_in_bytes() -> None:
    queue = Outbox()
    queue.push(memoryview(b"12345678"))
    assert queue.size == 8


@pytest.mark.parametrize("rest", [b"", b"x"])
def test_an_empty_message_does_not_stand_in_the_way(rest: Any) -> None:
    queue = Outbox()
    queue.push(b"a")
    empty = queue.push(b"")
    if rest:
        queue.push(rest)
    sent = list(queue.consume(1 + len(rest)))
    assert empty in sent
    assert queue.size == 0


@given(st.lists(st.one_of(st.binary(min_size=1, max_size=20), st.integers(1, 30)), max_size=60))
def test_any_sequence_of_writes_and_sends_keeps_the_stream(steps: Any) -> None:
    queue, written, taken, whole = Outbox(), b"", b"", []
    for step in steps:
        if isinstance(step, bytes):
            queue.push(step)
            written += step
            whole.append(len(written))
            continue
        offered = b"".join(bytes(each) for each in queue.buffers())
        count = min(step, len(offered))
        taken += offered[:count]
        done = queue.consume(count)
        ended = [end for end in whole if end <= len(taken)]
        assert len(list(done)) == len(ended)
        whole = whole[len(ended) :]
        assert queue.size == len(written) - len(taken)
    assert taken + content(queue) == written
