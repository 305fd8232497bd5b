"""Generated requests, right and wrong ones, to gnet.wsgi and to Node's ``http`` side by side.

Run by hand, from the root: ``python -m tests.beside_node --requests 10000``; CI sends fewer. Each
is sent whole, and again in two pieces. It prints what gnet refuses and Node serves, by gnet's
reason, and exits with 1 if Node refuses what gnet serves, or if the two see different requests.
"""

from __future__ import annotations

import argparse
import io
import random
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import gevent
from gevent import socket
from gevent.pool import Pool

from gnet import wsgi
from tests.helpers.peers import node, running

AT_ONCE = 20
#: Seconds between two pieces, so that they are read one by one; and for all answers.
PAUSE = 0.01
LIMIT = 20.0

NODE = """
const http = require('http');
const server = http.createServer((request, response) => {
  let size = 0;
  request.on('data', data => { size += data.length; });
  request.on('end', () => {
    response.setHeader('X-Seen', `${request.method} ${request.url} ${size}`);
    response.setHeader('Content-Length', 0);
    response.end();
  });
});
// Node would drop the answers to the requests ahead of a wrong one, if they came together.
server.on('clientError', (error, socket) => setTimeout(
  () => socket.end('HTTP/1.1 400 \\r\\n\\r\\n'), 20));
server.listen(0, '127.0.0.1', () => console.log(server.address().port));
"""

FOLLOWER = b"GET /follower HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n"
# What the bytes are that HTTP gives a meaning to, and some that it does not.
MARKS = [
    bytes([each])
    for each in b"\r\n\t \0:;,=\"'()<>@[]{}/?\\#%+-_*&.0159aAfFxX\x0b\x0c\x1f\x7f\x80\xff"
]
MARKS += [b"\r\n", b"\r\n\r\n", b"\n\n", b" \r\n"]

METHODS = [b"GET", b"POST", b"PUT", b"HEAD", b"DELETE", b"OPTIONS", b"PATCH", b"get", b"BREW", b""]
TARGETS = [
    b"/",
    b"/a?b=c",
    b"/a%20b",
    b"*",
    b"http://here/x",
    b"//x",
    b"/a b",
    b"/\x7f",
    b"x",
    b"/#x",
]
VERSIONS = [b"HTTP/1.1"] * 8 + [b"HTTP/1.0", b"HTTP/2.0", b"HTTP/1.2", b"http/1.1", b"HTTP/0.9"]
HOSTS = [b"Host: here"] * 8 + [
    b"",
    b"Host:",
    b"Host: a\r\nHost: b",
    b"host: here:80",
    b"Host : here",
]
FIELDS = [
    b"X: y", b"X:y", b"X:  y \t", b"X: ", b"X : y", b" X: y", b"X: y\r\n z", b"X", b": y",
    b"X: \x01", b"X: \xe4", b"X_Y: z", b"Connection: keep-alive", b"Connection: close",
    b"TE: trailers", b"Content-Type: text/plain", b"Cookie: a=b", b"Accept: */*",
]  # fmt: skip
LENGTHS = [
    b"%d",
    b"%d",
    b"%d",
    b"%d",
    b"0%d",
    b"+%d",
    b"-%d",
    b"%d ",
    b" %d",
    b"%d,%d",
    b"0x%x",
    b"%d_",
    b"",
]
CODINGS = [
    b"chunked", b"chunked", b"chunked", b"Chunked", b"chunked ", b"\tchunked", b"gzip",
    b"identity", b"gzip, chunked", b"chunked, gzip", b"chunked, chunked", b",chunked", b"chunked,",
    b"chunked;q=1", b"\x0bchunked", b'"chunked"', b"xchunked",
]  # fmt: skip
SIZES = [b"%x", b"%x", b"%x", b"%X", b"0%x", b"%x;a", b"%x;a=b",
         b'%x;a="b"', b"%x ", b" %x", b"+%x", b"0x%x", b"%x;", b"%x;a\nb"]  # fmt: skip
ENDS = [b"0\r\n\r\n"] * 4 + [
    b"0\r\nX: y\r\n\r\n",
    b"0\r\n X: y\r\n\r\n",
    b"00\r\n\r\n",
    b"0\n\n",
    b"0\r\n",
    b"",
]


class Answers(NamedTuple):
    """What a server has made of some bytes.

    :ivar seen: the method, target and size of the body of each request that it served.
    :ivar refused: whether it refused what came behind those.
    """

    seen: list[str]
    refused: bool


class Outcome(NamedTuple):
    """What a run has come to.

    :ivar sent: how many requests.
    :ivar laxer: those that gnet serves, and Node does not.
    :ivar different: those that the two see differently.
    :ivar stricter: how many gnet refuses and Node serves, by gnet's reason.
    """

    sent: int
    laxer: list[bytes]
    different: list[tuple[bytes, Answers, Answers]]
    stricter: Counter[str]


