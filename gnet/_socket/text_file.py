"""Files of text over a socket: what ``makefile()`` gives in the text modes."""

from __future__ import annotations

import codecs
import io
import locale
import os
import re
from typing import Any, NamedTuple

__all__ = ["TextFile", "TextForm", "text_form"]

# What ends a line, by the argument ``newline``.
_LINE_ENDS = {
    None: re.compile("\n"),
    "": re.compile("\r\n?|\n"),
    "\n": re.compile("\n"),
    "\r": re.compile("\r"),
    "\r\n": re.compile("\r\n"),
}


class TextForm(NamedTuple):
    """How the bytes of a file stand for text."""

    encoding: str
    errors: str
    newline: str | None


def text_form(encoding: str | None, errors: str | None, newline: str | None) -> TextForm:
    """The form of a file of text; with the errors of ``io.TextIOWrapper``.

    :raises LookupError: there is no such encoding, or no such way to handle errors.
    :raises ValueError: ``newline`` ends no line.
    """
    if newline is not None and not isinstance(newline, str):
        raise TypeError(f"newline must be str or None, not {type(newline).__name__}")
    if newline not in _LINE_ENDS:
        raise ValueError(f"illegal newline value: {newline!r}")
    if encoding is None or encoding == "locale":
        encoding = locale.getpreferredencoding(False)
    codec = codecs.lookup(encoding)
    if not codec._is_text_encoding or codec.incrementaldecoder is None:
        raise LookupError(f"{encoding!r} is not a text encoding")
    codecs.lookup_error(errors or "strict")
    return TextForm(encoding, errors or "strict", newline)


class TextFile(io.TextIOBase):
    """A file of text that loses nothing when a read is interrupted, or followed by a write.

    ``io.TextIOWrapper`` drops what it has of a line when a timeout comes in the middle of it, and
    what it has read ahead when something is written.

    :ivar buffer: the buffered file of bytes below it.
    :ivar mode: as it was given to ``makefile()``.
    """

    def __init__(self, buffer: Any, form: TextForm, mode: str) -> None:
        super().__init__()
        self.buffer = buffer
        self.mode = mode
        self._form = form
        self._line_end = _LINE_ENDS[form.newline]
        decoder = codecs.getincrementaldecoder(form.encoding)(form.errors)
        self._decoder: Any = decoder
        if form.newline in (None, ""):
            self._decoder = io.IncrementalNewlineDecoder(decoder, form.newline is None)
        self._encoder = codecs.getincrementalencoder(form.encoding)(form.errors)
        # A line's end as it is sent.
        self._sent_end = os.linesep if form.newline is None else form.newline or "\n"
        # What was decoded and not read. Its pieces are kept until there is memory to join them.
        self._pieces = [""]

    @property
    def _text(self) -> str:
        if len(self._pieces) > 1:
            self._pieces = ["".join(self._pieces)]
        return self._pieces[0]

    @_text.setter
    def _text(self, text: str) -> None:
        self._pieces = [text]

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return self._form.encoding

    @property
    def errors(self) -> str | None:  # type: ignore[override]
        return self._form.errors

    @property
    def newlines(self) -> Any:  # type: ignore[override]
        return getattr(self._decoder, "newlines", None)

    @property
    def line_buffering(self) -> bool:
        return False

    @property
    def closed(self) -> bool:
        return bool(self.buffer.closed)

    @property
    def name(self) -> int:
        return int(self.buffer.name)

    def fileno(self) -> int:
        return int(self.buffer.fileno())

    def readable(self) -> bool:
        return bool(self.buffer.readable())

    def writable(self) -> bool:
        return bool(self.buffer.writable())

    def close(self) -> None:
        self.buffer.close()

    def flush(self) -> None:
        self.buffer.flush()

    def write(self, text: str) -> int:
        if not isinstance(text, str):
            raise TypeError(f"write() argument must be str, not {type(text).__name__}")
        sent = text if self._sent_end == "\n" else text.replace("\n", self._sent_end)
        state = self._encoder.getstate()
        try:
            self.buffer.write(self._encoder.encode(sent))
        except BlockingIOError:
            # It was not taken, and what stands ahead of the first text comes with the next try.
            self._encoder.setstate(state)
            raise
        return len(text)

    def read(self, size: int | None = -1) -> str:
        limit = None if size is None or size < 0 else size
        return self._take(self._decode_until(limit, None))

    def readline(self, size: int | None = -1) -> str:  # type: ignore[override]
        limit = None if size is None or size < 0 else size
        return self._take(self._decode_until(limit, self._line_end))

    def readlines(self, hint: int | None = -1) -> list[str]:  # type: ignore[override]
        lines: list[str] = []
        size = 0
        try:
            while line := self.readline():
                lines.append(line)
                size += len(line)
                if hint is not None and 0 < hint < size:
                    break
        except BaseException:
            self._text = "".join(lines) + self._text
            raise
        return lines

    def _take(self, size: int) -> str:
        taken, self._text = self._text[:size], self._text[size:]
        return taken

    def _decode_until(self, limit: int | None, end: re.Pattern[str] | None) -> int:
        """Decode until there is a line's end, or ``limit`` characters, or no more.

        :returns: how many characters are to be taken.
        """
        # The pieces are joined once, whatever their number, and kept if a read is interrupted.
        pieces = [self._text]
        before = 0
        try:
            while True:
                found = end.search(pieces[-1]) if end is not None else None
                size = before + (found.end() if found is not None else len(pieces[-1]))
                if limit is not None and size >= limit:
                    return limit
                if found is not None:
                    return size
                # No character has less than a byte: what is not asked for stays the socket's.
                piece = self._decode_more(None if limit is None else limit - size)
                if piece is None:
                    return size
                if pieces[-1].endswith("\r"):
                    # It may be the first half of a line's end.
                    pieces[-1] += piece
                else:
                    before += len(pieces[-1])
                    pieces.append(piece)
        finally:
            self._pieces = pieces

    def _decode_more(self, size: int | None) -> str | None:
        """The next piece of text, perhaps empty; ``None`` at the end.

        :param size: of so many bytes at the most; ``None`` for no limit.
        """
        if not self.readable():
            raise io.UnsupportedOperation("not readable")
        data = self.buffer.read_part(size)
        try:
            text: str = self._decoder.decode(data, not data)
        except (UnicodeError, MemoryError):
            self.buffer.give_back(data)
            raise
        return text if data or text else None
