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

Callers get the same sockets and errors as before. The errors say what the system says
(``Connection refused``), and have gnet's ``code`` besides. If the program has replaced
``socket.getaddrinfo``, to pin a name or for a test, the patch uses that, unless it has a
``lookup`` of its own. If the program has replaced ``socket.socket``, for a proxy for example, that
class connects as without the patch.

Out of reach is what connects without Python's ``socket``: libraries in C (``pycurl``,
``psycopg2``, ``mysqlclient``, uvloop, asyncio's proactor on Windows), other processes,
``_socket``.
"""

from __future__ import annotations

import _socket
import errno
import os
import socket as std_socket
import sys
from collections.abc import Callable
from contextlib import nullcontext
from importlib.machinery import ModuleSpec, PathFinder
from time import monotonic
from types import CodeType, FunctionType, ModuleType, NoneType
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

import gevent
from gevent import monkey as gevent_monkey
from gevent import socket as gevent_socket
from gevent._hub_local import get_hub_if_exists

from . import dns, run
from ._loop.timers import SHORTEST
from ._socket.socket import Socket, _block_list, _local_address
from ._values import arguments
from ._values.addresses import is_ip
from ._values.blocklist import BlockList
from .dns.names import idna_name
from .errors import AggregateError, IPBlockedError, code_of, coded, late_import

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["Patch", "is_patched", "patch", "unpatch"]

_URLLIB3 = "urllib3.util.connection"
_GEVENT = "gevent.socket"
# Where the functions are defined that nobody has put in the place of others.
_SYSTEMS = ("socket", _GEVENT, "gevent._socketcommon")
_CLASSES = (("socket", "socket"), (gevent_socket.socket.__module__, "socket"))
_FAMILY_NUMBERS = {_socket.AF_INET: 4, _socket.AF_INET6: 6}
# How long a thread without a hub waits for the last events of its connection, in seconds.
_SETTLING_SECONDS = 1.0


class Patch:
    """What :func:`patch` returns: in a ``with`` statement it undoes the patch in the end.

    The options are those of :func:`patch`. Of several patches only the latest one is in force;
    when it ends, the one before it is again.
    """

    def __init__(
        self,
        lookup: Callable[..., Any] | None,
        block_list: BlockList | None,
        auto_select_family: bool | None,
        local_address: str | None,
    ) -> None:
        self.lookup = arguments.optional_function("lookup", lookup)
        self.block_list = _block_list(block_list)
        self.auto_select_family = (
            None
            if auto_select_family is None
            else arguments.flag("auto_select_family", auto_select_family)
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
    :returns: the patch, for a ``with`` statement.
    :raises TypeError: an argument is of the wrong kind.
    :raises ValueError: an argument has a wrong value.
    :raises RuntimeError: ``socket.create_connection`` is no longer Python's own.
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
    """Undo every :func:`patch`; do nothing if there is none."""
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

    def original(self, module: str) -> FunctionType:
        """The function of a module as it was."""
        for function, code in self._codes.items():
            if function.__globals__["__name__"] == module:
                made = FunctionType(
                    code, function.__globals__, function.__name__, function.__defaults__
                )
                made.__kwdefaults__ = function.__kwdefaults__
                return made
        # Another thread has ended the patch while the call was on its way here.
        found: FunctionType = sys.modules[module].create_connection
        return found


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

    return sys.modules["gnet.monkey"]._connect(
        __name__, address, timeout, source_address, **options
    )


def _urllib3_create_connection(
    address: Any, timeout: Any, source_address: Any, socket_options: Any
) -> Any:
    import sys

    return sys.modules["gnet.monkey"]._connect(
        __name__,
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
    module: str,
    address: Any,
    timeout: Any,
    source_address: Any,
    *,
    all_errors: bool = False,
    socket_options: Any = None,
    family: int = 0,
) -> Any:
    """What the ``create_connection`` of a module does now."""
    if not _is_systems(_namespace(module).socket):
        # A proxy's, or a test's.
        given = {"all_errors": all_errors, "socket_options": socket_options}
        options = {name: value for name, value in given.items() if value}
        return _functions.original(module)(address, timeout, source_address, **options)
    active = _in_force() or Patch(None, None, None, None)
    # Nothing else can run in such a thread while it blocks, and any other may use the socket.
    plain = get_hub_if_exists() is None and not gevent_monkey.is_module_patched("socket")
    started = monotonic()
    try:
        goal = _goal(address, timeout, source_address, family, active)
        if active.lookup is None and goal.timeout != 0:
            goal = _looked_up(goal, module, family, plain)
        try:
            sock = _dial(goal, plain, started)
        except OSError as exc:
            _fail(exc, all_errors)
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


def _fail(exc: OSError, all_errors: bool) -> NoReturn:
    """Raise what whoever calls ``create_connection`` knows."""
    if getattr(exc, "syscall", None) == "getaddrinfo":
        # The error of a lookup hook.
        raise exc
    errors = exc.errors if isinstance(exc, AggregateError) else [exc]
    for each in errors:
        _use_the_systems_words(each)
    if all_errors and sys.version_info >= (3, 11):
        raise ExceptionGroup("create_connection failed", errors) from None  # type: ignore[type-var]  # noqa: F821
    raise errors[0] from None


def _use_the_systems_words(exc: BaseException) -> None:
    """Have a system error say what the system says; its fields stay.

    Programs look for ``Connection refused`` in it.
    """
    known = isinstance(exc, OSError) and exc.errno is not None and hasattr(exc, "syscall")
    # Python's own words for Windows' numbers come from a call that it does not offer.
    if known and sys.platform != "win32":
        error: Any = exc
        words = os.strerror(error.errno)
        error.args = (error.errno, words)
        error.strerror = words


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


def _dial(goal: _Goal, plain: bool, started: float) -> Any:
    """Connect; gives the socket that the caller expects."""
    if goal.timeout == 0:
        # No connection is made in no time.
        raise BlockingIOError(errno.EINPROGRESS, os.strerror(errno.EINPROGRESS))
    made = Socket()
    try:
        made.connect(port=goal.port, host=goal.host, **goal.options)
        left = goal.timeout
        if left is not None:
            left = max(SHORTEST, started + left - monotonic())
        try:
            made.wait("connect", left)
        except TimeoutError:
            if made.destroyed:
                raise
            raise _timed_out() from None
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


def _timed_out() -> TimeoutError:
    return coded(TimeoutError("timed out"), "ETIMEDOUT")


def _leave_no_hub() -> None:
    """A thread that had no hub has none again: it may end any time, and nobody would free it."""
    hub: Any = get_hub_if_exists()
    if hub is not None:
        run(_SETTLING_SECONDS)
        hub.destroy()


# -- names ----------------------------------------------------------------------------------------


def _namespace(module: str) -> Any:
    """Where the original function of a module finds ``socket`` and ``getaddrinfo``."""
    return gevent_socket if module == _GEVENT else std_socket


def _is_systems(found: Any) -> bool:
    """Whether a function or class is the standard library's or gevent's, and none in its place."""
    if isinstance(found, FunctionType):
        # Whoever wraps a function gives his the name and the module of the other.
        return found.__globals__["__name__"] in _SYSTEMS
    return isinstance(found, type) and (found.__module__, found.__name__) in _CLASSES


def _looked_up(goal: _Goal, module: str, family: int, plain: bool) -> _Goal:
    """The same goal, with the addresses that ``getaddrinfo`` knows for it.

    :raises OSError: it knows none.
    :raises UnicodeError: the name can be none; for urllib3 it is its ``LocationParseError``.
    """
    host = goal.host
    # gevent's function looks into gevent's module only; but it may be socket's by patching.
    known = [_namespace(module).getaddrinfo, std_socket.getaddrinfo]
    own = [each for each in known if not _is_systems(each)]
    if own:
        # The program's, which pins a name for example.
        if module == _URLLIB3:
            _name(host, module)
        ask = own[0]
    elif is_ip(host):
        return goal
    else:
        host = _name(host, module)
        ask = _system(plain)
    try:
        with gevent.Timeout(goal.timeout) if not plain else nullcontext() as limit:
            answer = list(ask(host, goal.port, family, _socket.SOCK_STREAM))
    except gevent.Timeout as exc:
        if exc is not limit:
            raise
        raise _timed_out() from None
    except OSError as exc:
        if not hasattr(exc, "code"):
            coded(exc, code_of(exc), syscall="getaddrinfo", hostname=goal.host)
        raise
    found = [place for each in answer for place in _places(each, plain)]
    if not found:
        raise OSError("getaddrinfo returns an empty list")
    port = found[0][2]
    addresses = [each[:2] for each in found if each[2] == port]
    # The address of a literal host is not asked for.
    host = f"[{goal.host}]" if is_ip(goal.host) else goal.host
    return _Goal(host, port, goal.timeout, {**goal.options, "lookup": _knowing(addresses)})


def _name(host: str, module: str) -> str:
    """A name as the system is asked for it."""
    try:
        name = host if host.isascii() else idna_name(host)
        # Python's getaddrinfo() looks at the labels just so.
        with late_import():
            return name.encode("idna").decode("ascii")
    except UnicodeError:
        if module != _URLLIB3:
            raise
        unparsable: Any = sys.modules["urllib3.exceptions"].LocationParseError
        raise unparsable(f"'{host}', label empty or too long") from None


def _system(plain: bool) -> Callable[..., Any]:
    """The ``getaddrinfo`` that blocks no more than it must."""
    found: Callable[..., Any] = _socket.getaddrinfo if plain else gevent_socket.getaddrinfo
    return found


def _places(entry: Any, plain: bool) -> list[tuple[str, int, int]]:
    """An entry of ``getaddrinfo``'s answer: its address with its zone, its family and port."""
    family, _, _, _, place = entry
    if family not in _FAMILY_NUMBERS:
        return []
    host, port, *rest = place
    number = is_ip(host)
    if not number:
        # The program's own function may give a name.
        again = _system(plain)(host, port, family, _socket.SOCK_STREAM)
        return [known for each in again for known in _places(each, plain)]
    zone = rest[1] if len(rest) > 1 else 0
    return [(f"{host}%{zone}" if zone and "%" not in host else host, number, port)]


