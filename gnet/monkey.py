"""Have code that is already there connect through gnet: ``socket.create_connection`` and more.

.. code-block:: python

    import gnet
    from gnet import monkey

    private = gnet.BlockList()
    private.add_subnet("10.0.0.0", 8)
    private.add_subnet("127.0.0.0", 8)

    with monkey.patch(block_list=private):
        ...         # whatever connects here cannot reach these networks

Nothing is patched at import, and all of it is undone by :func:`unpatch`, or at the end of the
``with`` statement. Before or after ``gevent.monkey.patch_all()`` makes no difference.

What is patched, for the whole process:

* ``socket.create_connection``, and gevent's function of that name: ``http.client``,
  ``urllib.request``, ``smtplib``, ``ftplib``, ``imaplib``, ``poplib``, ``xmlrpc.client``, PyMySQL,
  pg8000, httpx and all others that call it, also by a name that they have imported before;
* urllib3's own function, which requests uses, whether urllib3 is imported before or after; its
  ``socket_options`` are set when the connection is made;
* with a ``block_list`` also ``connect`` and ``connect_ex`` of ``socket.socket`` and of gevent's:
  redis-py, pymemcache, paramiko, asyncio and all others that make TCP sockets themselves. These
  are kept from the forbidden addresses, and otherwise connect as ever.

What connects without Python's ``socket`` is out of reach: libraries in C (``pycurl``,
``psycopg2``, ``mysqlclient``, uvloop), other processes, ``_socket``.
"""

from __future__ import annotations

import _socket
import errno
import os
import socket as std_socket
import sys
from collections.abc import Callable
from importlib.machinery import ModuleSpec, PathFinder
from types import CodeType, FunctionType, ModuleType, NoneType
from typing import TYPE_CHECKING, Any, NamedTuple

from gevent import monkey as gevent_monkey
from gevent import socket as gevent_socket
from gevent._hub_local import get_hub_if_exists

from . import _validate, dns, run
from .address import is_ip
from .blocklist import BlockList
from .errors import AggregateError, IPBlockedError, coded
from .socket import Socket, _block_list, _local_address

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["Patch", "is_patched", "patch", "unpatch"]

_URLLIB3 = "urllib3.util.connection"
# How long a thread without a hub waits for the last events of its connection, in seconds.
_SETTLING_SECONDS = 1.0


class Patch:
    """What :func:`patch` returns: in a ``with`` statement it undoes the patch in the end.

    The options are those of :func:`patch`. Of several patches the latest holds, alone; when it has
    ended, the latest of those that have not.
    """

    def __init__(
        self,
        lookup: Callable[..., Any] | None,
        block_list: BlockList | None,
        auto_select_family: bool | None,
        local_address: str | None,
    ) -> None:
        self.lookup = _validate.optional_function("lookup", lookup)
        self.block_list = _block_list(block_list)
        self.auto_select_family = (
            None
            if auto_select_family is None
            else _validate.flag("auto_select_family", auto_select_family)
        )
        self.local_address = _local_address(local_address)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: Any) -> None:
        # Not among them after an unpatch().
        if self in _patches:
            _patches.remove(self)
            _apply()

    @property
    def _options(self) -> dict[str, Any]:
        return {
            "lookup": self.lookup,
            "block_list": self.block_list,
            "auto_select_family": self.auto_select_family,
            "local_address": self.local_address,
        }


# The latest one is in force.
_patches: list[Patch] = []


def patch(
    *,
    lookup: Callable[..., Any] | None = None,
    block_list: BlockList | None = None,
    auto_select_family: bool | None = None,
    local_address: str | None = None,
) -> Patch:
    """Have ``socket.create_connection`` connect through gnet, in the whole process.

    The addresses of a host are raced, and what comes out is what the caller expects: a socket
    of ``socket.socket`` where gevent has patched that; a cooperative one of gevent's where it has
    not, but the calling thread has a hub of gevent's; otherwise, in a plain script or thread, a
    plain blocking one. A ``timeout`` is the time for the whole of the connecting, and then the
    socket's.

    :param lookup: a hook of the form of :func:`gnet.dns.lookup`; each thread that connects
        calls it.
    :param block_list: addresses not to connect to, whatever name has led there; a connection
        to one raises :class:`~gnet.errors.IPBlockedError`, a :class:`PermissionError`.
    :param auto_select_family: race the addresses; default as for :meth:`gnet.Socket.connect`.
    :param local_address: the IP address to connect from, where the caller gives none.
    :returns: the patch, for a ``with`` statement.
    :raises TypeError: an argument of the wrong kind.
    :raises ValueError: an argument of the wrong value.
    :raises RuntimeError: ``socket.create_connection`` is not Python's any more.
    """
    made = Patch(lookup, block_list, auto_select_family, local_address)
    _patches.append(made)
    try:
        _apply()
    except BaseException:
        _patches.remove(made)
        _apply()
        raise
    return made


