"""What ``connect()`` is told, as a plan that each dial of the socket begins with."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from .._transport.early_options import EarlyOptions
from .._values import arguments
from .._values.addresses import is_ip
from .._values.targets import Target
from ..dns.names import check_hints
from ..errors import late_import, type_error
from .goals import PathTarget, TcpTarget

if TYPE_CHECKING:
    from .._core.block_list import BlockList
    from .secure import ClientTLS
    from .services import Service

__all__ = [
    "MIN_ATTEMPT_SECONDS",
    "Defaults",
    "Plan",
    "TcpOptions",
    "checked_block_list",
    "plan_of",
    "tcp_options_of",
]

Goal = PathTarget | TcpTarget
#: The fields of a :class:`TcpTarget` behind its host and port.
TcpOptions = tuple[Any, ...]

#: The shortest ``auto_select_family_attempt_timeout``, in seconds; less is raised to it.
MIN_ATTEMPT_SECONDS = 0.01


class Defaults:
    """What a connection uses that was not told otherwise; set by the functions of ``gnet``."""

    auto_select_family = True
    attempt_timeout = 0.25


class Plan(NamedTuple):
    """What every dial of a socket begins with. Every field has been validated.

    :ivar goals: where to connect, in order; none where a service says so.
    :ivar tls: how to shake hands with each; the only one for a service.
    :ivar service: the service whose hosts are the goals.
    :ivar delay: between the starts of two goals, in seconds.
    :ivar races: whether there may be several attempts.
    """

    goals: tuple[Goal, ...]
    tls: tuple[ClientTLS | None, ...]
    service: Service | None = None
    delay: float = 0.25
    races: bool = True


# The default of ``family`` and ``hints``: by it alone, as 0 is False.
_ANY = 0


def tcp_options_of(
    early: EarlyOptions,
    family: Any,
    hints: Any,
    local_address: Any,
    local_port: Any,
    lookup: Callable[..., Any] | None,
    auto_select_family: Any,
    attempt_timeout: Any,
    block_list: Any,
) -> TcpOptions:
    """What ``connect()`` is told of hosts."""
    select = Defaults.auto_select_family
    if (
        family is hints is _ANY
        and local_address is local_port is lookup is None
        and auto_select_family is attempt_timeout is block_list is None
    ):
        return 0, 0, None, 0, None, select, Defaults.attempt_timeout, None, early
    if auto_select_family is not None:
        select = arguments.flag("auto_select_family", auto_select_family)
    port = 0 if local_port is None else arguments.port_number("local_port", local_port)
    return (
        arguments.family(family),
        check_hints(hints),
        _local_address(local_address),
        port,
        arguments.optional_function("lookup", lookup),
        select,
        _attempt_timeout(attempt_timeout),
        checked_block_list(block_list),
        early,
    )


def plan_of(
    places: Sequence[Target],
    options: TcpOptions | None,
    early: EarlyOptions,
    srv: Any,
    resolver: Any,
    tls: Any,
    server_hostname: Any,
    session: Any,
    handshake_timeout: Any,
) -> Plan:
    """The plan of a ``connect()``, whose options are the other arguments.

    :param places: where to; none of them for ``srv``.
    :param options: those of TCP; ``None`` where there is but a path.
    :param early: what is set before.
    """
    goals: list[Goal] = []
    for each in places:
        if each.path is not None:
            goals.append(PathTarget(each.path, early))
        elif each.port is not None:
            assert options is not None
            goals.append(TcpTarget(each.host or "localhost", each.port, *options))
        else:
            text = 'The "port" or "path" argument must be specified'
            raise type_error(text, "ERR_MISSING_ARGS")
    service = None
    if srv is not None:
        assert options is not None
        # As of TLS: few programs have one.
        with late_import():
            from .services import Service

        service = Service.parse(srv, resolver, options, server_hostname is not None)
    handshakes: Sequence[ClientTLS | None]
    if tls is None or tls is False:
        if server_hostname is not None or session is not None:
            name = "session" if server_hostname is None else "server_hostname"
            raise type_error(f'The "{name}" argument needs the option tls=')
        handshakes = (None,) * len(goals or (service,))
    else:
        if session is not None and len(goals) != 1:
            raise type_error('The "session" argument is for one target, and not for several')
        handshakes = [
            _encryption(each, tls, server_hostname, session, handshake_timeout)
            for each in (goals if service is None else [service.host])
        ]
    if options is None:
        return Plan(tuple(goals), tuple(handshakes), races=False)
    select, delay = options[5:7]
    return Plan(tuple(goals), tuple(handshakes), service, delay, len(goals) != 1 or select)


def _encryption(
    goal: Goal, tls: Any, server_hostname: Any, session: Any, timeout: Any
) -> ClientTLS:
    """How to shake hands with one of the targets."""
    # Not with gnet, whose import it would double.
    with late_import():
        from .secure import ClientTLS

    host, port = (goal.host, goal.port) if isinstance(goal, TcpTarget) else (None, None)
    return ClientTLS.parse(tls, host, port, server_hostname, session, timeout)


def _local_address(value: Any) -> str | None:
    if value is None:
        return None
    address = arguments.string("local_address", value)
    if not is_ip(address):
        raise arguments.wrong_value(
            "local_address", value, "an IP address", "ERR_INVALID_IP_ADDRESS"
        )
    return address


def _attempt_timeout(value: Any) -> float:
    if value is None:
        return Defaults.attempt_timeout
    name = "auto_select_family_attempt_timeout"
    return max(MIN_ATTEMPT_SECONDS, arguments.positive_seconds(name, value))


def checked_block_list(value: Any) -> BlockList | None:
    """The option ``block_list=``, of sockets and of servers."""
    if value is None:
        return None
    # Whoever has one has imported it.
    with late_import():
        from .._core.block_list import BlockList

    if not isinstance(value, BlockList):
        raise arguments.wrong_kind("block_list", value, "a gnet.BlockList")
    return value
