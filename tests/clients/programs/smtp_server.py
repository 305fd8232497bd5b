"""An SMTP server: prints its port, and then the text of every message that it gets.

With the files of a certificate and its key it offers STARTTLS.
"""

from __future__ import annotations

import asyncio
import ssl
import sys
from typing import Any

from aiosmtpd.smtp import SMTP


class Handler:
    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        print(
            envelope.rcpt_tos, envelope.content.rstrip(b"\r\n").rpartition(b"\r\n")[2], flush=True
        )
        return "250 taken"


async def main() -> None:
    loop = asyncio.get_running_loop()
    context = None
    if len(sys.argv) > 1:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(*sys.argv[1:])
    server = await loop.create_server(lambda: SMTP(Handler(), tls_context=context), "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await loop.run_in_executor(None, sys.stdin.read)


asyncio.run(main())
