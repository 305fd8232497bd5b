"""Long and tiny writes to another process, and destroy_soon() behind them."""

from __future__ import annotations

import gnet
from tests.helpers.peers import python, running

# It counts what it is sent, up to the end.
COUNTER = """
import socket
with socket.create_server(("127.0.0.1", 0)) as listener:
    print(listener.getsockname()[1], flush=True)
    sock, _ = listener.accept()
    with sock:
        print(sum(map(len, iter(lambda: sock.recv(65536), b""))))
"""

LONG = bytes(1024)
TIMES = 100


def test_nothing_of_it_is_lost() -> None:
    with running(*python(COUNTER)) as counter:
        client = gnet.connect(int(counter.line()), "127.0.0.1")
        client.wait("connect")
        for _ in range(TIMES):
            client.write(LONG)
        client.write(b"!")
        client.destroy_soon()
        client.wait("close")
        assert client.bytes_written == TIMES * len(LONG) + 1
        assert int(counter.line()) == TIMES * len(LONG) + 1