def _knowing(addresses: list[tuple[str, int]]) -> Callable[..., Any]:
    """A lookup hook that has its answer."""

    def lookup(hostname: str, *, family: int = 0, all: bool = False, **options: Any) -> Any:
        wanted = [each for each in addresses if family in (0, each[1])] or addresses
        return wanted if all else wanted[0]

    return lookup


# -- the guard of those that connect by themselves ------------------------------------------------


class _Guards:
    """The methods of the socket classes that connect, held back by the block list."""

    def __init__(self) -> None:
        self._installed: list[tuple[type, str, Any]] = []

    def install(self) -> None:
        if self._installed:
            return
        for kind in _guarded_classes():
            module: Any = _socket if kind.__module__ == "socket" else gevent_socket
            for name, guard in _GUARDS.items():
                method = getattr(kind, name, None)
                if method is None:
                    # Windows' sockets have no sendmsg().
                    continue
                guarded = guard(method, module.getaddrinfo)
                guarded.__name__ = name
                guarded.__doc__ = method.__doc__
                self._installed.append((kind, name, vars(kind).get(name)))
                setattr(kind, name, guarded)

    def restore(self) -> None:
        while self._installed:
            kind, name, before = self._installed.pop()
            if before is None:
                delattr(kind, name)
            else:
                setattr(kind, name, before)


