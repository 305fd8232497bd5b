"""Have code that is already there connect through gnet: ``socket.create_connection`` and more.

.. code-block:: python

    import gnet
    from gnet import monkey

    private = gnet.BlockList()
    private.add_subnet("10.0.0.0", 8)
    private.add_subnet("127.0.0.0", 8)

    with monkey.patch(block_list=private):
        ...         # nothing that connects here can reach these networks

The import of this module patches nothing. :func:`unpatch`, or the end of the ``with`` statement,
undoes all of it. It may come before or after ``gevent.monkey.patch_all()``.

:func:`patch` concerns the whole process, and replaces:

* ``socket.create_connection``, and gevent's function of that name: ``http.client``,
  ``urllib.request``, ``smtplib``, ``ftplib``, ``imaplib``, ``poplib``, ``xmlrpc.client``, PyMySQL,
  pg8000, httpx and all others that call it, also by a name that they have imported before;
* urllib3's own function, which requests uses, whether urllib3 is imported before or after; its
  ``socket_options`` are set when the connection is made;
* with a ``block_list`` also ``connect`` and ``connect_ex`` of ``socket.socket`` and of gevent's,
  and ``sendto`` and ``sendmsg`` with an address, which connect as well (``MSG_FASTOPEN``):
  redis-py, pymemcache, paramiko, asyncio and all others that make TCP sockets themselves. These
  cannot reach the forbidden addresses, and otherwise connect as before.

With ``tls=True`` these callers get a :class:`gnet.Socket`, and ``wrap_socket`` of an
``ssl.SSLContext``, gevent's too, has :meth:`gnet.Socket.start_tls` encrypt it, whoever made it.
So deadlines, events and counts hold under HTTPS and STARTTLS. That same socket is then an
``ssl.SSLSocket`` to ``isinstance`` as well, has ``pending()`` and ``read()``, and its ``unwrap()``
waits; ``write()`` remains Node's. A thread without a hub gets one when it connects, and loses it
when it has closed the last such socket, which takes up to a second where the peer does not end. A
gnet socket belongs to its thread, so no pool may hand it to another one.

Otherwise callers get the same sockets and errors as before. The errors say what the system says
(``Connection refused``), and have gnet's ``code`` besides. If the program has replaced
``socket.getaddrinfo``, to pin a name or for a test, the patch uses that, unless it has a
``lookup`` of its own. If the program has replaced ``socket.socket``, for a proxy for example, that
class connects as without the patch.

Out of reach is what connects without Python's ``socket``: libraries in C (``pycurl``,
``psycopg2``, ``mysqlclient``, uvloop, asyncio's proactor on Windows), other processes,
``_socket``.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from .._core.block_list import BlockList
from . import connecting as connecting  # the replaced functions find it among the modules
from .functions import (
    URLLIB3,
    create_connection,
    functions,
    late_import,
    patch_urllib3,
    standard_functions,
)
from .guards import guards
from .settings import Settings, stack

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["Patch", "is_patched", "patch", "unpatch"]


class Patch(Settings):
    """What :func:`patch` returns: in a ``with`` statement it undoes the patch in the end.

    The options are those of :func:`patch`. Of several patches only the latest one is in force;
    when it ends, the one before it is again.
    """

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: Any) -> None:
        # Not among them after an unpatch().
        if self in stack:
            stack.remove(self)
            _apply()


def patch(
    *,
    lookup: Callable[..., Any] | None = None,
    block_list: BlockList | None = None,
    auto_select_family: bool | None = None,
    local_address: str | None = None,
    tls: bool = False,
) -> Patch:
    """Have ``socket.create_connection`` connect through gnet, in the whole process.

    The addresses of a host are raced, and the caller gets the socket that it expects: a
    ``socket.socket`` where gevent has patched that; otherwise a cooperative one of gevent's if the
    calling thread has a hub, and a plain blocking one if it has not. A ``timeout`` holds for the
    whole of the connecting, and then for each call on the socket.

    :param lookup: a hook of the form of :func:`gnet.dns.lookup`; each thread that connects
        calls it.
    :param block_list: addresses not to connect to, whichever name leads there; a connection
        to one raises :class:`~gnet.errors.IPBlockedError`, a :class:`PermissionError`.
    :param auto_select_family: race the addresses; default as for :meth:`gnet.Socket.connect`.
    :param local_address: the IP address to connect from, where the caller gives none.
    :param tls: have the caller get a :class:`gnet.Socket` instead, in every thread, and have
        ``SSLContext.wrap_socket`` encrypt that one; default ``False``.
    :returns: the patch, for a ``with`` statement.
    :raises TypeError: an argument is of the wrong kind.
    :raises ValueError: an argument has a wrong value.
    :raises RuntimeError: ``socket.create_connection`` is no longer Python's own.
    """
    made = Patch(lookup, block_list, auto_select_family, local_address, tls)
    stack.append(made)
    try:
        _apply()
    except BaseException:
        stack.remove(made)
        _apply()
        raise
    return made


def unpatch() -> None:
    """Undo every :func:`patch`; do nothing if there is none."""
    stack.clear()
    _apply()


def is_patched() -> bool:
    """Whether a :func:`patch` is in force."""
    return bool(stack)


def _apply() -> None:
    """Patch what the latest patch wants, or nothing."""
    if not stack:
        functions.restore()
        guards.restore()
        _wrap_sockets(False)
        if late_import in sys.meta_path:
            sys.meta_path.remove(late_import)
    else:
        for function in standard_functions():
            functions.replace(function, create_connection)
        if URLLIB3 in sys.modules:
            patch_urllib3(sys.modules[URLLIB3])
        elif late_import not in sys.meta_path:
            sys.meta_path.insert(0, late_import)
        if stack[-1].block_list is None:
            guards.restore()
        else:
            guards.install()
        _wrap_sockets(stack[-1].tls)


def _wrap_sockets(wanted: bool) -> None:
    """Have ``wrap_socket`` of contexts know gnet's sockets, or not."""
    if not wanted and f"{__name__}.secure" not in sys.modules:
        return
    # gevent's patching comes ahead of ssl, and perhaps behind the import of this module.
    from .secure import contexts

    if wanted:
        contexts.install()
    else:
        contexts.restore()
