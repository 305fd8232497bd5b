"""What type checkers know of the events of a Socket; at run time nothing of it is there."""

from collections.abc import Callable
from typing import Any, Literal, TypeVar, overload

from typing_extensions import Self

from .._values.event_names import CodedError, EmitterEvent, SocketEvent
from .dialling import Dialling

__all__ = ["SocketBase"]

Listener = Callable[..., object]
Plain = Literal[
    "connect",
    "drain",
    "end",
    "finish",
    "pause",
    "peer_end",
    "ready",
    "resume",
    "secure_connect",
    "timeout",
]
_Plain = TypeVar("_Plain", bound=Callable[[], object])
_Data = TypeVar("_Data", bound=Callable[[bytes], object] | Callable[[str], object])
_Error = TypeVar("_Error", bound=Callable[[CodedError], object])
_Close = TypeVar("_Close", bound=Callable[[bool], object])
_Lookup = TypeVar(
    "_Lookup", bound=Callable[[CodedError | None, str | None, int | None, str], object]
)
_Attempt = TypeVar("_Attempt", bound=Callable[[str, int, int], object])
_Failed = TypeVar("_Failed", bound=Callable[[str, int, int, CodedError], object])
_Reconnecting = TypeVar("_Reconnecting", bound=Callable[[int, float, CodedError | None], object])
_Pipe = TypeVar("_Pipe", bound=Callable[[Any], object])
_Fds = TypeVar("_Fds", bound=Callable[[list[int]], object])
_Listeners = TypeVar("_Listeners", bound=Callable[[str, Listener], object])

