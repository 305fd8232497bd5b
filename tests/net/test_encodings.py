"""Text out of a stream: no decoder's error escapes, no byte is lost, nothing is kept for ever."""

from __future__ import annotations

import codecs
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from gevent.queue import Queue
from hypothesis import given, settings
from hypothesis import strategies as st

import gnet
from gnet._values import encodings
from tests.helpers.calls import Calls
from tests.helpers.servers import send_end
from tests.net.conftest import Net


@pytest.mark.parametrize("encoding", ["idna", "punycode", "undefined", "hex_codec", "rot13"])
def test_an_encoding_that_decodes_no_stream_is_refused(encoding: str) -> None:
    sock = gnet.Socket()
    with pytest.raises(ValueError, match=encoding) as caught:
        sock.set_encoding(encoding)
    assert caught.value.code == "ERR_UNKNOWN_ENCODING"  # type: ignore[attr-defined]


def every_encoding() -> list[str]:
    from encodings.aliases import aliases

    names = {*aliases.values(), *encodings._NODE_NAMES, "hex", "base64", "base64url", "utf-8-sig"}
    taken = []
    for name in sorted(names):
        try:
            encodings.decoder(name)
        except ValueError:
            continue
        taken.append(name)
    return taken


ENCODINGS = every_encoding()


def test_most_encodings_are_taken() -> None:
    assert len(ENCODINGS) > 80


@settings(max_examples=600)
@given(
    encoding=st.sampled_from(ENCODINGS),
    chunks=st.lists(
        st.one_of(
            st.binary(max_size=12),
            st.sampled_from(
                [b"+AGE", b"\\N{", b"\x1b$B", b"\xff\xfe", b"\xfe\xff", b"~{", b"\x0e"]
            ),
        ),
        max_size=8,
    ),
)
def test_no_decoder_raises_whatever_comes(encoding: str, chunks: list[bytes]) -> None:
    decoder = encodings.decoder(encoding)
    for chunk in chunks:
        assert isinstance(decoder.decode(chunk), str)
        rest, state = decoder.getstate()
        decoder.setstate((rest, state))
    assert isinstance(decoder.decode(b"", True), str)
    decoder.reset()
    assert decoder.getstate()[0] == b""


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32"])
@pytest.mark.parametrize("order", ["le", "be", None])
@pytest.mark.parametrize("cut", [1, 2, 3, 5])
def test_a_mark_tells_the_byte_order_and_the_machines_goes_without(
    encoding: str, order: str | None, cut: int
) -> None:
    text = "a€\U0001f600b"
    name = f"{encoding}-{order or sys.byteorder[0] + 'e'}"
    data = ("\ufeff" if order else "").encode(name) + text.encode(name)
    decoder = encodings.decoder(encoding)
    pieces = [decoder.decode(data[at : at + cut]) for at in range(0, len(data), cut)]
    assert "".join(pieces) + decoder.decode(b"", True) == text
    assert data.decode(encoding) == text


def test_utf_16_without_a_mark(net: Net) -> None:
    sock, peer = net.accepted()
    texts: Queue[str] = Queue()
    sock.set_encoding("utf-16")
    sock.on("data", texts.put)
    peer.sendall("text".encode(f"utf-16-{sys.byteorder[0]}e"))
    assert texts.get() == "text"


# -- an encoding that is changed in the middle of a character -----------------------------------


def received(chunks: Queue[Any], size: int) -> list[Any]:
    got: list[Any] = []
    while sum(len(each) for each in got) < size:
        got.append(chunks.get())
    return got


@pytest.mark.parametrize("inside", [True, False])
def test_bytes_again_begin_with_the_half_character(net: Net, inside: bool) -> None:
    sock, peer = net.accepted()
    chunks: Queue[Any] = Queue()

    def data(chunk: Any) -> None:
        chunks.put(chunk)
        if inside:
            sock.set_encoding(None)

    sock.set_encoding("utf-8")
    sock.on("data", data)
    peer.sendall(b"head\xe2\x82")
    assert chunks.get() == "head"
    if not inside:
        sock.set_encoding(None)
    # At once, as they have come already.
    assert received(chunks, 2) == [b"\xe2\x82"]
    peer.sendall(b"\xactail")
    assert chunks.get() == b"\xactail"


def test_another_encoding_decodes_the_half_character(net: Net) -> None:
    sock, peer = net.accepted()
    texts: Queue[str] = Queue()
    sock.set_encoding("utf-8")
    sock.on("data", texts.put)
    peer.sendall(b"head\xe2\x82")
    assert texts.get() == "head"
    sock.set_encoding("latin-1")
    assert texts.get() == "\xe2\x82"
    sock.set_encoding("utf-8")
    peer.sendall(b"\xe2\x82")
    sock.set_encoding("utf-8")
    peer.sendall(b"\xac")
    assert texts.get() == "€"