def _guarded_classes() -> list[type]:
    """The standard library's class and gevent's; a program's own may have them for bases."""
    found: Any = gevent_monkey.get_original("socket", "socket"), gevent_socket.socket
    bases = [base for each in found for base in getattr(each, "__mro__", ())]
    return list(dict.fromkeys(filter(_is_systems, bases)))


_guards = _Guards()


def _guarded_connect(method: Any, getaddrinfo: Callable[..., Any]) -> Callable[..., Any]:
    def guarded(self: Any, address: Any) -> Any:
        return method(self, _allowed(self, address, getaddrinfo))

    return guarded


def _guarded_sendto(method: Any, getaddrinfo: Callable[..., Any]) -> Callable[..., Any]:
    def guarded(self: Any, *args: Any) -> Any:
        # (data, address) or (data, flags, address).
        if len(args) in (2, 3):
            args = (*args[:-1], _allowed(self, args[-1], getaddrinfo))
        return method(self, *args)

    return guarded


def _guarded_sendmsg(method: Any, getaddrinfo: Callable[..., Any]) -> Callable[..., Any]:
    def guarded(self: Any, buffers: Any, *args: Any) -> Any:
        # (buffers, ancdata, flags, address)
        if len(args) == 3:
            args = (*args[:2], _allowed(self, args[2], getaddrinfo))
        return method(self, buffers, *args)

    return guarded


_GUARDS: dict[str, Callable[..., Any]] = {
    "connect": _guarded_connect,
    "connect_ex": _guarded_connect,
    # With an address they connect what is not connected: MSG_FASTOPEN, and SCTP in any case.
    "sendto": _guarded_sendto,
    "sendmsg": _guarded_sendmsg,
}


def _allowed(sock: Any, address: Any, getaddrinfo: Callable[..., Any]) -> Any:
    """The address to connect to, with a name looked up.

    :raises IPBlockedError: it is forbidden.
    """
    active = _in_force()
    block_list = active.block_list if active is not None else None
    inet = sock.family in (_socket.AF_INET, _socket.AF_INET6)
    if block_list is None or not inet or not sock.type & _socket.SOCK_STREAM:
        return address
    if not isinstance(address, tuple) or len(address) < 2:
        return address
    host = address[0]
    if not isinstance(host, (str, bytes, bytearray)):
        return address
    if not isinstance(host, str) or not is_ip(host):
        # Looked up here, once: the kernel gets the very address that was looked at.
        if isinstance(host, str) and not host.isascii():
            host = idna_name(host)
        found = getaddrinfo(host, None, sock.family, _socket.SOCK_STREAM)[0][4]
        host = found[0]
        address = (host, address[1], *(address[2:] or found[2:]))
    if block_list.blocks(host):
        raise IPBlockedError(host)
    return address
