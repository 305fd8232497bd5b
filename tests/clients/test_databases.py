"""Clients of databases, and of SSH, over a gnet socket: with the real servers.

The servers listen on Unix sockets, so that no port needs to be free; the clients do not mind.
"""

from __future__ import annotations

import glob
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

import gevent
import pytest
from gevent import subprocess

import gnet
from tests.clients.conftest import as_user, daemon
from tests.conftest import PATCHED
from tests.helpers.commands import gnet_server
from tests.helpers.peers import program, run
from tests.helpers.servers import place_at, serving

LARGE = "x" * 1_000_000


@pytest.fixture(scope="module")
def home() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="gnet-") as name:
        os.chmod(name, 0o755)
        yield Path(name)
    # Patched, os.close() closes when the loop has looked for events, which a timer makes it do.
    gevent.sleep(0.001)


# -- Redis ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def redis_path(home: Path) -> Iterator[str]:
    pytest.importorskip("redis")
    path = str(home / "redis")
    options = ["--port", "0", "--unixsocket", path, "--save", "", "--dir", str(home)]
    with daemon("redis-server", *options, ready=b"eady to accept connections"):
        yield path


@pytest.fixture
def redis_client(redis_path: str) -> Iterator[Any]:
    redis = pytest.importorskip("redis")

    class Connection(redis.Connection):  # type: ignore[misc, name-defined]
        def _connect(self) -> Any:
            return gnet.connect(redis_path, timeout=self.socket_connect_timeout)

        def can_read(self, timeout: float = 0) -> Any:
            # There is no timeout of zero; this one is over in the next turn of the loop.
            return super().can_read(timeout or 0.001)

    pool = redis.ConnectionPool(connection_class=Connection)
    client = redis.Redis(connection_pool=pool)
    yield client
    client.close()
    pool.disconnect()


def test_redis(redis_client: Any) -> None:
    assert redis_client.set("key", LARGE)
    assert redis_client.get("key") == LARGE.encode()
    with redis_client.pipeline() as pipeline:
        for number in range(1000):
            pipeline.rpush("list", number)
        pipeline.execute()
    assert redis_client.llen("list") == 1000


def test_redis_in_many_greenlets(redis_client: Any) -> None:
    counting = [gevent.spawn(redis_client.incr, "count") for _ in range(50)]
    gevent.joinall(counting, raise_error=True)
    assert redis_client.get("count") == b"50"


def test_redis_blocks_one_greenlet_only(redis_client: Any) -> None:
    waiting = gevent.spawn(redis_client.blpop, "queue", 5)
    redis_client.rpush("queue", "item")
    assert waiting.get() == (b"queue", b"item")


# -- memcached ------------------------------------------------------------------------------------


def test_pymemcache(directory: Path) -> None:
    pymemcache = pytest.importorskip("pymemcache")
    path = str(directory / "memcached")

    class Sockets:
        """The part of the module ``socket`` that pymemcache connects with."""

        AF_UNIX = 1
        SOCK_STREAM = 1

        @staticmethod
        def socket(*args: int) -> gnet.Socket:
            return gnet.Socket()

    command = ["memcached", "-vv", "-s", path, *(["-u", "root"] if os.geteuid() == 0 else [])]
    with daemon(*command, ready=b"server listening"):
        client = pymemcache.Client(path, socket_module=Sockets, timeout=5, connect_timeout=5)
        client.set("key", b"value" * 10_000)
        assert client.get("key") == b"value" * 10_000
        client.set_many({str(number): str(number) for number in range(100)})
        assert client.get_many(["1", "99"]) == {"1": b"1", "99": b"99"}
        client.close()


# -- PostgreSQL -----------------------------------------------------------------------------------


def postgres_program(name: str) -> str:
    found = sorted(glob.glob(f"/usr/lib/postgresql/*/bin/{name}"))
    return found[-1] if found else program(name)


@pytest.fixture(scope="module")
def postgres_path(home: Path) -> Iterator[str]:
    pytest.importorskip("pg8000")
    data = home / "postgres"
    data.mkdir()
    initdb, postgres = postgres_program("initdb"), postgres_program("postgres")
    user = as_user("postgres", data)
    command = [*user, initdb, "-D", str(data), "-A", "trust", "-U", "tester", "--no-sync"]
    outcome = run(*command, limit=60)
    assert outcome.status == 0, outcome.complaints.decode()
    options = ["-D", str(data), "-k", str(data), "-c", "listen_addresses=", "-c", "fsync=off"]
    ready = b"database system is ready to accept connections"
    with daemon(*user, postgres, *options, ready=ready):
        yield str(data / ".s.PGSQL.5432")


