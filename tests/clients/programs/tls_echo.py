"""The standard library's ``ssl`` on gnet sockets: a server of one connection, or a client.

``tls_echo.py CHAIN AUTHORITY server`` prints its port, ``… client PORT`` what came back.
"""

from __future__ import annotations

import ssl
import sys

import gnet

chain, authority, role, *rest = sys.argv[1:]
if role == "server":
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(chain)
    server = gnet.create_server().listen(0, "127.0.0.1")
    print(server.address().port, flush=True)
    (sock,) = server.wait("connection")
    with context.wrap_socket(sock, server_side=True) as tls:
        while chunk := tls.recv(65536):
            tls.sendall(chunk)
else:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(authority)
    sock = gnet.connect(int(rest[0]), "127.0.0.1")
    with context.wrap_socket(sock, server_hostname="localhost") as tls:
        tls.sendall(b"echo")
        print(tls.recv(4), flush=True)