def generated(rng: random.Random) -> bytes:
    """A request, perhaps with something wrong in it."""
    choose = rng.choice
    body = b"x" * choose([0, 1, 5, 20])
    fields = [choose(HOSTS)]
    framing = choose(["none", "none", "length", "length", "chunks", "chunks", "both"])
    if framing in ("length", "both"):
        form = choose(LENGTHS)
        fields.append(b"Content-Length: " + form % ((len(body),) * form.count(b"%")))
        if rng.random() < 0.05:
            fields.append(fields[-1])
    if framing in ("chunks", "both"):
        fields.append(b"Transfer-Encoding: " + choose(CODINGS))
        size = choose(SIZES) % len(body)
        body = (size + b"\r\n" + body + b"\r\n" if body else b"") + choose(ENDS)
    fields += rng.choices(FIELDS, k=rng.randrange(3))
    rng.shuffle(fields)
    line = b" ".join((choose(METHODS[:7] * 3 + METHODS), choose(TARGETS[:3] * 3 + TARGETS),
                      choose(VERSIONS)))  # fmt: skip
    lines = [line, *(each for each in fields if each)]
    request = b"\r\n".join(lines) + b"\r\n\r\n" + (body if framing != "none" else b"")
    for _ in range(choose([0, 0, 0, 1, 2])):
        request = mutated(rng, request)
    return request


def mutated(rng: random.Random, request: bytes) -> bytes:
    """The request with one of the marks put in, or in the place of a byte; or without a byte."""
    at = rng.randrange(len(request))
    mark = rng.choice(MARKS)
    how = rng.randrange(3)
    if how == 0:
        return request[:at] + mark + request[at:]
    return request[:at] + (mark if how == 1 else b"") + request[at + 1 :]


def ask(port: int, pieces: list[bytes]) -> Answers:
    """Send the pieces and an end; gives what becomes of them."""
    received = b""
    with socket.create_connection(("127.0.0.1", port), LIMIT) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            for number, piece in enumerate(pieces):
                if number:
                    gevent.sleep(PAUSE)
                sock.sendall(piece)
            sock.shutdown(socket.SHUT_WR)
        except OSError:
            # It has refused what came first.
            pass
        try:
            while more := sock.recv(65536):
                received += more
        except ConnectionError:
            pass
    statuses = re.findall(rb"^HTTP/1.1 (\d+)", received, re.MULTILINE)
    seen = re.findall(rb"^X-Seen: ([^\r]*)", received, re.MULTILINE | re.IGNORECASE)
    return Answers([each.decode("latin-1") for each in seen], len(statuses) > len(seen))


@contextmanager
def servers() -> Iterator[tuple[int, int, Callable[[], str]]]:
    """gnet and Node; gives their ports, and what gives gnet's reasons since it was called last."""
    log = io.StringIO()

    def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        size = len(environ["wsgi.input"].read())
        seen = f"{environ['REQUEST_METHOD']} {environ['REQUEST_URI']} {size}"
        start_response("200 OK", [("X-Seen", seen), ("Content-Length", "0")])
        return []

    def reasons() -> str:
        text = log.getvalue()
        log.seek(0)
        log.truncate()
        return text

    with (
        wsgi.WSGIServer(application, error_log=log).listen(0, "127.0.0.1") as server,
        running(*node(NODE), limit=3600) as process,
    ):
        yield server.address().port, int(process.line()), reasons  # type: ignore[union-attr]
        server.shutdown(0)


def run(requests: int, seed: int = 0) -> Outcome:
    """Send so many requests to both.

    :param seed: what they are generated from.
    """
    rng = random.Random(seed)
    laxer: list[bytes] = []
    different = []
    refused: list[list[bytes]] = []
    stricter: Counter[str] = Counter()
    # An absolute target is the same request as its path, to which gnet reduces it.
    same = re.compile(r" https?://[^/?]*", re.IGNORECASE)
    with servers() as (ours, nodes, reasons):

        def both(request: bytes, at: int | None) -> None:
            pieces = [request] if at is None else [request[:at], request[at:]]
            theirs = gevent.spawn(ask, nodes, pieces)
            mine, its = ask(ours, pieces), theirs.get()
            seen = [same.sub(" ", each) for each in its.seen]
            if len(mine.seen) > len(seen):
                laxer.append(request)
            elif mine.seen != seen[: len(mine.seen)]:
                different.append((request, mine, its))
            elif len(mine.seen) < len(seen):
                if not mine.refused:
                    different.append((request, mine, its))
                refused.append(pieces)

        pool = Pool(AT_ONCE)
        for _ in range(requests):
            request = generated(rng) + FOLLOWER
            for at in None, rng.randrange(1, len(request)):
                pool.spawn(both, request, at)
        pool.join(raise_error=True)
        for pieces in refused:
            # Once more, and alone: the log is one for all.
            reasons()
            ask(ours, pieces)
            for line in reasons().splitlines():
                stricter[re.sub(r"gnet.wsgi: [^ ]* |: b['\"].*", "", line)] += 1
    return Outcome(requests, laxer, different, stricter)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--requests", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    done = run(options.requests, options.seed)
    print(f"{done.sent:,} requests, whole and in two pieces")
    print(f"gnet serves and Node refuses: {len(done.laxer)}")
    for request in done.laxer[:20]:
        print(f"  {request!r}")
    print(f"the two see different requests: {len(done.different)}")
    for request, mine, its in done.different[:20]:
        print(f"  {request!r}\n    gnet {mine}\n    Node {its}")
    print("Node serves, and gnet refuses, for:")
    for reason, count in done.stricter.most_common(30):
        print(f"  {count:6} {reason}")
    sys.exit(1 if done.laxer or done.different else 0)


if __name__ == "__main__":
    main()