@pytest.mark.limit(90)
def test_pg8000(postgres_path: str) -> None:
    dbapi = pytest.importorskip("pg8000.dbapi")
    sock = gnet.connect(postgres_path)
    connection = dbapi.connect(user="tester", database="postgres", sock=sock)
    cursor = connection.cursor()
    cursor.execute("CREATE TABLE things (number int, name text)")
    cursor.executemany(
        "INSERT INTO things VALUES (%s, %s)", [(number, str(number)) for number in range(100)]
    )
    connection.commit()
    cursor.execute("SELECT sum(number), count(*) FROM things WHERE name <> %s", ("0",))
    assert cursor.fetchone() == [4950, 99]
    cursor.execute("SELECT repeat('x', 1000000)")
    assert cursor.fetchone() == [LARGE]
    connection.close()


@pytest.mark.limit(90)
def test_pg8000_waits_in_its_greenlet_only(postgres_path: str) -> None:
    native = pytest.importorskip("pg8000.native")

    def ask(sql: str) -> Any:
        sock = gnet.connect(postgres_path)
        connection = native.Connection("tester", database="postgres", sock=sock)
        try:
            return connection.run(sql)
        finally:
            connection.close()

    lock = "SELECT pg_advisory_lock(1), pg_sleep(0.05)"
    asking = [gevent.spawn(ask, lock) for _ in range(5)]
    gevent.joinall(asking, raise_error=True)


# -- MariaDB --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def mariadb_path(home: Path) -> Iterator[str]:
    pytest.importorskip("pymysql")
    data = home / "mariadb"
    data.mkdir()
    path = str(data / "socket")
    install = program("mariadb-install-db")
    user = [f"--user={'root' if os.geteuid() == 0 else os.environ.get('USER', '')}"]
    settings = ["--no-defaults", f"--datadir={data}", *user]
    outcome = run(
        install, *settings, "--auth-root-authentication-method=normal", "--skip-test-db", limit=60
    )
    assert outcome.status == 0, outcome.complaints.decode()
    options = ["--skip-networking", f"--socket={path}", f"--pid-file={data / 'pid'}"]
    with daemon("mariadbd", *settings, *options, ready=b"ready for connections"):
        yield path


@pytest.mark.limit(90)
def test_pymysql(mariadb_path: str) -> None:
    pymysql = pytest.importorskip("pymysql")
    connection = pymysql.connect(user="root", defer_connect=True, read_timeout=5, write_timeout=5)
    connection.connect(gnet.connect(mariadb_path))
    with connection, connection.cursor() as cursor:
        cursor.execute("CREATE DATABASE things")
        cursor.execute("CREATE TABLE things.things (number int, name text)")
        rows = [(number, str(number)) for number in range(100)]
        cursor.executemany("INSERT INTO things.things VALUES (%s, %s)", rows)
        cursor.execute("SELECT count(*) FROM things.things WHERE name <> %s", ("0",))
        assert cursor.fetchone() == (99,)
        cursor.execute("SELECT repeat('x', 1000000)")
        assert cursor.fetchone() == (LARGE,)
        connection.ping(reconnect=False)


@pytest.mark.limit(90)
def test_pymysql_waits_in_its_greenlet_only(mariadb_path: str) -> None:
    pymysql = pytest.importorskip("pymysql")

    def ask(sql: str) -> Any:
        connection = pymysql.connect(user="root", defer_connect=True)
        connection.connect(gnet.connect(mariadb_path))
        with connection, connection.cursor() as cursor:
            cursor.execute(sql)
            return cursor.fetchone()

    asking = [gevent.spawn(ask, "SELECT sleep(0.05)") for _ in range(5)]
    gevent.joinall(asking, raise_error=True)
    assert [each.get() for each in asking] == [(0,)] * 5


# -- over a pool ----------------------------------------------------------------------------------


def over_a_pool(
    pool: gnet.Pool, log_in: Callable[[gnet.Socket], Any], ask: Callable[[Any, int], Any]
) -> int:
    """Have twenty greenlets ask; gives how many logins that took."""
    clients: WeakKeyDictionary[gnet.Socket, Any] = WeakKeyDictionary()
    logins = 0

    def work(number: int) -> None:
        nonlocal logins
        with pool.connection() as sock:
            if sock not in clients:
                logins += 1
                clients[sock] = log_in(sock)
            assert ask(clients[sock], number) == number

    with pool:
        gevent.joinall([gevent.spawn(work, number) for number in range(20)], raise_error=True)
        assert pool.stats().opened == logins
    return logins


