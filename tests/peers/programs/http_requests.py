"""Three requests over one connection, by Python's http.client: (PORT HOST | PATH)

Each answer's status and body are a line of the output.
"""

from __future__ import annotations

import http.client
import socket
import sys


class Connection(http.client.HTTPConnection):
    """One that reaches Unix sockets as well."""

    def __init__(self, place: str, host: str | None = None) -> None:
        super().__init__(host or "localhost", int(place) if host else None)
        self.path = None if host else place

    def connect(self) -> None:
        if self.path is None:
            super().connect()
        else:
            self.sock = socket.socket(socket.AF_UNIX)
            self.sock.connect(self.path)


def main() -> None:
    connection = Connection(*sys.argv[1:])
    for method, body in ("GET", None), ("POST", b"x" * 1_000_000), ("GET", None):
        connection.request(method, "/place", body)
        response = connection.getresponse()
        print(response.status, response.read().decode())
    connection.close()


if __name__ == "__main__":
    main()
