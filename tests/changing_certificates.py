"""Handshakes while the server's certificates change, and a look at each: none fails.

Run by hand, from the root: ``python -m tests.changing_certificates``; CI does less. Clients of
both versions of TLS shake hands without a pause, a few at once; one in four offers the session of
an earlier one. Meanwhile the certificate changes again and again, by each of the ways that there
are: files that are replaced and found by the watch, ``reload()``, and ``set_secure_context()``
with a context and with a pair of files. Each certificate has its number among its names, and each
client must be shown one that was in use at some time of its handshake, and believe it. It prints
its figures, and exits with 1 if a handshake has failed, has shown another certificate, or if
contexts are left that nobody uses.
"""

from __future__ import annotations

import argparse
import gc
import logging
import ssl
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from itertools import cycle
from pathlib import Path
from typing import Any, NamedTuple

import gevent
from gevent.event import Event

import gnet
from gnet.tls import Certificates, certificates
from tests.helpers.authority import authority, issue, server_context, write_pair
from tests.helpers.servers import echoing, place_at

#: How often the watch looks at the files here, in seconds.
LOOK_SECONDS = 0.01
WAYS = ("a context", "a pair of files", "reload()", "the watch")


class Report(NamedTuple):
    """What the clients have seen.

    :ivar handshakes: how many were done.
    :ivar resumed: in how many of them a session was resumed, which shows no certificate.
    :ivar changes: how often the certificate has changed.
    :ivar wrong: the handshakes that have failed, or have shown a certificate that was not in use.
    :ivar contexts: how many server contexts there are in the end.
    :ivar seconds: how long it took.
    """

    handshakes: int
    resumed: int
    changes: int
    wrong: list[str]
    contexts: int
    seconds: float


class Changes:
    """The certificate of a server, which changes.

    :ivar oldest: the number of the oldest one that may be shown now.
    :ivar newest: the number of the newest one that may.
    """

    def __init__(self, folder: Path) -> None:
        self._files = folder / "here" / "tls.crt", folder / "here" / "tls.key"
        self.oldest = self.newest = 0
        self._ways = cycle(WAYS)
        self._write(0)
        self.certificates = Certificates(folder)

    def change(self, server: gnet.Server) -> None:
        """Have it be another one, by the next of the ways."""
        way = next(self._ways)
        number = self.newest + 1
        # It may be shown from now on, and soon it has to be.
        self.newest = number
        if way == "a context":
            server.set_secure_context(server_context(numbered(number)))
        elif way == "a pair of files":
            self._write(number)
            server.set_secure_context(self._files)
        elif way == "reload()":
            self._write(number)
            self.certificates.reload()
            server.set_secure_context(self.certificates)
        else:
            self._await_watch(number)
        self.oldest = number

    def _await_watch(self, number: int) -> None:
        before = self.certificates.context_for(None)
        self._write(number)
        while self.certificates.context_for(None) is before:
            gevent.sleep(LOOK_SECONDS / 2)

    def _write(self, number: int) -> None:
        write_pair(numbered(number), *self._files)


def numbered(number: int) -> Any:
    """A certificate that tells its number."""
    return issue("localhost", f"{number}.example")


def number_of(sock: gnet.Socket) -> int:
    """The number of the certificate that a client was shown."""
    shown: Any = sock.getpeercert()
    [(_, _), (_, name)] = shown["subjectAltName"]
    return int(name.partition(".")[0])


def contexts_for(version: ssl.TLSVersion) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    authority().configure_trust(context)
    context.minimum_version = context.maximum_version = version
    return context


