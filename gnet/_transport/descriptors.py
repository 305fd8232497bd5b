"""The system's call for descriptors that are no sockets."""

from __future__ import annotations

from collections.abc import Callable

from .._values.originals import original

__all__ = ["close_descriptor"]

#: Closes a descriptor at once. gevent's patched ``os.close()`` waits until the loop looks for
#: events again, which the loop of a thread that ends, or of a forked child, does not.
close_descriptor: Callable[[int], None] = original("os", "close")
