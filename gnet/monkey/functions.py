"""The functions that are replaced, and how."""

from __future__ import annotations

import sys
from importlib.machinery import ModuleSpec, PathFinder
from types import CodeType, FunctionType, ModuleType
from typing import Any

from gevent import monkey as gevent_monkey
from gevent import socket as gevent_socket

from .settings import stack

__all__ = [
    "URLLIB3",
    "create_connection",
    "functions",
    "late_import",
    "patch_urllib3",
    "standard_functions",
]

URLLIB3 = "urllib3.util.connection"


class Functions:
    """Functions whose code was replaced.

    The code, and not the attribute of a module: so whoever has imported the function by its name
    has the new one, and gevent's patching, sooner or later, exchanges one for another such one.
    """

    def __init__(self) -> None:
        self._codes: dict[FunctionType, CodeType] = {}

    def replace(self, function: FunctionType, other: Any) -> None:
        """Have a function do what another one does."""
        if function not in self._codes:
            self._codes[function] = function.__code__
            function.__code__ = other.__code__

    def restore(self) -> None:
        """Have all of them do again what they did."""
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


functions: Functions = Functions()


def standard_functions() -> list[FunctionType]:
    """The functions of the standard library and of gevent.

    :raises RuntimeError: they are none of Python's functions any more.
    """
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


def create_connection(address: Any, timeout: Any, source_address: Any, **options: Any) -> Any:
    import sys

    return sys.modules["gnet.monkey.connecting"].connect(
        __name__, address, timeout, source_address, **options
    )


def _urllib3_create_connection(
    address: Any, timeout: Any, source_address: Any, socket_options: Any
) -> Any:
    import sys

    return sys.modules["gnet.monkey.connecting"].connect(
        __name__,
        address,
        timeout,
        source_address,
        socket_options=socket_options,
        family=allowed_gai_family(),  # type: ignore[name-defined]  # noqa: F821
    )


def patch_urllib3(module: ModuleType) -> None:
    """Have urllib3's own function connect through gnet."""
    functions.replace(module.create_connection, _urllib3_create_connection)


class LateImport:
    """Patches urllib3 when it is imported."""

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        if name != URLLIB3:
            return None
        spec = PathFinder.find_spec(name, path, target)
        if spec is not None and spec.loader is not None:
            loader: Any = spec.loader
            execute = loader.exec_module

            def exec_module(module: ModuleType) -> None:
                execute(module)
                if stack:
                    patch_urllib3(module)

            loader.exec_module = exec_module
        return spec


#: The finder of modules that patches what is imported late.
late_import: Any = LateImport()
