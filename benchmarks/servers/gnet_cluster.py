"""gnet, event style, in four workers: ``gnet_cluster.py echo``."""

from __future__ import annotations

import gnet
from gnet import cluster

WORKERS = 4


def ignore(error: OSError) -> None:
    """The load generator leaves without a word: a reset is no news."""


def echo(sock: gnet.Socket) -> None:
    sock.on("error", ignore)
    sock.on("data", sock.write)


def main() -> None:
    gnet.create_server(echo, no_delay=True).listen(0, "127.0.0.1")


if __name__ == "__main__":
    if cluster.is_primary:
        places: list[int] = []
        group = cluster.fork(WORKERS)

        @group.on("listening")
        def listening(worker: cluster.Worker, address: gnet.AddressInfo) -> None:
            # They have one port.
            places.append(address.port)
            if len(places) == WORKERS:
                print("listening", address.port, flush=True)

        group.run()
    else:
        main()
        gnet.run()
