"""bytes_written counts what is queued as well as what the kernel has taken."""

from __future__ import annotations

from collections.abc import Callable

import pytest

import gnet
from tests.helpers.calls import Calls
from tests.helpers.servers import place_at, serving

# More than the kernel takes at once.
SIZE = 10_000_000


def write_bytes(sock: gnet.Socket) -> int:
    sock.end(bytes(SIZE))
    return SIZE


def write_text(sock: gnet.Socket) -> int:
    sock.end("a" * SIZE)
    return SIZE


def write_both_corked(sock: gnet.Socket) -> int:
    sock.cork()
    sock.write("a" * SIZE)
    assert sock.bytes_written == SIZE
    sock.write(bytes(SIZE))
    sock.uncork()
    sock.end()
    return 2 * SIZE


@pytest.mark.parametrize("write", [write_bytes, write_text, write_both_corked])
def test_all_of_a_write_counts_at_once(
    write: Callable[[gnet.Socket], int], must_call: Calls
) -> None:
    def accepted(sock: gnet.Socket) -> None:
        size = write(sock)
        assert sock.bytes_written == size
        assert sock.writable_length > 0
        sock.on("finish", must_call(lambda: finished(sock, size)))

    def finished(sock: gnet.Socket, size: int) -> None:
        assert sock.bytes_written == size
        assert sock.writable_length == 0

    with serving(must_call(accepted)) as server:
        client = gnet.connect(*place_at(server))
        client.resume()
        client.wait("close")
        assert client.bytes_read in (SIZE, 2 * SIZE)
