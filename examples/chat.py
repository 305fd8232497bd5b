"""A chat room, in event style.

    python examples/chat.py [PORT or PATH]

Come in with ``nc localhost PORT`` or ``examples/line_client.py PORT``: the first line is your
name, every other one goes to all the others.

A slow reader slows nobody. ``write`` queues what a member does not take, and says so: from then
until that queue has been sent, the member misses what is said, and is told how much afterwards.
"""

from __future__ import annotations

import signal
import sys

import gevent

import gnet

LONGEST_LINE = 1000


class Member:
    """One connection: splits what it receives into lines, and skips what it cannot take."""

    def __init__(self, room: set[Member], sock: gnet.Socket) -> None:
        self.room = room
        self.sock = sock
        self.name = ""
        self.missed = 0
        self.unfinished = ""
        sock.set_encoding("utf-8")
        sock.on("data", self.received)
        sock.on("drain", self.caught_up)
        sock.on("error", lambda error: print(error, file=sys.stderr))
        sock.on("close", self.left)
        sock.write("* your name?\n")

    def received(self, text: str) -> None:
        *lines, self.unfinished = (self.unfinished + text).split("\n")
        if len(self.unfinished) > LONGEST_LINE:
            self.sock.write("* no line is that long\n")
            self.sock.close()
            return
        for line in lines:
            self.said(line.strip()[:LONGEST_LINE])

    def said(self, line: str) -> None:
        if self.name:
            self.tell_others(f"{self.name}: {line}\n")
        elif line:
            self.name = line
            names = ", ".join(sorted(member.name for member in self.room)) or "nobody"
            self.room.add(self)
            self.sock.write(f"* here: {names}\n")
            self.tell_others(f"* {line} has come\n")

    def left(self, had_error: bool) -> None:
        if self in self.room:
            self.room.remove(self)
            self.tell_others(f"* {self.name} has left\n")

    def tell_others(self, text: str) -> None:
        for member in self.room - {self}:
            member.hear(text)

    def hear(self, text: str) -> None:
        if self.sock.writable_need_drain:
            self.missed += 1
        elif self.sock.writable:
            self.sock.write(text)

    def caught_up(self) -> None:
        missed, self.missed = self.missed, 0
        if missed:
            self.sock.write(f"* you were slow, and missed {missed}\n")


def main(target: str = "0") -> None:
    room: set[Member] = set()
    server = gnet.create_server(lambda sock: Member(room, sock), no_delay=True, keep_alive=True)
    server.listen(target)
    address = server.address()
    print("listening on", getattr(address, "port", address), flush=True)
    for number in signal.SIGINT, signal.SIGTERM:
        gevent.signal_handler(number, server.shutdown, 1.0)
    gnet.run()


if __name__ == "__main__":
    main(*sys.argv[1:])
