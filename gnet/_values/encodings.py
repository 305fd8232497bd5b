"""Text and bytes: the encodings by Node's names and Python's, and what counts as bytes."""

from __future__ import annotations

import binascii
import codecs
import sys
from typing import Any, Protocol

from ..errors import type_error, value_error
from .arguments import wrong_kind

__all__ = [
    "Decoder",
    "byte_view",
    "check_kept",
    "decoder",
    "frozen",
    "to_bytes",
    "undecodable",
]

#: So many bytes a decoder may keep that are no text yet. UTF-7 and unicode-escape keep what a peer
#: never ends.
MAX_KEPT_BYTES = 65536

# Node's names that Python does not know, or knows as something else.
_NODE_NAMES = {
    "binary": "latin-1",
    "ucs2": "utf-16-le",
    "ucs-2": "utf-16-le",
    "utf16le": "utf-16-le",
    "utf-16le": "utf-16-le",
}


_URL_SAFE = bytes.maketrans(b"+/", b"-_")


class Decoder(Protocol):
    """Makes text of chunks; keeps what a chunk's end has cut off."""

    def decode(self, data: bytes, final: bool = False) -> str: ...

    def getstate(self) -> tuple[bytes, int]: ...

    def setstate(self, state: tuple[bytes, int]) -> None: ...

    def reset(self) -> None: ...


class _BaseDecoder:
    """Text that stands for bytes: hexadecimal digits or base64."""

    def __init__(self, encode: Any, group: int) -> None:
        self._encode = encode
        # base64 makes four characters of three bytes: only whole groups can be given out.
        self._group = group
        self._rest = b""

    def decode(self, data: bytes, final: bool = False) -> str:
        data = self._rest + data
        cut = len(data) if final else len(data) - len(data) % self._group
        self._rest = data[cut:]
        text: str = self._encode(data[:cut]).decode("ascii")
        return text

    def getstate(self) -> tuple[bytes, int]:
        return self._rest, 0

    def setstate(self, state: tuple[bytes, int]) -> None:
        self._rest = state[0]

    def reset(self) -> None:
        self._rest = b""


class _MarkedDecoder(codecs.BufferedIncrementalDecoder):
    """UTF-16 or UTF-32 with a byte order mark; without one in the machine's order.

    So does ``bytes.decode()``; the standard library's incremental decoders raise.
    """

    def __init__(self, codec: str, little: bytes, big: bytes) -> None:
        super().__init__("replace")
        self._codec = codec
        self._marks = {little: "le", big: "be"}
        self._width = len(little)
        self._decode: Any = None

    def _buffer_decode(self, input: Any, errors: str, final: bool) -> tuple[str, int]:
        data: bytes = input
        skipped = 0
        if self._decode is None:
            if len(data) < self._width and not final:
                return "", 0
            order = self._marks.get(data[: self._width])
            skipped = self._width if order else 0
            name = f"{self._codec}_{order or sys.byteorder[0] + 'e'}_decode"
            self._decode = getattr(codecs, name)
        text, consumed = self._decode(data[skipped:], errors, final)
        return text, consumed + skipped

    def reset(self) -> None:
        super().reset()
        self._decode = None


def _base64(data: bytes) -> bytes:
    return binascii.b2a_base64(data, newline=False)


def _base64url(data: bytes) -> bytes:
    return _base64(data).translate(_URL_SAFE).rstrip(b"=")


# How bytes are written, and how many of them stand for whole characters.
_BASES = {
    "hex": (binascii.hexlify, 1),
    "base64": (_base64, 3),
    "base64url": (_base64url, 3),
}

# Of one name each, or of nothing: they do not decode piece by piece.
_OF_NO_STREAM = ("idna", "punycode", "undefined")

# The encodings whose byte order a mark tells, and the marks.
_MARKS = {
    "utf-16": ("utf_16", codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE),
    "utf-32": ("utf_32", codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE),
}