def test_the_state_of_a_decoder_outlives_a_blocking_read(net: Net) -> None:
    sock, peer = net.accepted()
    texts: Queue[str] = Queue()
    sock.set_encoding("utf-16")
    sock.on("data", texts.put)
    peer.sendall("\ufeffa".encode("utf-16-be") + b"\0")
    assert texts.get() == "a"
    sock.pause()
    assert sock.recv() == b"\0"
    sock.resume()
    # Still in the order that the mark has told.
    peer.sendall("€".encode("utf-16-be"))
    assert texts.get() == "€"


@pytest.mark.parametrize("later", ["recv", "listen", "pipe"])
def test_a_half_character_stands_before_an_end_that_nobody_reads(net: Net, later: str) -> None:
    sock, peer = net.accepted()
    texts: Queue[str] = Queue()
    ended: Queue[None] = Queue()
    sock.on("end", lambda: ended.put(None))
    sock.set_encoding("utf-8")
    sock.on("data", texts.put)
    peer.sendall(b"head\xe2\x82")
    assert texts.get() == "head"
    sock.off("data", texts.put)
    send_end(peer)
    net.turns()
    assert ended.empty()
    if later == "recv":
        assert (sock.recv(), sock.recv()) == (b"\xe2\x82", b"")
    elif later == "listen":
        sock.on("data", texts.put)
        assert texts.get() == "\ufffd"
    else:
        to, receiver = net.accepted(allow_half_open=True)
        sock.set_encoding(None)
        sock.pipe(to)
        assert receiver.recv(10) == b"\xe2\x82"
    ended.get()


# -- what cannot be decoded ---------------------------------------------------------------------


@pytest.mark.parametrize("endless", [b"+" + b"A" * 1000, b"+AGE" + b"AGE" * 300])
def test_what_a_decoder_keeps_has_a_bound(net: Net, endless: bytes, must_call: Calls) -> None:
    sock, peer = net.accepted()
    errors: Queue[Any] = Queue()
    sock.set_encoding("utf-7")
    sock.on("data", lambda text: None)
    sock.on("error", must_call(errors.put))

    def send() -> None:
        peer.sendall(endless)
        while True:
            peer.sendall(b"AGE" * 1000)

    sender = net.start(send)
    error = errors.get()
    assert isinstance(error, ValueError)
    assert error.code == "ERR_ENCODING_INVALID_ENCODED_DATA"  # type: ignore[attr-defined]
    assert net.closed(sock) is True
    # Some reads of the kernel's beyond the bound, at the most.
    assert sock.bytes_read < 2_000_000
    assert isinstance(sender.get(), OSError)


class _Faulty(codecs.IncrementalDecoder):
    def decode(self, data: Any, final: bool = False) -> str:
        if b"!" in data or (final and self.errors != "strict" and not data and self.strange):
            raise ArithmeticError("a fault of the codec's own")
        self.strange = b"?" in data
        return bytes(data).decode("ascii")

    strange = False


@pytest.fixture
def faulty() -> Iterator[str]:
    """An encoding whose decoder raises what no decoder should."""

    def find(name: str) -> codecs.CodecInfo | None:
        if name != "faulty":
            return None
        ascii_codec = codecs.lookup("ascii")
        return codecs.CodecInfo(
            ascii_codec.encode, ascii_codec.decode, incrementaldecoder=_Faulty, name="faulty"
        )

    codecs.register(find)
    yield "faulty"
    codecs.unregister(find)


@pytest.mark.parametrize("data", [b"text!", b"text?"])
def test_an_error_of_a_decoder_is_the_connections(
    net: Net, faulty: str, data: bytes, must_call: Calls
) -> None:
    sock, peer = net.accepted()
    order: list[Any] = []
    sock.set_encoding(faulty)
    for event in ("data", "end", "error", "close"):
        sock.on(event, lambda *args, event=event: order.append(event))
    peer.sendall(data)
    send_end(peer)
    assert net.closed(sock) is True
    assert order[-2:] == ["error", "close"]
    assert "end" not in order


@pytest.mark.parametrize(
    ("text", "encoding"), [("abc", "hex"), ("xy", "hex"), ("€", "latin-1"), ("a" * 70, "idna")]
)
def test_text_that_an_encoding_has_not_is_an_error_with_a_code(text: str, encoding: str) -> None:
    sock = gnet.Socket()
    for call in (sock.write, sock.end):
        with pytest.raises(ValueError, match=encoding) as caught:
            call(text, encoding)
        assert caught.value.code == "ERR_INVALID_ARG_VALUE"  # type: ignore[attr-defined]
    assert sock.writable