def unpatch() -> None:
    """Undo every :func:`patch`; without one it does nothing."""
    _patches.clear()
    _apply()


def is_patched() -> bool:
    """Whether a :func:`patch` is in force."""
    return bool(_patches)


def _in_force() -> Patch | None:
    try:
        return _patches[-1]
    except IndexError:
        # There is none, or another thread has just ended it.
        return None


def _apply() -> None:
    """Patch what the latest patch wants, or nothing."""
    if not _patches:
        _functions.restore()
        _guards.restore()
        if _late_import in sys.meta_path:
            sys.meta_path.remove(_late_import)
    else:
        for function in _standard_functions():
            _functions.replace(function, _create_connection)
        if _URLLIB3 in sys.modules:
            _patch_urllib3(sys.modules[_URLLIB3])
        elif _late_import not in sys.meta_path:
            sys.meta_path.insert(0, _late_import)
        if _patches[-1].block_list is None:
            _guards.restore()
        else:
            _guards.install()


# -- functions ------------------------------------------------------------------------------------


class _Functions:
    """Functions whose code was replaced.

    The code, and not the attribute of a module: so whoever has imported the function by its name
    has the new one, and gevent's patching, sooner or later, exchanges one for another such one.
    """

    def __init__(self) -> None:
        self._codes: dict[FunctionType, CodeType] = {}

    def replace(self, function: FunctionType, other: Any) -> None:
        if function not in self._codes:
            self._codes[function] = function.__code__
            function.__code__ = other.__code__

    def restore(self) -> None:
        while self._codes:
            function, code = self._codes.popitem()
            function.__code__ = code


_functions = _Functions()


def _standard_functions() -> list[FunctionType]:
    found = [
        gevent_monkey.get_original("socket", "create_connection"),
        gevent_socket.create_connection,
    ]
    for function in found:
        if not isinstance(function, FunctionType):
            raise RuntimeError(
                f"socket.create_connection has been replaced by {function!r}, which gnet.monkey "
                "cannot patch: call gnet.monkey.patch() before whatever replaces it"
            )
    return found


# These two run with the globals, and the defaults, of the functions whose code they become.


def _create_connection(address: Any, timeout: Any, source_address: Any, **options: Any) -> Any:
    import sys

    return sys.modules["gnet.monkey"]._connect(address, timeout, source_address, **options)


def _urllib3_create_connection(
    address: Any, timeout: Any, source_address: Any, socket_options: Any
) -> Any:
    import sys

    return sys.modules["gnet.monkey"]._connect(
        address,
        timeout,
        source_address,
        socket_options=socket_options,
        family=allowed_gai_family(),  # type: ignore[name-defined]  # noqa: F821
    )


def _patch_urllib3(module: ModuleType) -> None:
    _functions.replace(module.create_connection, _urllib3_create_connection)


class _LateImport:
    """Patches urllib3 when it is imported."""

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        if name != _URLLIB3:
            return None
        spec = PathFinder.find_spec(name, path, target)
        if spec is not None and spec.loader is not None:
            loader: Any = spec.loader
            execute = loader.exec_module

            def exec_module(module: ModuleType) -> None:
                execute(module)
                if is_patched():
                    _patch_urllib3(module)

            loader.exec_module = exec_module
        return spec


_late_import: Any = _LateImport()


# -- connecting -----------------------------------------------------------------------------------


class _Goal(NamedTuple):
    """What a caller has asked for, checked."""

    host: str
    port: int
    timeout: float | None
    options: dict[str, Any]


def _connect(
    address: Any,
    timeout: Any,
    source_address: Any,
    *,
    all_errors: bool = False,
    socket_options: Any = None,
    family: int = 0,
) -> Any:
    """What ``create_connection`` does now."""
    active = _in_force() or Patch(None, None, None, None)
    # Nothing else can run in such a thread while it blocks, and any other may use the socket.
    plain = get_hub_if_exists() is None and not gevent_monkey.is_module_patched("socket")
    try:
        sock = _dial(_goal(address, timeout, source_address, family, active), plain)
    except AggregateError as exc:
        if all_errors and sys.version_info >= (3, 11):
            raise ExceptionGroup("create_connection failed", exc.errors) from None  # type: ignore[type-var]  # noqa: F821
        # Whoever calls this knows the classes of single errors.
        raise exc.errors[0] from None
    finally:
        if plain:
            _leave_no_hub()
    try:
        for option in socket_options or ():
            sock.setsockopt(*option)
    except BaseException:
        sock.close()
        raise
    return sock