def _unknown(encoding: object) -> ValueError:
    return value_error(f"Unknown encoding: {encoding!r}", "ERR_UNKNOWN_ENCODING")


def _codec(encoding: Any) -> codecs.CodecInfo:
    if not isinstance(encoding, str):
        raise wrong_kind("encoding", encoding, "a str")
    try:
        codec = codecs.lookup(_NODE_NAMES.get(encoding.lower(), encoding))
    except (LookupError, ValueError):
        raise _unknown(encoding) from None
    # rot13, zip and the like: codecs that do not make bytes of text.
    if not codec._is_text_encoding:
        raise _unknown(encoding)
    return codec


def decoder(encoding: str) -> Decoder:
    """A decoder of received chunks; malformed input becomes U+FFFD, as in Node.

    :raises TypeError: ``encoding`` is not a ``str``.
    :raises ValueError: it names no encoding, or one that cannot decode a stream; ``code``
        ``"ERR_UNKNOWN_ENCODING"``.
    """
    base = _BASES.get(encoding.lower()) if isinstance(encoding, str) else None
    if base is not None:
        return _BaseDecoder(*base)
    codec = _codec(encoding)
    marks = _MARKS.get(codec.name)
    if marks is not None:
        return _MarkedDecoder(*marks)
    if codec.incrementaldecoder is None or codec.name in _OF_NO_STREAM:
        raise _unknown(encoding)
    result: Decoder = codec.incrementaldecoder("replace")
    return result


def check_kept(decoder: Decoder) -> None:
    """Look whether a decoder that has given no text keeps too much.

    :raises ValueError: it does.
    """
    if len(decoder.getstate()[0]) > MAX_KEPT_BYTES:
        raise ValueError(f"more than {MAX_KEPT_BYTES} bytes that do not make text yet")


def undecodable(exc: Exception) -> ValueError:
    """The error of a connection whose data its decoder cannot make text of."""
    error = value_error(
        f"cannot decode what was received: {exc}", "ERR_ENCODING_INVALID_ENCODED_DATA"
    )
    error.__cause__ = exc
    return error


def encode(text: str, encoding: str) -> bytes:
    """``text`` in the encoding; what ``hex`` and ``base64`` stand for.

    :raises ValueError: the encoding is unknown, or the text cannot be encoded in it.
    """
    name = encoding.lower() if isinstance(encoding, str) else ""
    codec = _codec(encoding) if name not in _BASES else None
    try:
        if codec is not None:
            return codec.encode(text, "strict")[0]
        if name == "hex":
            return bytes.fromhex(text)
        # Node takes either alphabet, padded or not.
        text = text.replace("-", "+").replace("_", "/")
        return binascii.a2b_base64(text + "=" * (-len(text) % 4))
    except ValueError as exc:
        raise value_error(f"cannot encode the text as {encoding}: {exc}") from exc


def byte_view(data: Any) -> memoryview:
    """A bytes-like object as a view of its bytes, without a copy.

    :raises TypeError: it is not bytes-like.
    """
    try:
        view = memoryview(data)
    except TypeError:
        raise wrong_kind("data", data, "a bytes-like object") from None
    if not view.c_contiguous:
        return memoryview(view.tobytes())
    return view.cast("B") if view.ndim != 1 or view.format != "B" else view


def to_bytes(data: Any, encoding: str) -> Any:
    """What ``write()`` takes, as bytes or a view of them."""
    if isinstance(data, str):
        return encode(data, encoding)
    if data is None:
        raise type_error("May not write None values to stream", "ERR_STREAM_NULL_VALUES")
    try:
        return byte_view(data)
    except TypeError:
        raise wrong_kind("data", data, "a str or a bytes-like object") from None


def frozen(data: Any) -> Any:
    """``data`` as it is where nobody can change it, else a copy: it must wait in a queue."""
    if type(data) is bytes:
        return data
    view = memoryview(data)
    return view if type(view.obj) is bytes else bytes(view)
