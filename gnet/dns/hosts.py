"""The table of the system's own host names, ``/etc/hosts``."""

from __future__ import annotations

import _socket
import os
import sys
from collections.abc import Iterable
from functools import lru_cache

from .._values.addresses import IPAddress, parse_ip
from .names import Address

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
        # The inner dicts are ordered sets: lists against advertisements give one address to
        # a hundred thousand names.
        self._addresses: dict[str, dict[Address, None]] = {}
        self._names: dict[IPAddress, dict[str, None]] = {}

    def addresses(self, name: str) -> list[Address]:
        """The addresses of a name, in the order of the file.

        :param name: in ASCII, with a final dot or without; its case is not looked at.
        """
        self._refresh()
        return list(self._addresses.get(_key(name), ()))

    def names(self, address: str) -> list[str]:
        """The names of an IP address, in the order of the file."""
        self._refresh()
        ip = parse_ip(address)
        return list(self._names.get(ip, ())) if ip is not None else []

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
        addresses: dict[str, dict[Address, None]] = {}
        names: dict[IPAddress, dict[str, None]] = {}
        # Most lines of a long file have the address of the line before: 0.25 s, not 0.55 s,
        # for 100,000 of them, and nothing else runs meanwhile.
        parsed = lru_cache(maxsize=16)(parse_ip)
        for line in lines:
            address, *aliases = line.partition("#")[0].split() or [""]
            ip = parsed(address)
            if ip is not None:
                form = (_canonical(ip), ip.version)
                for alias in aliases:
                    addresses.setdefault(_key(alias), {})[form] = None
                    names.setdefault(ip, {})[alias.removesuffix(".")] = None
        self._addresses, self._names = addresses, names


def _canonical(ip: IPAddress) -> str:
    """As the system's calls write it."""
    if ip.version == 4:
        return str(ip)
    zone = ip.scope_id
    address = _socket.inet_ntop(_socket.AF_INET6, ip.packed)
    return address if zone is None else f"{address}%{zone}"


def _key(name: str) -> str:
    return name.removesuffix(".").lower()
