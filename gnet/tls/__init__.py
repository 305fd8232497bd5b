"""TLS: certificates that change, and what the option ``tls=`` takes.

The contexts, the verification and the ciphers are those of :class:`ssl.SSLContext`; a connection
over TLS is a :class:`gnet.Socket` like any other.
"""

from __future__ import annotations

from .certificates import Certificates
from .sessions import Session

__all__ = ["Certificates", "Session"]
