"""requests and urllib3: over a gnet socket, and unchanged under gnet.monkey."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import pytest

import gnet
from gnet import monkey, wsgi
from tests.helpers.peers import python, run
from tests.helpers.servers import place_at

requests = pytest.importorskip("requests")
urllib3 = pytest.importorskip("urllib3")

LARGE = bytes(range(256)) * 2000


def mirror(environ: dict[str, Any], start_response: Any) -> Any:
    if environ["PATH_INFO"] == "/redirect":
        start_response("302 Found", [("Location", environ["QUERY_STRING"])])
        return []
    body = environ["wsgi.input"].read()
    start_response("200 OK", [])
    return iter([body[:1000], body[1000:]]) if body else [b"nothing"]


@pytest.fixture
def port() -> Iterator[int]:
    with wsgi.WSGIServer(mirror) as server:
        server.listen(0, "127.0.0.1")
        yield place_at(server)[0]


class Connection(urllib3.connection.HTTPConnection):  # type: ignore[misc]
    def _new_conn(self) -> Any:
        timeout = self.timeout if isinstance(self.timeout, (int, float)) else None
        return gnet.connect(self.port, self._dns_host, timeout=timeout)


class Pool(urllib3.HTTPConnectionPool):  # type: ignore[misc]
    ConnectionCls = Connection


def test_urllib3_over_a_gnet_socket(port: int) -> None:
    with Pool("127.0.0.1", port, timeout=5, maxsize=1) as pool:
        for _ in range(3):
            assert pool.request("POST", "/", body=LARGE).data == LARGE
        assert pool.num_connections == 1
        response = pool.request("GET", "/", preload_content=False)
        assert response.read() == b"nothing"
        response.release_conn()


def test_requests_over_a_gnet_socket(port: int) -> None:
    class Adapter(requests.adapters.HTTPAdapter):  # type: ignore[misc]
        def init_poolmanager(self, *args: Any, **options: Any) -> None:
            super().init_poolmanager(*args, **options)
            self.poolmanager.pool_classes_by_scheme = {"http": Pool}

    with requests.Session() as session:
        session.mount("http://", Adapter())
        session.trust_env = False
        url = f"http://127.0.0.1:{port}/"
        assert session.post(url, data=LARGE, timeout=5).content == LARGE
        with session.post(url, data=LARGE, stream=True) as response:
            assert b"".join(response.iter_content(7000)) == LARGE


def resolving(*addresses: str) -> Any:
    def lookup(hostname: str, *, all: bool = False, **options: Any) -> Any:
        answers = [(each, 4) for each in addresses]
        return answers if all else answers[0]

    return lookup


def forbidden(*addresses: str) -> gnet.BlockList:
    block_list = gnet.BlockList()
    for each in addresses:
        block_list.add_address(each)
    return block_list


@pytest.fixture
def session() -> Iterator[Any]:
    with requests.Session() as session:
        session.trust_env = False
        yield session


def test_requests_is_patched(port: int, session: Any) -> None:
    with monkey.patch(lookup=resolving("127.0.0.1")):
        url = f"http://some.name:{port}/"
        for timeout in None, 5, (5, 6):
            assert session.post(url, data=LARGE, timeout=timeout).content == LARGE
    with pytest.raises(requests.ConnectionError, match="resolve"):
        requests.get(f"http://some.name.invalid:{port}/")


def test_requests_is_kept_from_forbidden_addresses(port: int, session: Any) -> None:
    with monkey.patch(lookup=resolving("127.0.0.1"), block_list=forbidden("127.0.0.1")):
        for name in "some.name", "127.0.0.1", "127.1", "[::ffff:127.0.0.1]":
            with pytest.raises(requests.ConnectionError, match="blocked by the block list"):
                session.get(f"http://{name}:{port}/")


def test_a_redirect_does_not_lead_to_a_forbidden_address(port: int, session: Any) -> None:
    with monkey.patch(block_list=forbidden("127.0.0.2")):
        url = f"http://127.0.0.1:{port}/redirect?http://127.0.0.2:{port}/"
        with pytest.raises(requests.ConnectionError, match="blocked by the block list"):
            session.get(url)


LATE = """
import gnet, gnet.monkey
blocked = gnet.BlockList()
blocked.add_address("127.0.0.1")

def lookup(hostname, *, all=False, **options):
    print("asked for", hostname)
    return [("127.0.0.1", 4)] if all else ("127.0.0.1", 4)

gnet.monkey.patch(lookup=lookup, block_list=blocked)
{patch_all}
import requests
try:
    requests.get("http://some.name/")
except requests.ConnectionError as error:
    print(error)
gnet.monkey.unpatch()
import urllib3.util.connection
print(urllib3.util.connection.create_connection.__code__.co_name)
"""


@pytest.mark.parametrize("patch_all", ["", "import gevent.monkey; gevent.monkey.patch_all()"])
def test_requests_may_be_imported_later(patch_all: str) -> None:
    outcome = run(*python(LATE.format(patch_all=patch_all)))
    first, second, third = outcome.output.decode().splitlines()
    assert first == "asked for some.name"
    assert "blocked by the block list" in second
    assert third == "create_connection"
    assert "Error" not in outcome.complaints.decode()


def test_a_plain_script_connects_and_leaves_no_trace_of_gevent() -> None:
    program = (
        "import gnet, gnet.monkey, http.server, requests, socket, threading\n"
        "from gevent._hub_local import get_hub_if_exists as hub\n"
        "class Handler(http.server.BaseHTTPRequestHandler):\n"
        "    def do_GET(self):\n"
        "        self.send_response(204); self.end_headers()\n"
        "    def log_message(self, *args): pass\n"
        "server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), Handler)\n"
        "threading.Thread(target=server.serve_forever, daemon=True).start()\n"
        "url = 'http://localhost:%d/' % server.server_port\n"
        "session = requests.Session()\n"
        "with gnet.monkey.patch():\n"
        "    for _ in range(3):\n"
        "        assert session.get(url, timeout=5).status_code == 204\n"
        "        thread = threading.Thread(target=session.get, args=(url,))\n"
        "        thread.start(); thread.join()\n"
        "assert hub() is None\n"
    )
    outcome = run(sys.executable, "-c", program)
    assert (outcome.status, outcome.complaints.decode()) == (0, "")
