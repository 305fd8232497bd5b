"""What a program sets on a socket ahead of ``bind`` and ``connect``.

Some options count only then: ``TCP_FASTOPEN``, ``SO_MARK``, ``SO_BINDTODEVICE``,
``IP_TRANSPARENT``, ``IP_BIND_ADDRESS_NO_PORT``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from .._values import arguments
from ..errors import annotate, code_of, coded
from .protocol import Transport
from .tcp_options import Settings, apply_strictly

__all__ = ["NOTHING", "EarlyOptions"]

# What setsockopt() takes for a number.
_LEAST, _MOST = -(2**31), 2**31 - 1
_RIGHT = "a list of (level, name, value), each level and name an int, each value an int or bytes"


class EarlyOptions(NamedTuple):
    """What is set on a socket before it is bound or connected. Every field has been validated.

    :ivar options: levels, names and values, as ``setsockopt()`` takes them.
    :ivar control: called with the descriptor, behind that.
    :ivar mptcp: whether a socket of TCP is to be one of Multipath TCP, if the system has that.
    :ivar settings: options of TCP's by name, which are set first.
    """

    options: tuple[tuple[int, int, int | bytes], ...] = ()
    control: Callable[[int], object] | None = None
    mptcp: bool = False
    settings: Settings = ()

    @classmethod
    def parse(
        cls, options: Any, control: Any, mptcp: Any, settings: Settings = ()
    ) -> EarlyOptions:
        """Check the options of these names.

        :param settings: what is set beside them.
        :raises TypeError: one is of the wrong kind.
        :raises ValueError: one has a wrong value.
        """
        if options is control is None and mptcp is False and not settings:
            return NOTHING
        if options is None:
            checked: tuple[tuple[int, int, int | bytes], ...] = ()
        elif isinstance(options, (list, tuple)):
            checked = tuple(_option(each) for each in options)
        else:
            raise arguments.wrong_kind("options", options, _RIGHT)
        function = arguments.optional_function("control", control)
        return cls(checked, function, arguments.flag("mptcp", mptcp), settings)

    def apply(self, wire: Transport) -> None:
        """Set the options, then call ``control``.

        :raises OSError: the system refuses one of them; ``syscall`` is ``"setsockopt"``.
        """
        try:
            apply_strictly(wire, self.settings)
            for option in self.options:
                wire.set_option(*option)
        except OSError as exc:
            raise annotate(exc, "setsockopt") from None
        if self.control is not None:
            try:
                self.control(wire.fileno())
            except OSError as exc:
                # It is passed on as that object; what it says is the program's.
                if not hasattr(exc, "code"):
                    coded(exc, code_of(exc))
                raise


#: Nothing is set.
NOTHING = EarlyOptions()


def _option(given: Any) -> tuple[int, int, int | bytes]:
    if not isinstance(given, (list, tuple)) or len(given) != 3:
        raise arguments.wrong_kind("options", given, _RIGHT)
    level, name, value = given
    for number in (level, name):
        if isinstance(number, bool) or not isinstance(number, int):
            raise arguments.wrong_kind("options", given, _RIGHT)
    arguments.integer("options", int(level), _LEAST, _MOST)
    arguments.integer("options", int(name), _LEAST, _MOST)
    if isinstance(value, int):
        # An enumeration's member, or a bool, is a number, too.
        return int(level), int(name), arguments.integer("options", int(value), _LEAST, _MOST)
    if isinstance(value, (bytes, bytearray, memoryview)):
        return int(level), int(name), bytes(value)
    raise arguments.wrong_kind("options", given, _RIGHT)
