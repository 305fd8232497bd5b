"""The page of the live view in a real browser.

With ``GNET_SCREENSHOTS=1`` in the environment the pictures in the documentation are made anew.
"""

from __future__ import annotations

import os
import ssl
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import gevent
import gevent.ssl
import pytest
from gevent import socket

import gnet
import gnet.live
from gnet.wsgi import WSGIServer
from tests.browser.conftest import Browser
from tests.helpers.authority import server_context
from tests.helpers.servers import closing, echoing, pair, receive, serving

PICTURES = Path(__file__).resolve().parents[2] / "docs" / "static"
HOSTILE = "<img src=x onerror=alert(1)>"

# The texts of a column of the table, from the top.
COLUMN = """return [...document.querySelectorAll("#connections td.of-" + arguments[0])]
    .map((cell) => cell.textContent)"""


@contextmanager
def page(browser: Browser, control: bool = False, **window: Any) -> Iterator[Any]:
    """The page in the browser; gives its application."""
    application = gnet.live.make_wsgi_app(control=control)
    server = WSGIServer(application)
    # As if another process served it.
    server._uncounted()
    with server.listen(0, "127.0.0.1"):
        browser.complaints()
        browser.open(application.url(f"http://127.0.0.1:{server.port}"), **window)
        browser.wait_for("return document.querySelector('#status').textContent === 'live'")
        try:
            yield application
        finally:
            browser.open("about:blank")
            server.shutdown(0)
    assert browser.complaints() == []


def wait_for_row(browser: Browser, text: str, there: bool = True) -> None:
    """Wait until a row has this text, or until none has."""
    has = """[...document.querySelectorAll("#connections tbody tr")]
        .some((row) => row.textContent.includes(arguments[0]))"""
    browser.wait_for(f"return {has} === arguments[1]", text, there)


def test_a_connection_is_shown_while_it_is_open(browser: Browser) -> None:
    with echoing() as server, page(browser):
        address = f"127.0.0.1:{server.port}"
        browser.wait_for("return document.body.innerText.includes(arguments[0])", address)
        with socket.create_connection(("127.0.0.1", server.port)) as client:
            name = "{}:{}".format(*client.getsockname())
            wait_for_row(browser, name)
            client.sendall(b"x" * 5000)
            # Unread, it would be reset.
            assert len(receive(client, 5000)) == 5000
            browser.wait_for(f"{COLUMN}.includes('4.9K')", "bytes_in")
        wait_for_row(browser, name, there=False)


def test_the_table_is_sorted_and_searched(browser: Browser) -> None:
    with echoing() as server, page(browser), ExitStack() as stack:
        where = ("127.0.0.1", server.port)
        clients = [stack.enter_context(socket.create_connection(where)) for _ in range(3)]
        names = ["{}:{}".format(*each.getsockname()) for each in clients]
        wait_for_row(browser, names[2])
        browser.type("#search", names[1])
        browser.wait_for(f"{COLUMN}.join() === arguments[1]", "peer", names[1])
        browser.type("#search", "x\b")
        browser.script("document.querySelector('#server').value = arguments[0]", server_of(server))
        browser.script("document.querySelector('#server').dispatchEvent(new Event('change'))")
        for ordered in (sorted(names), sorted(names, reverse=True)):
            browser.click("th[data-name=peer] button")
            browser.wait_for(f"{COLUMN}.join() === arguments[1]", "peer", ",".join(ordered))


def _ignoring_errors(sock: gnet.Socket) -> None:
    sock.on("error", lambda error: None)


def server_of(server: gnet.Server) -> str:
    return f"127.0.0.1:{server.port}"


def test_what_strangers_have_chosen_is_shown_as_text(browser: Browser) -> None:
    context = gevent.ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    host = "<b onmouseover=alert(2)>host</b>"
    with serving(_ignoring_errors, tls=server_context()) as server, page(browser):
        plain = socket.create_connection(("127.0.0.1", server.port))
        unanswered = gnet.connect(80, host, lookup=lambda *a, **k: gevent.sleep(60))
        with closing(unanswered), context.wrap_socket(plain, server_hostname=HOSTILE):
            wait_for_row(browser, HOSTILE)
            wait_for_row(browser, host)
            injected = "return document.querySelectorAll('main img, main b[onmouseover]').length"
            assert browser.script(injected) == 0
            browser.click("#connections tbody tr")
            browser.wait_for("return document.querySelector('#details dd') !== null")
            assert browser.script("return document.querySelectorAll('dialog img').length") == 0