@pytest.mark.limit(90)
def test_pymysql_over_a_pool(mariadb_path: str) -> None:
    pymysql = pytest.importorskip("pymysql")

    def log_in(sock: gnet.Socket) -> Any:
        connection = pymysql.Connection(user="root", defer_connect=True)
        connection.connect(sock)
        return connection

    def ask(connection: Any, number: int) -> Any:
        with connection.cursor() as cursor:
            cursor.execute("SELECT %s", (number,))
            return cursor.fetchone()[0]

    assert over_a_pool(gnet.Pool(path=mariadb_path, size=3), log_in, ask) == 3


@pytest.mark.limit(90)
def test_pg8000_over_a_pool(postgres_path: str) -> None:
    native = pytest.importorskip("pg8000.native")

    def log_in(sock: gnet.Socket) -> Any:
        return native.Connection("tester", database="postgres", sock=sock)

    def ask(connection: Any, number: int) -> Any:
        return connection.run("SELECT CAST(:n AS int)", n=number)[0][0]

    assert over_a_pool(gnet.Pool(path=postgres_path, size=3), log_in, ask) == 3


# -- SSH ------------------------------------------------------------------------------------------


@pytest.fixture
def sshd(directory: Path) -> Iterator[gnet.Server]:
    """OpenSSH's server behind a gnet server: a process for each connection."""
    sshd = shutil.which("sshd", path=f"{os.environ['PATH']}:/usr/sbin")
    if sshd is None or os.geteuid() != 0:
        pytest.skip("this system has no sshd, or this user may not run it")
    os.makedirs("/run/sshd", mode=0o755, exist_ok=True)
    key = directory / "key"
    run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key))
    settings = {
        "HostKey": key, "AuthorizedKeysFile": f"{key}.pub", "StrictModes": "no", "UsePAM": "no",
        "PermitRootLogin": "yes", "PidFile": "none", "Subsystem": "sftp internal-sftp",
    }  # fmt: skip
    config = directory / "config"
    config.write_text("".join(f"{name} {value}\n" for name, value in settings.items()))
    processes = []

    def run_sshd(sock: gnet.Socket) -> None:
        fd = sock.detach()
        try:
            command = [sshd, "-i", "-e", "-f", str(config)]
            processes.append(
                subprocess.Popen(command, stdin=fd, stdout=fd, stderr=subprocess.DEVNULL)
            )
        finally:
            os.close(fd)

    with serving(run_sshd, end_on_return=True) as server:
        yield server
    for process in processes:
        process.terminate()
        process.wait()


@pytest.mark.limit(60)
@pytest.mark.skipif(not PATCHED, reason="paramiko reads in a thread, which has to be a greenlet")
def test_paramiko(sshd: gnet.Server, directory: Path) -> None:
    paramiko = pytest.importorskip("paramiko")
    key = paramiko.Ed25519Key.from_private_key_file(str(directory / "key"))
    with paramiko.SSHClient() as client:
        client.set_missing_host_key_policy(paramiko.AutoAddPolicy())
        options = {"pkey": key, "allow_agent": False, "look_for_keys": False}
        sock = gnet.connect(*place_at(sshd))
        client.connect("some.name", username="root", sock=sock, **options)
        _, output, _ = client.exec_command("echo hello")
        assert output.read() == b"hello\n"
        with client.open_sftp() as sftp:
            with sftp.open(str(directory / "large"), "w") as file:
                file.write(LARGE)
            with sftp.open(str(directory / "large")) as file:
                file.prefetch()
                assert file.read() == LARGE.encode()


# -- their own benchmarks, through the proxy of the command ---------------------------------------


@pytest.mark.limit(60)
def test_redis_benchmark_through_the_proxy(redis_path: str) -> None:
    benchmark = program("redis-benchmark")
    with gnet_server("proxy", "127.0.0.1:0", f"unix:{redis_path}") as (_, place):
        outcome = run(
            benchmark, "-p", str(place[0]), "-n", "2000", "-c", "20", "-t", "set,get", "-q",
            limit=50,
        )  # fmt: skip
    assert outcome.status == 0, outcome
    assert b"SET:" in outcome.output
    assert b"GET:" in outcome.output


@pytest.mark.limit(120)
def test_pgbench_through_the_proxy(postgres_path: str) -> None:
    pgbench = postgres_program("pgbench")
    with gnet_server("proxy", "127.0.0.1:0", f"unix:{postgres_path}") as (_, place):
        login = ["-h", "127.0.0.1", "-p", str(place[0]), "-U", "tester", "postgres"]
        made = run(pgbench, "-i", "-q", *login, limit=60)
        assert made.status == 0, made
        outcome = run(pgbench, "-c", "4", "-t", "50", *login, limit=60)
    assert outcome.status == 0, outcome
    assert b"number of failed transactions: 0" in outcome.output
