"""What a host name may mean: itself, or a name in one of the search domains."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import dns.name

from .names import ascii_name


class SearchList:
    """The domains in which short names are looked for.

    :param domains: the domains; what can be no name among them is passed over.
    :param ndots: a name with as many dots is tried as it is first, one with fewer last.

    From ``resolv.conf(5)``: *search*, *ndots*.
    """

    def __init__(self, domains: Iterable[str], ndots: int) -> None:
        self._domains = [each for each in map(domain_name, domains) if each is not None]
        self._ndots = ndots

    def candidates(self, hostname: str, syscall: str) -> Iterator[dns.name.Name]:
        """The names to ask for, in their order; a name with a final dot means itself.

        :param hostname: the name; ``"."`` is the root.
        :param syscall: for the error.
        :raises socket.gaierror: it can be no name (``ENOTFOUND``).
        """
        if hostname == ".":
            yield dns.name.root
            return
        text = ascii_name(hostname, syscall)
        itself = _absolute(text)
        if text.endswith(".") or not self._domains:
            yield itself
            return
        first = text.count(".") >= self._ndots
        if first:
            yield itself
        for domain in self._domains:
            try:
                yield itself.relativize(dns.name.root).concatenate(domain)
            except dns.name.NameTooLong:
                continue
        if not first:
            yield itself


def domain_name(text: str) -> dns.name.Name | None:
    """A domain, or ``None`` for what is none."""
    try:
        return _absolute(ascii_name(text))
    except OSError:
        return None


def _absolute(name: str) -> dns.name.Name:
    # Not dns.name.from_text, which reads backslashes as escapes.
    return dns.name.Name([*name.removesuffix(".").encode().split(b"."), b""])
