"""Named pipes without gnet: what other programs make and open. Its calls block the thread."""

from __future__ import annotations

import _winapi
import ctypes
from collections.abc import Iterator
from contextlib import contextmanager
from ctypes import wintypes

__all__ = ["access_of", "client", "has_messages", "instance"]

_BYTES = 0
_MESSAGES = _winapi.PIPE_TYPE_MESSAGE
_DACL = 4
_REVISION = 1

_kernel = ctypes.WinDLL("kernel32", use_last_error=True)
_advapi = ctypes.WinDLL("advapi32", use_last_error=True)


@contextmanager
def instance(name: str, *, instances: int = 1) -> Iterator[int]:
    """A server's instance of a pipe of bytes."""
    handle = _winapi.CreateNamedPipe(
        name, _winapi.PIPE_ACCESS_DUPLEX, _BYTES, instances, 65536, 65536, 0, 0
    )
    try:
        yield handle
    finally:
        _winapi.CloseHandle(handle)


@contextmanager
def client(name: str) -> Iterator[int]:
    """A client's end."""
    handle = _winapi.CreateFile(
        name, _winapi.GENERIC_READ | _winapi.GENERIC_WRITE, 0, 0, _winapi.OPEN_EXISTING, 0, 0
    )
    try:
        yield handle
    finally:
        _winapi.CloseHandle(handle)


def has_messages(handle: int) -> bool:
    """Whether it is a pipe of messages."""
    flags = wintypes.DWORD()
    assert _kernel.GetNamedPipeInfo(wintypes.HANDLE(handle), ctypes.byref(flags), None, None, None)
    return bool(flags.value & _MESSAGES)


def access_of(handle: int) -> str:
    """The access list of a pipe, in Windows' notation."""
    size = wintypes.DWORD()
    _advapi.GetKernelObjectSecurity(wintypes.HANDLE(handle), _DACL, None, 0, ctypes.byref(size))
    descriptor = ctypes.create_string_buffer(size.value)
    assert _advapi.GetKernelObjectSecurity(
        wintypes.HANDLE(handle), _DACL, descriptor, size, ctypes.byref(size)
    ), ctypes.get_last_error()
    text = wintypes.LPWSTR()
    assert _advapi.ConvertSecurityDescriptorToStringSecurityDescriptorW(
        descriptor, _REVISION, _DACL, ctypes.byref(text), None
    ), ctypes.get_last_error()
    try:
        assert text.value is not None
        return text.value
    finally:
        _kernel.LocalFree(text)
