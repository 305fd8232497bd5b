"""BoundSocket: a place that is taken now, to listen there or to connect from there later."""

from __future__ import annotations

import errno
import sys
import warnings
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypedDict

from .._values import arguments, targets
from .._values.addresses import AddressInfo, is_ip
from .._values.suggestions import suggesting
from ..errors import HandleAdoptedError, SocketClosedError, system_error
from . import binding, unix_path
from .early_options import EarlyOptions
from .stream_socket import Wire
from .tcp_options import address_info

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["BindOptions", "BoundSocket"]


class BindOptions(TypedDict, total=False):
    """The options of :class:`BoundSocket`."""

    port: Any
    path: Any
    ipv6_only: bool
    reuse_port: bool
    readable_all: bool
    writable_all: bool
    replace_stale: bool
    options: Sequence[tuple[int, int, int | bytes]] | None
    control: Callable[[int], object] | None
    mptcp: bool


class BoundSocket:
    """A socket that is bound at once, and listens or connects later. From Node's ``BoundSocket``.

    Pass it to :meth:`Server.listen`, or to :func:`gnet.connect` as ``handle=``: the server or the
    connection then owns it. Close a bound socket that neither has taken; ``with`` does that.

    :param target: a port (``0``, the default, for any free one), a path, or a ``(host, port)``
        tuple.
    :param host: the IP address; default ``"0.0.0.0"``, or ``"::"`` with ``ipv6_only``.
    :param port: the port, by keyword.
    :param path: the path of a Unix socket, by keyword.
    :param ipv6_only: take no IPv4 on an IPv6 address.
    :param reuse_port: let other sockets bind the port, too (``SO_REUSEPORT``).
    :param readable_all: make the Unix socket readable for all users.
    :param writable_all: make the Unix socket writable for all users.
    :param replace_stale: take a path over whose file is left from a dead process.
    :param options: what ``setsockopt()`` sets before the socket is bound: a list of ``(level,
        name, value)``.
    :param control: called with the descriptor after that; what it raises is passed on.
    :param mptcp: use Multipath TCP; plain TCP where the system has none.
    :raises OSError: the address cannot be bound; ``ENOTSUP``, a path on Windows.
    :raises TypeError: an argument is of the wrong kind.
    :raises ValueError: an argument has a wrong value, or the host is a name.
    """

    __slots__ = ("__weakref__", "_adopted", "_file", "_wire")

    @suggesting("BoundSocket()", BindOptions, offered=False)
    def __init__(
        self,
        target: Any = None,
        host: Any = None,
        *,
        port: Any = None,
        path: Any = None,
        ipv6_only: bool = False,
        reuse_port: bool = False,
        readable_all: bool = False,
        writable_all: bool = False,
        replace_stale: bool = False,
        options: Sequence[tuple[int, int, int | bytes]] | None = None,
        control: Callable[[int], object] | None = None,
        mptcp: bool = False,
    ) -> None:
        self._adopted = False
        self._wire: Wire | None = None
        self._file: unix_path.SocketFile | None = None
        place = targets.parse(target, host, port=port, path=path)
        if place.listener is not None:
            raise arguments.wrong_kind("target", place.listener, "a port, a path or a tuple")
        flag = arguments.flag
        only, shared = flag("ipv6_only", ipv6_only), flag("reuse_port", reuse_port)
        modes = flag("readable_all", readable_all), flag("writable_all", writable_all)
        stale = flag("replace_stale", replace_stale)
        early = EarlyOptions.parse(options, control, mptcp)
        if place.path is not None:
            if sys.platform == "win32":
                raise system_error(errno.ENOTSUP, "bind", place.path)
            with binding.claimed(place.path, stale, "bind"):
                self._wire, self._file = binding.open_path(place.path, *modes, early, "bind")
            return
        address = place.host or ("::" if only else "0.0.0.0")
        family = is_ip(address)
        if not family:
            raise arguments.wrong_value("host", place.host, "an IP address: no name is looked up")
        self._wire = binding.open_tcp(
            address, family, place.port or 0, only, shared, early, "bind", alone=True
        )

    def __repr__(self) -> str:
        if self._wire is None:
            return f"<gnet.BoundSocket {'adopted' if self._adopted else 'closed'}>"
        address = self.address()
        if isinstance(address, AddressInfo):
            return f"<gnet.BoundSocket {address.address}:{address.port}>"
        return f"<gnet.BoundSocket {address!r}>"

    def address(self) -> AddressInfo | str | None:
        """The address: an :class:`~gnet.AddressInfo`, or a path.

        :raises HandleAdoptedError: a server or a socket has taken it over.
        :raises SocketClosedError: it is closed.
        """
        return address_info(self.look()[0].local_name())

    @property
    def fd(self) -> int:
        """The descriptor, which stays this object's to close.

        :raises HandleAdoptedError: a server or a socket has taken it over.
        :raises SocketClosedError: it is closed.
        """
        return self.look()[0].fileno()

    def close(self) -> None:
        """Let go of the place, and remove the file of a path; a second time nothing happens.

        :raises HandleAdoptedError: a server or a socket has taken it over.
        """
        if self._adopted:
            raise HandleAdoptedError()
        wire, self._wire = self._wire, None
        if wire is not None:
            unix_path.close_bound(wire, self._file)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: Any) -> None:
        if not self._adopted:
            self.close()

    def __del__(self) -> None:
        wire = getattr(self, "_wire", None)
        if wire is not None:
            name = repr(self)
            self.close()
            warnings.warn(f"unclosed {name}", ResourceWarning, source=self, stacklevel=2)

    # -- for who takes it over ----------------------------------------------------------------

    def look(self) -> tuple[Wire, unix_path.SocketFile | None]:
        """The socket, and the file that was made for it; both stay its own.

        :raises HandleAdoptedError: a server or a socket has taken it over.
        :raises SocketClosedError: it is closed.
        """
        if self._wire is None:
            raise HandleAdoptedError() if self._adopted else SocketClosedError()
        return self._wire, self._file

    def to_connect(self) -> Wire:
        """The socket, for a connection that goes from its place; it is that one's then.

        :raises HandleAdoptedError: a server or a socket has taken it over.
        :raises SocketClosedError: it is closed.
        """
        wire, file = self.look()
        if file is not None:
            wire = unix_path.NamedWire.of_bound(wire, file)
        else:
            wire.allow_restart()
        self.give_away()
        return wire

    def give_away(self) -> None:
        """They are somebody else's from now on."""
        self._wire = None
        self._adopted = True