def test_a_connection_is_looked_at_and_closed_with_control(browser: Browser) -> None:
    with pair() as (client, served), page(browser, control=True):
        served.resume()
        name = f"{client.local_address}:{client.local_port}"
        browser.type("#search", name)
        wait_for_row(browser, name)
        browser.wait_for(f"{COLUMN}.includes(arguments[1])", "peer", name)
        browser.script(
            """[...document.querySelectorAll("#connections tbody tr")].find((row) =>
            row.querySelector(".of-peer").textContent === arguments[0]).click()""",
            name,
        )
        browser.wait_for("return document.querySelector('#happened li') !== null")
        client.write(b"hello")
        browser.wait_for("return document.querySelector('#happened').innerText.includes('data 5')")
        browser.click("#actions .close")
        served.wait("close")
        browser.wait_for("return document.querySelector('#happened').innerText.includes('close')")


def test_without_control_there_is_nothing_to_close_with(browser: Browser) -> None:
    with pair() as (client, served), page(browser) as application:
        wait_for_row(browser, f"{client.local_address}:{client.local_port}")
        browser.click("#connections tbody tr")
        browser.wait_for("return document.querySelector('#details dd') !== null")
        assert browser.script("return document.querySelectorAll('.danger').length") == 0
        refused = browser.call(
            lambda driver: driver.execute_async_script(
                """const done = arguments[1];
                fetch("close?id=1-1&token=" + arguments[0], {method: "POST"})
                    .then((answer) => done(answer.status));""",
                application.token,
            )
        )
        assert refused == 403
        assert not served.destroyed
        # The browser says so, too.
        assert any("403" in each for each in browser.complaints())


# -- pictures -------------------------------------------------------------------------------------

WINDOWS = {
    "desktop": {"width": 1280, "height": 860},
    "dark": {"width": 1280, "height": 860, "dark": True},
    "phone": {"width": 390, "height": 844},
}


@pytest.mark.parametrize("name", WINDOWS)
def test_a_picture_of_it(browser: Browser, name: str, tmp_path: Path) -> None:
    folder = PICTURES if os.environ.get("GNET_SCREENSHOTS") == "1" else tmp_path
    with busy_program(), page(browser, **WINDOWS[name]):
        # Some seconds of it, for the charts.
        points = 12 if folder is PICTURES else 2
        browser.wait_for(
            """return document.querySelector("svg .in").getAttribute("d").split("L").length
            >= arguments[0]""",
            points,
        )
        wide = browser.script("return document.documentElement.scrollWidth")
        assert wide <= WINDOWS[name]["width"]
        path = folder / f"live-{name}.png"
        browser.screenshot(str(path))
        assert path.read_bytes()[:4] == b"\x89PNG"


@contextmanager
def busy_program() -> Iterator[None]:
    """Servers with clients of many places, of which some are refused."""
    proxies, blocked = gnet.BlockList(), gnet.BlockList()
    proxies.add_cidr("127.0.0.0/8")
    blocked.add_cidr("203.0.113.0/24")

    def chat(sock: gnet.Socket) -> None:
        for chunk in sock:
            gevent.sleep(0.2)
            sock.sendall(chunk * 2)

    options: dict[str, Any] = {"proxy_protocol": "require", "trusted_proxies": proxies}
    with ExitStack() as stack:
        enter = stack.enter_context
        web = enter(serving(chat, end_on_return=True, block_list=blocked, **options))
        feed = enter(serving(lambda sock: sock.pipe(sock), **options))
        for number in range(14):
            server = (web, feed)[number % 2]
            client = enter(socket.create_connection(("127.0.0.1", server.port)))
            client.sendall(proxied(f"198.51.100.{10 + number}", 40000 + 731 * number))
            if number < 9:
                enter(killing(gevent.spawn(talk, client, 300 * (number + 1))))
        for number in range(5):
            refused = enter(socket.create_connection(("127.0.0.1", web.port)))
            refused.sendall(proxied(f"203.0.113.{number}", 50000))
        yield


def proxied(address: str, port: int) -> bytes:
    return f"PROXY TCP4 {address} 192.0.2.1 {port} 443\r\n".encode()


def talk(client: socket.socket, size: int) -> None:
    while True:
        client.sendall(b"x" * size)
        client.recv(65536)
        gevent.sleep(0.05 + size % 7 / 20)


@contextmanager
def killing(greenlet: Any) -> Iterator[None]:
    try:
        yield
    finally:
        greenlet.kill()
