"""Bytes from the network as a person may see them: as text without effects, or as a hex dump."""

from __future__ import annotations

import codecs
from collections.abc import Iterator

from ..errors import printable

__all__ = ["HexDump", "Visible"]

# What a line of text is made of.
PLAIN = "\n\t"
DUMP_BYTES = 16


class Visible:
    """Text for a terminal: what would do something there, or would not be seen, is an escape.

    Line ends, also those of the network, and tabs stay what they are.

    :param encoding: the terminal's. Where it is not UTF-8 only ASCII is text.
    """

    def __init__(self, encoding: str) -> None:
        try:
            utf8 = codecs.lookup(encoding).name == "utf-8"
        except LookupError:
            utf8 = False
        name = "utf-8" if utf8 else "ascii"
        self._decoder = codecs.getincrementaldecoder(name)("backslashreplace")
        self._carriage_return = False

    def __call__(self, data: bytes, final: bool = False) -> bytes:
        """The next chunk; what may belong to the one behind it is kept back.

        :param final: no chunk comes behind it.
        """
        text = self._decoder.decode(data, final)
        if self._carriage_return:
            text = "\r" + text
        # It may be the first half of a line's end.
        self._carriage_return = text.endswith("\r") and not final
        if self._carriage_return:
            text = text[:-1]
        lines = text.replace("\r\n", "\n")
        return "".join(
            each if each in PLAIN or each.isprintable() else printable(each) for each in lines
        ).encode()


class HexDump:
    """A dump of what travels, with a mark and a count of its own for each direction."""

    def __init__(self) -> None:
        self._offsets = {"<": 0, ">": 0}

    def __call__(self, mark: str, data: bytes) -> bytes:
        """Some bytes as lines.

        :param mark: ``"<"`` for what was received, ``">"`` for what was sent.
        """
        return "".join(self._lines(mark, data)).encode("ascii")

    def _lines(self, mark: str, data: bytes) -> Iterator[str]:
        for start in range(0, len(data), DUMP_BYTES):
            line = data[start : start + DUMP_BYTES]
            halves = f"{line[:8].hex(' '):23}  {line[8:].hex(' '):23}"
            text = "".join(chr(each) if 32 <= each < 127 else "." for each in line)
            yield f"{mark} {self._offsets[mark]:08x}  {halves}  |{text}|\n"
            self._offsets[mark] += len(line)