class _Events:
    """The methods of an emitter, for the events of a Socket. The last forms are decorators."""

    @overload
    def on(self, event: Plain, listener: Callable[[], object]) -> Self: ...
    @overload
    def on(self, event: Literal["data"], listener: Callable[[bytes], object]) -> Self: ...
    @overload
    def on(self, event: Literal["data"], listener: Callable[[str], object]) -> Self: ...
    @overload
    def on(self, event: Literal["error"], listener: Callable[[CodedError], object]) -> Self: ...
    @overload
    def on(self, event: Literal["close"], listener: Callable[[bool], object]) -> Self: ...
    @overload
    def on(
        self,
        event: Literal["lookup"],
        listener: Callable[[CodedError | None, str | None, int | None, str], object],
    ) -> Self: ...
    @overload
    def on(
        self,
        event: Literal["connection_attempt", "connection_attempt_timeout"],
        listener: Callable[[str, int, int], object],
    ) -> Self: ...
    @overload
    def on(
        self,
        event: Literal["connection_attempt_failed"],
        listener: Callable[[str, int, int, CodedError], object],
    ) -> Self: ...
    @overload
    def on(
        self,
        event: Literal["reconnecting"],
        listener: Callable[[int, float, CodedError | None], object],
    ) -> Self: ...
    @overload
    def on(
        self, event: Literal["pipe", "session", "unpipe"], listener: Callable[[Any], object]
    ) -> Self: ...
    @overload
    def on(self, event: Literal["fds"], listener: Callable[[list[int]], object]) -> Self: ...
    @overload
    def on(self, event: EmitterEvent, listener: Callable[[str, Listener], object]) -> Self: ...
    @overload
    def on(self, event: Plain) -> Callable[[_Plain], _Plain]: ...
    @overload
    def on(self, event: Literal["data"]) -> Callable[[_Data], _Data]: ...
    @overload
    def on(self, event: Literal["error"]) -> Callable[[_Error], _Error]: ...
    @overload
    def on(self, event: Literal["close"]) -> Callable[[_Close], _Close]: ...
    @overload
    def on(self, event: Literal["lookup"]) -> Callable[[_Lookup], _Lookup]: ...
    @overload
    def on(
        self, event: Literal["connection_attempt", "connection_attempt_timeout"]
    ) -> Callable[[_Attempt], _Attempt]: ...
    @overload
    def on(self, event: Literal["connection_attempt_failed"]) -> Callable[[_Failed], _Failed]: ...
    @overload
    def on(self, event: Literal["reconnecting"]) -> Callable[[_Reconnecting], _Reconnecting]: ...
    @overload
    def on(self, event: Literal["pipe", "session", "unpipe"]) -> Callable[[_Pipe], _Pipe]: ...
    @overload
    def on(self, event: Literal["fds"]) -> Callable[[_Fds], _Fds]: ...
    @overload
    def on(self, event: EmitterEvent) -> Callable[[_Listeners], _Listeners]: ...
    @overload
    def add_listener(self, event: Plain, listener: Callable[[], object]) -> Self: ...
    @overload
    def add_listener(
        self, event: Literal["data"], listener: Callable[[bytes], object]
    ) -> Self: ...
    @overload
    def add_listener(self, event: Literal["data"], listener: Callable[[str], object]) -> Self: ...
    @overload
    def add_listener(
        self, event: Literal["error"], listener: Callable[[CodedError], object]
    ) -> Self: ...
    @overload
    def add_listener(
        self, event: Literal["close"], listener: Callable[[bool], object]
    ) -> Self: ...
    @overload
    def add_listener(
        self,
        event: Literal["lookup"],
        listener: Callable[[CodedError | None, str | None, int | None, str], object],
    ) -> Self: ...
    @overload
    def add_listener(
        self,
        event: Literal["connection_attempt", "connection_attempt_timeout"],
        listener: Callable[[str, int, int], object],
    ) -> Self: ...
    @overload
    def add_listener(
        self,
        event: Literal["connection_attempt_failed"],
        listener: Callable[[str, int, int, CodedError], object],
    ) -> Self: ...
    @overload
    def add_listener(
        self,
        event: Literal["reconnecting"],
        listener: Callable[[int, float, CodedError | None], object],
    ) -> Self: ...
    @overload
    def add_listener(
        self, event: Literal["pipe", "session", "unpipe"], listener: Callable[[Any], object]
    ) -> Self: ...
    @overload
    def add_listener(
        self, event: Literal["fds"], listener: Callable[[list[int]], object]
    ) -> Self: ...
    @overload
    def add_listener(
        self, event: EmitterEvent, listener: Callable[[str, Listener], object]
    ) -> Self: ...
    @overload
    def add_listener(self, event: Plain) -> Callable[[_Plain], _Plain]: ...
    @overload
    def add_listener(self, event: Literal["data"]) -> Callable[[_Data], _Data]: ...
    @overload
    def add_listener(self, event: Literal["error"]) -> Callable[[_Error], _Error]: ...
    @overload
    def add_listener(self, event: Literal["close"]) -> Callable[[_Close], _Close]: ...
    @overload
    def add_listener(self, event: Literal["lookup"]) -> Callable[[_Lookup], _Lookup]: ...
    @overload
    def add_listener(
        self, event: Literal["connection_attempt", "connection_attempt_timeout"]
    ) -> Callable[[_Attempt], _Attempt]: ...
    @overload
    def add_listener(
        self, event: Literal["connection_attempt_failed"]
    ) -> Callable[[_Failed], _Failed]: ...
    @overload
    def add_listener(
        self, event: Literal["reconnecting"]
    ) -> Callable[[_Reconnecting], _Reconnecting]: ...
    @overload
    def add_listener(
        self, event: Literal["pipe", "session", "unpipe"]
    ) -> Callable[[_Pipe], _Pipe]: ...
    @overload
    def add_listener(self, event: Literal["fds"]) -> Callable[[_Fds], _Fds]: ...
    @overload
    def add_listener(self, event: EmitterEvent) -> Callable[[_Listeners], _Listeners]: ...
    @overload
    def once(self, event: Plain, listener: Callable[[], object]) -> Self: ...
    @overload
    def once(self, event: Literal["data"], listener: Callable[[bytes], object]) -> Self: ...
    @overload
    def once(self, event: Literal["data"], listener: Callable[[str], object]) -> Self: ...
    @overload
    def once(self, event: Literal["error"], listener: Callable[[CodedError], object]) -> Self: ...
    @overload
    def once(self, event: Literal["close"], listener: Callable[[bool], object]) -> Self: ...
    @overload
    def once(
        self,
        event: Literal["lookup"],
        listener: Callable[[CodedError | None, str | None, int | None, str], object],
    ) -> Self: ...
    @overload
    def once(
        self,
        event: Literal["connection_attempt", "connection_attempt_timeout"],
        listener: Callable[[str, int, int], object],
    ) -> Self: ...
    @overload
    def once(
        self,
        event: Literal["connection_attempt_failed"],
        listener: Callable[[str, int, int, CodedError], object],
    ) -> Self: ...
    @overload
    def once(
        self,
        event: Literal["reconnecting"],
        listener: Callable[[int, float, CodedError | None], object],
    ) -> Self: ...
    @overload
    def once(
        self, event: Literal["pipe", "session", "unpipe"], listener: Callable[[Any], object]
    ) -> Self: ...
    @overload
    def once(self, event: Literal["fds"], listener: Callable[[list[int]], object]) -> Self: ...
    @overload
    def once(self, event: EmitterEvent, listener: Callable[[str, Listener], object]) -> Self: ...
    @overload
    def once(self, event: Plain) -> Callable[[_Plain], _Plain]: ...
    @overload
    def once(self, event: Literal["data"]) -> Callable[[_Data], _Data]: ...
    @overload
    def once(self, event: Literal["error"]) -> Callable[[_Error], _Error]: ...
    @overload
    def once(self, event: Literal["close"]) -> Callable[[_Close], _Close]: ...
    @overload
    def once(self, event: Literal["lookup"]) -> Callable[[_Lookup], _Lookup]: ...
    @overload
    def once(
        self, event: Literal["connection_attempt", "connection_attempt_timeout"]
    ) -> Callable[[_Attempt], _Attempt]: ...
    @overload
    def once(
        self, event: Literal["connection_attempt_failed"]
    ) -> Callable[[_Failed], _Failed]: ...
    @overload
    def once(self, event: Literal["reconnecting"]) -> Callable[[_Reconnecting], _Reconnecting]: ...
    @overload
    def once(self, event: Literal["pipe", "session", "unpipe"]) -> Callable[[_Pipe], _Pipe]: ...
    @overload
    def once(self, event: Literal["fds"]) -> Callable[[_Fds], _Fds]: ...
    @overload
    def once(self, event: EmitterEvent) -> Callable[[_Listeners], _Listeners]: ...
    @overload
    def prepend_listener(self, event: Plain, listener: Callable[[], object]) -> Self: ...
    @overload
    def prepend_listener(
        self, event: Literal["data"], listener: Callable[[bytes], object]
    ) -> Self: ...
    @overload
    def prepend_listener(
        self, event: Literal["data"], listener: Callable[[str], object]
    ) -> Self: ...
    @overload
    def prepend_listener(
        self, event: Literal["error"], listener: Callable[[CodedError], object]
    ) -> Self: ...
    @overload
    def prepend_listener(
        self, event: Literal["close"], listener: Callable[[bool], object]
    ) -> Self: ...
    @overload
    def prepend_listener(
        self,
        event: Literal["lookup"],
        listener: Callable[[CodedError | None, str | None, int | None, str], object],
    ) -> Self: ...
    @overload
    def prepend_listener(
        self,
        event: Literal["connection_attempt", "connection_attempt_timeout"],
        listener: Callable[[str, int, int], object],
    ) -> Self: ...
    @overload
    def prepend_listener(
        self,
        event: Literal["connection_attempt_failed"],
        listener: Callable[[str, int, int, CodedError], object],
    ) -> Self: ...
    @overload
    def prepend_listener(
        self,
        event: Literal["reconnecting"],
        listener: Callable[[int, float, CodedError | None], object],
    ) -> Self: ...
    @overload
    def prepend_listener(
        self, event: Literal["pipe", "session", "unpipe"], listener: Callable[[Any], object]
    ) -> Self: ...
    @overload
    def prepend_listener(
        self, event: Literal["fds"], listener: Callable[[list[int]], object]
    ) -> Self: ...
    @overload
    def prepend_listener(
        self, event: EmitterEvent, listener: Callable[[str, Listener], object]
    ) -> Self: ...
    @overload
    def prepend_listener(self, event: Plain) -> Callable[[_Plain], _Plain]: ...
    @overload
    def prepend_listener(self, event: Literal["data"]) -> Callable[[_Data], _Data]: ...
    @overload
    def prepend_listener(self, event: Literal["error"]) -> Callable[[_Error], _Error]: ...
    @overload
    def prepend_listener(self, event: Literal["close"]) -> Callable[[_Close], _Close]: ...
    @overload
    def prepend_listener(self, event: Literal["lookup"]) -> Callable[[_Lookup], _Lookup]: ...
    @overload
    def prepend_listener(
        self, event: Literal["connection_attempt", "connection_attempt_timeout"]
    ) -> Callable[[_Attempt], _Attempt]: ...
    @overload
    def prepend_listener(
        self, event: Literal["connection_attempt_failed"]
    ) -> Callable[[_Failed], _Failed]: ...
    @overload
    def prepend_listener(
        self, event: Literal["reconnecting"]
    ) -> Callable[[_Reconnecting], _Reconnecting]: ...
    @overload
    def prepend_listener(
        self, event: Literal["pipe", "session", "unpipe"]
    ) -> Callable[[_Pipe], _Pipe]: ...
    @overload
    def prepend_listener(self, event: Literal["fds"]) -> Callable[[_Fds], _Fds]: ...
    @overload
    def prepend_listener(self, event: EmitterEvent) -> Callable[[_Listeners], _Listeners]: ...
    @overload
    def prepend_once_listener(self, event: Plain, listener: Callable[[], object]) -> Self: ...
    @overload
    def prepend_once_listener(
        self, event: Literal["data"], listener: Callable[[bytes], object]
    ) -> Self: ...
    @overload
    def prepend_once_listener(
        self, event: Literal["data"], listener: Callable[[str], object]
    ) -> Self: ...
    @overload
    def prepend_once_listener(
        self, event: Literal["error"], listener: Callable[[CodedError], object]
    ) -> Self: ...
    @overload
    def prepend_once_listener(
        self, event: Literal["close"], listener: Callable[[bool], object]
    ) -> Self: ...
    @overload
    def prepend_once_listener(
        self,
        event: Literal["lookup"],
        listener: Callable[[CodedError | None, str | None, int | None, str], object],
    ) -> Self: ...
    @overload
    def prepend_once_listener(
        self,
        event: Literal["connection_attempt", "connection_attempt_timeout"],
        listener: Callable[[str, int, int], object],
    ) -> Self: ...
    @overload
    def prepend_once_listener(
        self,
        event: Literal["connection_attempt_failed"],
        listener: Callable[[str, int, int, CodedError], object],
    ) -> Self: ...
    @overload
    def prepend_once_listener(
        self,
        event: Literal["reconnecting"],
        listener: Callable[[int, float, CodedError | None], object],
    ) -> Self: ...
    @overload
    def prepend_once_listener(
        self, event: Literal["pipe", "session", "unpipe"], listener: Callable[[Any], object]
    ) -> Self: ...
    @overload
    def prepend_once_listener(
        self, event: Literal["fds"], listener: Callable[[list[int]], object]
    ) -> Self: ...
    @overload
    def prepend_once_listener(
        self, event: EmitterEvent, listener: Callable[[str, Listener], object]
    ) -> Self: ...
    @overload
    def prepend_once_listener(self, event: Plain) -> Callable[[_Plain], _Plain]: ...
    @overload
    def prepend_once_listener(self, event: Literal["data"]) -> Callable[[_Data], _Data]: ...
    @overload
    def prepend_once_listener(self, event: Literal["error"]) -> Callable[[_Error], _Error]: ...
    @overload
    def prepend_once_listener(self, event: Literal["close"]) -> Callable[[_Close], _Close]: ...
    @overload
    def prepend_once_listener(self, event: Literal["lookup"]) -> Callable[[_Lookup], _Lookup]: ...
    @overload
    def prepend_once_listener(
        self, event: Literal["connection_attempt", "connection_attempt_timeout"]
    ) -> Callable[[_Attempt], _Attempt]: ...
    @overload
    def prepend_once_listener(
        self, event: Literal["connection_attempt_failed"]
    ) -> Callable[[_Failed], _Failed]: ...
    @overload
    def prepend_once_listener(
        self, event: Literal["reconnecting"]
    ) -> Callable[[_Reconnecting], _Reconnecting]: ...
    @overload
    def prepend_once_listener(
        self, event: Literal["pipe", "session", "unpipe"]
    ) -> Callable[[_Pipe], _Pipe]: ...
    @overload
    def prepend_once_listener(self, event: Literal["fds"]) -> Callable[[_Fds], _Fds]: ...
    @overload
    def prepend_once_listener(self, event: EmitterEvent) -> Callable[[_Listeners], _Listeners]: ...
    @overload
    def wait(self, event: Plain, timeout: float | None = None) -> tuple[()]: ...
    @overload
    def wait(self, event: Literal["data"], timeout: float | None = None) -> tuple[Any]: ...
    @overload
    def wait(self, event: Literal["error"], timeout: float | None = None) -> tuple[CodedError]: ...
    @overload
    def wait(self, event: Literal["close"], timeout: float | None = None) -> tuple[bool]: ...
    @overload
    def wait(
        self, event: Literal["lookup"], timeout: float | None = None
    ) -> tuple[CodedError | None, str | None, int | None, str]: ...
    @overload
    def wait(
        self,
        event: Literal["connection_attempt", "connection_attempt_timeout"],
        timeout: float | None = None,
    ) -> tuple[str, int, int]: ...
    @overload
    def wait(
        self, event: Literal["connection_attempt_failed"], timeout: float | None = None
    ) -> tuple[str, int, int, CodedError]: ...
    @overload
    def wait(
        self, event: Literal["reconnecting"], timeout: float | None = None
    ) -> tuple[int, float, CodedError | None]: ...
    @overload
    def wait(
        self, event: Literal["pipe", "session", "unpipe"], timeout: float | None = None
    ) -> tuple[Any]: ...
    @overload
    def wait(self, event: Literal["fds"], timeout: float | None = None) -> tuple[list[int]]: ...
    @overload
    def wait(self, event: EmitterEvent, timeout: float | None = None) -> tuple[str, Listener]: ...
    def off(self, event: SocketEvent, listener: Listener) -> Self: ...
    remove_listener = off

    def remove_all_listeners(self, event: SocketEvent | None = None) -> Self: ...
    def emit(self, event: SocketEvent, *args: Any) -> bool: ...
    def listeners(self, event: SocketEvent) -> list[Listener]: ...
    def listener_count(self, event: SocketEvent, listener: Listener | None = None) -> int: ...

# A name that is none of these is an error for a checker, although an emitter takes any.
class SocketBase(_Events, Dialling):  # type: ignore[misc]
    """The base of :class:`gnet.Socket`."""

    __slots__ = ()