class Clients:
    """Clients that shake hands, one handshake after the other, and what they have seen."""

    def __init__(self, server: gnet.Server, changes: Changes, handshakes: int, per: int) -> None:
        self._place = place_at(server)
        self._changes = changes
        self._left = handshakes
        self._per = per
        self._contexts = [contexts_for(version) for version in (
            ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3
        )]  # fmt: skip
        self.done = self.resumed = 0
        self.wrong: list[str] = []
        # Set when a handshake was done, and when the certificate has changed.
        self._moved = Event()

    def change(self, server: gnet.Server, changes: int) -> None:
        """Change the certificate so many times, each time when so many handshakes were done."""
        for number in range(changes):
            self._wait_while(partial(self._is_early, number * self._per))
            self._changes.change(server)
            self._moved.set()

    def _is_early(self, due: int) -> bool:
        return self.done + len(self.wrong) < due

    def _wait_while(self, early: Callable[[], bool]) -> None:
        while early():
            self._moved.clear()
            self._moved.wait()

    def run(self, at_once: int) -> None:
        """Block until all are done."""
        gevent.joinall([gevent.spawn(self._client, n) for n in range(at_once)], raise_error=True)

    def _client(self, number: int) -> None:
        context = self._contexts[number % 2]
        sessions: list[Any] = []
        while self._left:
            self._left -= 1
            # The changes keep pace.
            self._wait_while(lambda: self.done >= (self._changes.newest + 2) * self._per)
            oldest = self._changes.oldest
            offered = sessions[-1] if sessions and self._left % 4 == 0 else None
            try:
                shown = self._shake(context, offered, sessions)
            except OSError as exc:
                self.wrong.append(repr(exc))
                self._moved.set()
                continue
            self.done += 1
            self._moved.set()
            if shown is None:
                self.resumed += 1
            elif not oldest <= shown <= self._changes.newest:
                self.wrong.append(f"{shown}, not {oldest} to {self._changes.newest}")

    def _shake(self, context: ssl.SSLContext, offered: Any, sessions: list[Any]) -> int | None:
        """Gives the number of the certificate that was shown; ``None`` if none was."""
        with gnet.connect(
            *self._place, tls=context, server_hostname="localhost", session=offered
        ) as sock:
            sock.on("session", sessions.append)
            sock.sendall(b"x")
            if sock.recv(1) != b"x":
                raise EOFError("no echo")
            del sessions[:-1]
            return None if sock.is_session_reused() else number_of(sock)


def run(handshakes: int, changes: int, at_once: int = 10) -> Report:
    """So many handshakes, while the certificate changes so many times."""
    # What is between the two files of a pair is told of as broken, which is no news here.
    log = logging.getLogger("gnet")
    level, look = log.level, certificates.LOOK_SECONDS
    log.setLevel(logging.CRITICAL)
    certificates.LOOK_SECONDS = LOOK_SECONDS
    begun = time.monotonic()
    try:
        with tempfile.TemporaryDirectory(prefix="gnet-") as name:
            changing = Changes(Path(name))
            with echoing(tls=changing.certificates) as server:
                clients = Clients(server, changing, handshakes, max(1, handshakes // changes))
                changer = gevent.spawn(clients.change, server, changes)
                clients.run(at_once)
                changer.get()
                left = server_contexts()
            changing.certificates.close()
    finally:
        log.setLevel(level)
        certificates.LOOK_SECONDS = look
    seconds = time.monotonic() - begun
    return Report(clients.done, clients.resumed, changing.newest, clients.wrong, left, seconds)


def server_contexts() -> int:
    """How many contexts of servers there are; more than a few are a leak."""
    gc.collect()
    return sum(
        isinstance(each, ssl.SSLContext) and each.protocol != ssl.PROTOCOL_TLS_CLIENT
        for each in gc.get_objects()
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--handshakes", type=int, default=10_000)
    parser.add_argument("--changes", type=int, default=1000)
    options = parser.parse_args()
    report = run(options.handshakes, options.changes)
    print(
        f"{report.handshakes:,} handshakes, {report.resumed:,} of them resumed, while the "
        f"certificate changed {report.changes:,} times; {report.seconds:.0f} s; "
        f"{len(report.wrong)} wrong; {report.contexts} contexts left"
    )
    for line in report.wrong[:20]:
        print(line)
    whole = report.handshakes == options.handshakes and report.changes == options.changes
    return 0 if whole and not report.wrong and report.contexts < 10 else 1


if __name__ == "__main__":
    sys.exit(main())
