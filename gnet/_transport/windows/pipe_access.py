"""Who may open a named pipe: its access list. Windows only.

Windows' own default lets everyone read, so that any user could take an instance and what is
written to it. Here it is the owner, the administrators and the system, as the files of other
systems' sockets are their owner's; and everyone to whom ``readable_all`` and ``writable_all``
give it.
"""

from __future__ import annotations

import ctypes
import sys

assert sys.platform == "win32"

from ctypes import wintypes  # noqa: E402

__all__ = ["SecurityAttributes", "access_list"]

# FILE_GENERIC_READ. A client that cannot write has to set its read mode all the same, which is
# FILE_WRITE_ATTRIBUTES.
_READ = 0x120089 | 0x100
# FILE_GENERIC_WRITE, but for FILE_CREATE_PIPE_INSTANCE: with that anyone could serve the name,
# too. A client that asks for it with GENERIC_WRITE is let in without. And FILE_READ_ATTRIBUTES.
_WRITE = 0x120116 & ~0x4 | 0x80

_FULL = "FA"
_SYSTEM, _ADMINISTRATORS, _OWNER, _EVERYONE = "SY", "BA", "OW", "WD"

_REVISION = 1


def access_list(readable_all: bool, writable_all: bool) -> str:
    """The access list in Windows' notation for it (SDDL).

    :param readable_all: whether everyone may read.
    :param writable_all: whether everyone may write. A connection needs both.
    """
    entries = [(_FULL, _SYSTEM), (_FULL, _ADMINISTRATORS), (_FULL, _OWNER)]
    added = (_READ if readable_all else 0) | (_WRITE if writable_all else 0)
    if added:
        entries.append((f"0x{added:x}", _EVERYONE))
    # Protected: nothing is inherited from a folder.
    return "D:P" + "".join(f"(A;;{rights};;;{who})" for rights, who in entries)


class SecurityAttributes(ctypes.Structure):
    """``SECURITY_ATTRIBUTES``: an access list as ``CreateNamedPipe`` takes it.

    :param text: the access list, in Windows' notation.
    :raises OSError: the notation is wrong.
    """

    _fields_ = (
        ("size", wintypes.DWORD),
        ("descriptor", ctypes.c_void_p),
        ("inherit", wintypes.BOOL),
    )

    descriptor: int | None

    def __init__(self, text: str) -> None:
        descriptor = ctypes.c_void_p()
        if not _descriptor_of(text, _REVISION, ctypes.byref(descriptor), None):
            raise ctypes.WinError(ctypes.get_last_error())
        super().__init__(ctypes.sizeof(SecurityAttributes), descriptor, False)

    @property
    def address(self) -> int:
        """Where it is; it must be kept as long as that is used."""
        return ctypes.addressof(self)

    def __del__(self) -> None:
        _free(self.descriptor)


_descriptor_of = ctypes.WinDLL(
    "advapi32", use_last_error=True
).ConvertStringSecurityDescriptorToSecurityDescriptorW
_descriptor_of.argtypes = (
    wintypes.LPCWSTR, wintypes.DWORD, ctypes.c_void_p, ctypes.c_void_p,
)  # fmt: skip
_descriptor_of.restype = wintypes.BOOL
_free = ctypes.WinDLL("kernel32").LocalFree
_free.argtypes = (ctypes.c_void_p,)
_free.restype = ctypes.c_void_p
