"""How much at once, over TLS."""

from __future__ import annotations

__all__ = [
    "CIPHER_BYTES",
    "MAX_ANSWER_BYTES",
    "MAX_FEEDS",
    "MAX_KEPT_BYTES",
    "MAX_SENT_BYTES",
    "RECORD_BYTES",
]

# The most application bytes of a record (RFC 8446, section 5.1).
RECORD_BYTES = 16384
# What is read at once of encrypted bytes, and how much is encrypted before it is sent. An echo of
# 1 MiB takes a fifth longer with 16 KiB, and nothing less with more; and the buffers of OpenSSL
# keep the size that they once had.
CIPHER_BYTES = 65536
# So many reads in a row that give no application bytes; then the others get their turn.
MAX_FEEDS = 4
# A peer that is owed more answers than this reads none of them, and only ever asks.
MAX_ANSWER_BYTES = 65536
# A call sends no more at once, so that others get their turn.
MAX_SENT_BYTES = 1 << 20
# What is kept of the peer's last bytes while the connection becomes plain again.
MAX_KEPT_BYTES = 262144
