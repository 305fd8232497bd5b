"""gnet, ``pipe``: ``python gnet_pipe.py echo | proxy PORT``."""

from __future__ import annotations

import sys

import gnet


def ignore(error: OSError) -> None:
    """The load generator leaves without a word: a reset is no news."""


def echo(sock: gnet.Socket) -> None:
    sock.on("error", ignore)
    sock.pipe(sock)


def proxy(near: gnet.Socket) -> None:
    far = gnet.connect(int(sys.argv[2]), "127.0.0.1", no_delay=True)
    for one, other in ((near, far), (far, near)):
        one.pipe(other)
        one.on("error", ignore)
        one.on("close", lambda had_error, other=other: other.destroy())


behaviours = {each.__name__: each for each in (echo, proxy)}
server = gnet.create_server(behaviours[sys.argv[1]], no_delay=True)
server.listen(0, "127.0.0.1")
print("listening", server.address().port, flush=True)
gnet.run()