def _goal(address: Any, timeout: Any, source_address: Any, family: int, active: Patch) -> _Goal:
    host, port = address[:2]
    if isinstance(host, (bytes, bytearray)):
        host = host.decode("ascii")
    if isinstance(port, str) and not port.isdecimal():
        port = _socket.getservbyname(port, "tcp")
    if not isinstance(timeout, (int, float, NoneType)):
        # The mark that stands for the default: socket's, or urllib3's.
        timeout = std_socket.getdefaulttimeout()
    if timeout is not None and timeout < 0:
        raise ValueError("Timeout value out of range")
    options = active._options
    if family:
        options["family"] = {_socket.AF_INET: 4, _socket.AF_INET6: 6}[family]
    if source_address:
        local, options["local_port"] = source_address[:2]
        if local:
            options["local_address"] = local if is_ip(local) else dns.lookup(local)[0]
    return _Goal((host or "localhost").strip("[]"), port, timeout, options)


def _dial(goal: _Goal, plain: bool) -> Any:
    """Connect; gives the socket that the caller expects."""
    if goal.timeout == 0:
        # No connection is made in no time.
        raise BlockingIOError(errno.EINPROGRESS, os.strerror(errno.EINPROGRESS))
    options = goal.options
    if plain and options["lookup"] is None:
        # Nothing else runs in the thread: the detour through gevent's threads is not needed.
        options["lookup"] = _plain_lookup
    made = Socket()
    try:
        made.connect(port=goal.port, host=goal.host, **options)
        try:
            made.wait("connect", goal.timeout)
        except TimeoutError:
            if made.destroyed:
                raise
            raise coded(TimeoutError("timed out"), "ETIMEDOUT") from None
        family, proto = made.family, made.proto
        fd = made.detach()
    except BaseException:
        made.destroy()
        raise
    patched = gevent_monkey.is_module_patched("socket")
    kind: Any = std_socket.socket if plain or patched else gevent_socket.socket
    sock = kind(family, _socket.SOCK_STREAM, proto, fd)
    sock.settimeout(goal.timeout)
    return sock


def _plain_lookup(hostname: str, *, family: int = 0, hints: int = 0, all: bool = False) -> Any:
    wanted = {0: 0, 4: _socket.AF_INET, 6: _socket.AF_INET6}[family]
    answer = _socket.getaddrinfo(hostname, 0, wanted, _socket.SOCK_STREAM, 0, hints)
    numbers = {_socket.AF_INET: 4, _socket.AF_INET6: 6}
    found = [(each[4][0], numbers[each[0]]) for each in answer if each[0] in numbers]
    return found if all else found[0]


def _leave_no_hub() -> None:
    """A thread that had no hub has none again: it may end any time, and nobody would free it."""
    hub: Any = get_hub_if_exists()
    if hub is not None:
        run(_SETTLING_SECONDS)
        hub.destroy()


# -- the guard of those that connect by themselves ------------------------------------------------


class _Guards:
    """``connect`` and ``connect_ex`` of the socket classes, held back by the block list."""

    def __init__(self) -> None:
        self._installed: list[tuple[type, str, Any]] = []

    def install(self) -> None:
        if self._installed:
            return
        plain: Any = gevent_monkey.get_original("socket", "socket")
        for kind, module in (plain, _socket), (gevent_socket.socket, gevent_socket):
            for name in "connect", "connect_ex":
                self._installed.append((kind, name, vars(kind).get(name)))
                setattr(kind, name, _guarded(getattr(kind, name), module.getaddrinfo))

    def restore(self) -> None:
        while self._installed:
            kind, name, before = self._installed.pop()
            if before is None:
                delattr(kind, name)
            else:
                setattr(kind, name, before)


_guards = _Guards()


def _guarded(connect: Callable[..., Any], getaddrinfo: Callable[..., Any]) -> Callable[..., Any]:
    def guarded(self: Any, address: Any) -> Any:
        active = _in_force()
        block_list = active.block_list if active is not None else None
        if block_list is not None:
            address = _allowed(self, address, block_list, getaddrinfo)
        return connect(self, address)

    guarded.__name__ = connect.__name__
    guarded.__doc__ = connect.__doc__
    return guarded


def _allowed(
    sock: Any, address: Any, block_list: BlockList, getaddrinfo: Callable[..., Any]
) -> Any:
    """The address to connect to, with a name looked up.

    :raises IPBlockedError: it is forbidden.
    """
    inet = sock.family in (_socket.AF_INET, _socket.AF_INET6)
    if not inet or not sock.type & _socket.SOCK_STREAM or not isinstance(address, tuple):
        return address
    if len(address) < 2 or not isinstance(address[0], (str, bytes, bytearray)):
        return address
    host = address[0]
    if not isinstance(host, str) or not is_ip(host):
        # Looked up here, once: the kernel gets the very address that was looked at.
        found = getaddrinfo(host, None, sock.family, _socket.SOCK_STREAM)[0][4]
        host = found[0]
        address = (host, address[1], *(address[2:] or found[2:]))
    if block_list.blocks(host):
        raise IPBlockedError(host)
    return address
