"""Messages and descriptors between two processes: here, the two ends in one."""

from __future__ import annotations

import errno
import os
import resource
import sys
from collections.abc import Iterator
from typing import Any

import gevent
import pytest
from gevent.event import Event
from gevent.queue import Queue

from tests.helpers import forks

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="no descriptors can be sent")

if sys.platform != "win32":
    import _socket

    from gnet._processes.channel import Channel, Message
    from gnet._transport.stream_socket import Wire


class End:
    """One end: what it has received, and whether it was told that the other has gone."""

    def __init__(self, wire: Any) -> None:
        self.received: Queue[Any] = Queue()
        self.lost = Event()
        self.answers: dict[str, Any] = {}
        self.channel = Channel(wire, self._receive, self.lost.set)

    def _receive(self, message: Message) -> None:
        if message.kind in self.answers:
            self.channel.answer(message, **self.answers[message.kind])
        else:
            self.received.put(message)


@pytest.fixture
def ends() -> Iterator[tuple[End, End]]:
    pair = _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_STREAM)
    ends = End(Wire.adopt(pair[0].detach())), End(Wire.adopt(pair[1].detach()))
    yield ends
    for end in ends:
        end.channel.close()


def test_messages_arrive_in_their_order(ends: tuple[End, End]) -> None:
    here, there = ends
    for number in range(100):
        here.channel.post("number", value=number)
    arrived = [there.received.get() for _ in range(100)]
    assert arrived == [("number", {"value": number}, None) for number in range(100)]


def test_any_value_of_json_arrives_as_it_was(ends: tuple[End, End]) -> None:
    here, there = ends
    values = [None, True, 1.5, "line\nand \udcff", ["ä", {"deep": []}], {}]
    here.channel.post("values", values=values)
    assert there.received.get().fields == {"values": values}


def test_more_than_the_kernel_takes_arrives_whole(ends: tuple[End, End]) -> None:
    here, there = ends
    text = "x" * 3_000_000
    here.channel.post("large", text=text)
    here.channel.post("behind it")
    assert there.received.get().fields == {"text": text}
    assert there.received.get().kind == "behind it"


def test_descriptors_go_with_their_messages(ends: tuple[End, End]) -> None:
    here, there = ends
    pipes = [os.pipe() for _ in range(3)]
    for number, (read, _) in enumerate(pipes):
        here.channel.post("none")
        here.channel.post("one", fd=read, number=number)
        # It was sent, or is a duplicate until it is.
        forks.close(read)
    for number, (_, write) in enumerate(pipes):
        os.write(write, b"%d" % number)
        forks.close(write)
    for number in range(3):
        assert there.received.get().fd is None
        message = there.received.get()
        assert message.fields == {"number": number}
        assert not os.get_inheritable(message.fd)
        assert os.read(message.fd, 10) == b"%d" % number
        forks.close(message.fd)


def test_a_question_is_answered(ends: tuple[End, End]) -> None:
    here, there = ends
    there.answers = {"question": {"value": 42}, "other": {"value": 1}}
    asked = [gevent.spawn(here.channel.ask, kind) for kind in ("question", "other")]
    assert [each.get().fields["value"] for each in asked] == [42, 1]


def test_an_answer_that_does_not_come_in_time_is_an_error(ends: tuple[End, End]) -> None:
    here, there = ends
    with pytest.raises(TimeoutError):
        here.channel.ask("question", 0.01)
    # A late one is nobody's, and its descriptor is closed.
    there.channel.answer(there.received.get(), fd=here.channel._wire.fileno())
    here.channel.post("over")
    there.received.get()


@pytest.mark.parametrize("answer", [{"count": "one"}, {"count": None}, {}])
def test_an_answer_without_what_was_asked_for_closes_the_channel(
    ends: tuple[End, End], answer: dict[str, Any]
) -> None:
    here, there = ends
    there.answers["question"] = answer
    with pytest.raises(OSError) as caught:
        here.channel.ask("question", expects={"count": int})
    assert caught.value.errno == errno.EPROTO
    here.lost.wait()


def test_an_error_may_stand_for_what_was_asked_for(ends: tuple[End, End]) -> None:
    here, there = ends
    there.answers["question"] = {"error": "none"}
    assert here.channel.ask("question", expects={"count": int}).fields["error"] == "none"


def test_when_one_end_closes_the_other_is_told(ends: tuple[End, End]) -> None:
    here, there = ends
    asked = gevent.spawn(_caught, here.channel.ask, "question")
    there.received.get()
    there.channel.close()
    here.lost.wait()
    assert asked.get().errno == errno.EPIPE
    assert here.channel.closed
    here.channel.post("into the void")
    with pytest.raises(BrokenPipeError):
        here.channel.ask("anybody?")


def test_what_cannot_be_sent_any_more_is_dropped(ends: tuple[End, End]) -> None:
    here, there = ends
    read, write = os.pipe()
    here.channel.post("large", text="x" * 3_000_000)
    here.channel.post("behind it", fd=read)
    forks.close(read)
    there.channel.close()
    here.lost.wait()
    # The duplicate is closed as well, so nobody is left who could read.
    with pytest.raises(BrokenPipeError):
        os.write(write, b"x")
    forks.close(write)


def test_a_descriptor_that_there_is_no_number_for_is_missing(ends: tuple[End, End]) -> None:
    here, there = ends
    here.channel.post("one", fd=here.channel._wire.fileno())
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    lowest = os.dup(here.channel._wire.fileno())
    forks.close(lowest)
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest, limits[1]))
    try:
        assert there.received.get().fd is None
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    here.channel.post("two", fd=here.channel._wire.fileno())
    message = there.received.get()
    assert message.kind == "two"
    forks.close(message.fd)


def test_a_forked_child_has_no_channel(ends: tuple[End, End]) -> None:
    here, there = ends

    def task() -> bool:
        here.channel.post("of the child")
        return here.channel.closed and there.channel.closed

    assert forks.Child(task, forks.fork).result()
    here.channel.post("of the parent")
    assert there.received.get().kind == "of the parent"


def _caught(function: Any, *args: Any) -> Any:
    try:
        return function(*args)
    except OSError as exc:
        return exc
