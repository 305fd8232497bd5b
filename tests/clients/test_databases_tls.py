"""Clients of databases over TLS, by ``gnet.monkey.patch(tls=True)``: with the real servers.

Each server listens on a loopback address of this process' own, so that its port is free.
"""

from __future__ import annotations

import os
import shutil
import ssl
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gevent
import pytest

import gnet
from gnet import monkey
from tests.clients.conftest import as_user, daemon
from tests.clients.test_databases import LARGE, postgres_program
from tests.helpers.commands import run_gnet
from tests.helpers.peers import program, run

authority = pytest.importorskip("tests.helpers.authority")
pytestmark = pytest.mark.limit(90)


def own_address() -> str:
    """A loopback address that no other process is likely to use; Linux has them all."""
    high, low = divmod(os.getpid(), 250)
    return f"127.{1 + high // 250 % 250}.{high % 250}.{1 + low}"


@pytest.fixture(scope="module")
def home() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="gnet-") as name:
        os.chmod(name, 0o755)
        yield Path(name)
    # Patched, os.close() closes when the loop has looked for events, which a timer makes it do.
    gevent.sleep(0.001)


@pytest.fixture
def context() -> ssl.SSLContext:
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    authority.authority().configure_trust(made)
    return made


def pair(directory: Path, user: str | None = None) -> tuple[str, str]:
    """The files of a certificate for the address and its key."""
    leaf = authority.issue(own_address())
    files = authority.write_pair(leaf, directory / "cert.pem", directory / "key.pem")
    for each in files:
        each.chmod(0o600)
        if user is not None and os.geteuid() == 0:
            shutil.chown(each, user)
    return str(files[0]), str(files[1])


def assert_begins_tls(protocol: str, port: int) -> None:
    """``gnet connect --starttls`` shakes hands with the server."""
    with authority.authority().cert_pem.tempfile() as cafile:
        target = f"{own_address()}:{port}"
        outcome = run_gnet(
            "-v", "connect", target, "--starttls", protocol, "--ca", cafile, "-w", "10"
        )
    assert f"encrypted {target}: TLS".encode() in outcome.complaints


# -- PostgreSQL -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def postgres(home: Path) -> Iterator[None]:
    pytest.importorskip("pg8000")
    data = home / "postgres"
    data.mkdir()
    initdb, server = postgres_program("initdb"), postgres_program("postgres")
    user = as_user("postgres", data)
    command = [*user, initdb, "-D", str(data), "-A", "trust", "-U", "tester", "--no-sync"]
    outcome = run(*command, limit=60)
    assert outcome.status == 0, outcome.complaints.decode()
    cert, key = pair(data, "postgres" if user else None)
    settings = {
        "listen_addresses": own_address(), "fsync": "off", "ssl": "on", "ssl_cert_file": cert,
        "ssl_key_file": key,
    }  # fmt: skip
    options = [part for item in settings.items() for part in ("-c", "=".join(item))]
    ready = b"database system is ready to accept connections"
    with daemon(*user, server, "-D", str(data), "-k", str(data), *options, ready=ready):
        yield


@pytest.mark.usefixtures("postgres")
def test_pg8000(context: ssl.SSLContext) -> None:
    dbapi = pytest.importorskip("pg8000.dbapi")
    with monkey.patch(tls=True):
        connection = dbapi.connect(
            user="tester", database="postgres", host=own_address(), ssl_context=context, timeout=30
        )
        sock: Any = connection._usock
        assert isinstance(sock, gnet.Socket)
        assert sock.authorized
        cursor = connection.cursor()
        cursor.execute("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()")
        assert cursor.fetchone() == [True]
        cursor.execute("SELECT repeat('x', 1000000)")
        assert cursor.fetchone() == [LARGE]
        connection.close()


@pytest.mark.usefixtures("postgres")
def test_the_command_begins_tls_with_postgres() -> None:
    assert_begins_tls("postgres", 5432)


# -- MariaDB --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def mariadb(home: Path) -> Iterator[None]:
    pytest.importorskip("pymysql")
    data = home / "mariadb"
    data.mkdir()
    user = [f"--user={'root' if os.geteuid() == 0 else os.environ.get('USER', '')}"]
    settings = ["--no-defaults", f"--datadir={data}", *user]
    outcome = run(
        program("mariadb-install-db"), *settings, "--auth-root-authentication-method=normal",
        "--skip-test-db", limit=60,
    )  # fmt: skip
    assert outcome.status == 0, outcome.complaints.decode()
    cert, key = pair(home)
    options = [
        f"--bind-address={own_address()}", f"--socket={data / 'socket'}", "--skip-grant-tables",
        "--skip-name-resolve", f"--pid-file={data / 'pid'}", f"--ssl-cert={cert}",
        f"--ssl-key={key}", "--skip-networking=0",
    ]  # fmt: skip
    with daemon("mariadbd", *settings, *options, ready=b"ready for connections"):
        yield


@pytest.mark.usefixtures("mariadb")
def test_pymysql(context: ssl.SSLContext) -> None:
    pymysql = pytest.importorskip("pymysql")
    with monkey.patch(tls=True):
        connection = pymysql.connect(
            user="root", host=own_address(), ssl=context, read_timeout=30, write_timeout=30
        )
        sock: Any = connection._sock
        assert isinstance(sock, gnet.Socket)
        assert sock.authorized
        with connection, connection.cursor() as cursor:
            cursor.execute("SHOW STATUS LIKE 'Ssl_version'")
            assert cursor.fetchone() == ("Ssl_version", sock.version())
            cursor.execute("SELECT repeat('x', 1000000)")
            assert cursor.fetchone() == (LARGE,)
            connection.ping(reconnect=False)


@pytest.mark.usefixtures("mariadb")
def test_the_command_begins_tls_with_mysql() -> None:
    assert_begins_tls("mysql", 3306)


# -- Redis ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def redis_server(home: Path) -> Iterator[None]:
    pytest.importorskip("redis")
    cert, key = pair(home)
    options = {
        "port": "0", "tls-port": "6379", "bind": own_address(), "save": "", "dir": str(home),
        "tls-cert-file": cert, "tls-key-file": key, "tls-auth-clients": "no",
    }  # fmt: skip
    arguments = [part for name, value in options.items() for part in (f"--{name}", value)]
    with daemon("redis-server", *arguments, ready=b"eady to accept connections"):
        yield


@pytest.mark.usefixtures("redis_server")
def test_redis() -> None:
    redis = pytest.importorskip("redis")

    class Connection(redis.SSLConnection):  # type: ignore[misc, name-defined]
        def _connect(self) -> Any:
            # redis-py makes sockets itself, so it has to be given one.
            sock = gnet.connect(self.port, self.host, timeout=self.socket_timeout, no_delay=True)
            return self._wrap_socket_with_ssl(sock)

    with monkey.patch(tls=True), authority.authority().cert_pem.tempfile() as cafile:
        pool = redis.ConnectionPool(
            connection_class=Connection, host=own_address(), ssl_ca_certs=cafile, socket_timeout=30
        )
        client = redis.Redis(connection_pool=pool)
        assert client.set("key", LARGE)
        assert client.get("key") == LARGE.encode()
        (connection,) = pool._available_connections
        assert isinstance(connection._sock, gnet.Socket)
        assert connection._sock.authorized
        client.close()
        pool.disconnect()
