"""The table of the system's own host names, ``/etc/hosts``."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from typing import TypeVar

from ._names import Address
from .address import IPAddress, parse_ip

_T = TypeVar("_T")

if sys.platform == "win32":
    DEFAULT_PATH = os.path.join(
        os.environ.get("SYSTEMROOT", r"C:\Windows"), r"System32\drivers\etc\hosts"
    )
else:
    DEFAULT_PATH = "/etc/hosts"


class HostsFile:
    """A hosts file; it is read again when it has changed.

    A file that does not exist, or cannot be read, is an empty one, as for ``getaddrinfo``.

    :param path: the file; ``None`` for an empty table.

    From ``hosts(5)``.
    """

    def __init__(self, path: str | None = DEFAULT_PATH) -> None:
        self._path = path
        self._version: tuple[int, ...] | None = None
        self._addresses: dict[str, list[Address]] = {}
        self._names: dict[IPAddress, list[str]] = {}

    def addresses(self, name: str) -> list[Address]:
        """The addresses of a name, in the order of the file.

        :param name: in ASCII, with a final dot or without; its case is not looked at.
        """
        self._refresh()
        return self._addresses.get(name.removesuffix(".").lower(), [])

    def names(self, address: str) -> list[str]:
        """The names of an IP address, in the order of the file."""
        self._refresh()
        ip = parse_ip(address)
        return self._names.get(ip, []) if ip is not None else []

    def _refresh(self) -> None:
        if self._path is None:
            return
        try:
            status = os.stat(self._path)
            # An editor's new file has another inode; two writes may share a time stamp.
            version = (status.st_mtime_ns, status.st_ino, status.st_size)
            if version == self._version:
                return
            with open(self._path, encoding="utf-8", errors="replace") as lines:
                self._read(lines)
        except OSError:
            version = None
            self._read(())
        self._version = version

    def _read(self, lines: Iterable[str]) -> None:
        addresses: dict[str, list[Address]] = {}
        names: dict[IPAddress, list[str]] = {}
        for line in lines:
            address, *aliases = line.partition("#")[0].split() or [""]
            ip = parse_ip(address)
            if ip is None:
                continue
            for alias in aliases:
                _add(
                    addresses.setdefault(alias.removesuffix(".").lower(), []),
                    (address, ip.version),
                )
                _add(names.setdefault(ip, []), alias.removesuffix("."))
        self._addresses, self._names = addresses, names


def _add(found: list[_T], value: _T) -> None:
    if value not in found:
        found.append(value)
