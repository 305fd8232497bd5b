"""What type checkers say of programs: of everything at once, of mistakes, of the documentation.

Functions of the documentation need no annotations; all else is as strict as mypy can be.
"""

from __future__ import annotations

import re
import shutil
import sys
import textwrap
from pathlib import Path

import pytest

from tests.helpers.peers import run
from tests.test_docs import DOCUMENTS, blocks

pytest.importorskip("mypy", reason="the linters' environment has it")

ROOT = Path(__file__).parent.parent
# A checker reads the standard library and gevent, too.
pytestmark = pytest.mark.limit(180)

PROGRAM = """
from __future__ import annotations

import gnet
from gnet import errors

server: gnet.Server = gnet.create_server(no_delay=True, max_connections=10)

@server.on("connection")
def connected(sock: gnet.Socket) -> None:
    sock.on("data", lambda data: sock.write(data.upper()))
    sock.on("error", lambda error: print(error.code, error.syscall))
    sock.once("close", lambda had_error: print(not had_error))

@server.on("drop")
def dropped(info: gnet.DropInfo) -> None:
    print(info.reason, info.remote_address)

server.listen(0, "127.0.0.1", reuse_port=False)
(client,) = server.wait("connection", timeout=5)
peer: str | None = client.remote_address

@client.on("data")
def received(text: str) -> None:
    print(text)

@client.once("error")
def failed(error: OSError) -> None:
    print(errors.code_of(error).lower())

with gnet.connect(server.port, "127.0.0.1", timeout=5, no_delay=True) as sock:
    sock.sendall(b"hello")
    chunk: bytes = sock.recv()
    ended: tuple[bool] = sock.wait("close")

count: int = gnet.serve(connected, 8124, max_connections=3, grace=1.0)
finished: bool = gnet.run(timeout=5)
"""

# Each line is an error for a checker.
MISTAKES = """\
server.on("conection", print)
server.wait("conection")
server.emit("conection")
sock.off("dta", print)
sock.on("close", lambda: None)
sock.on("connect", lambda argument: None)
gnet.connect(8124, no_dely=True)
gnet.connect(8124, no_delay=1.5)
gnet.create_server(maxConnections=3)
gnet.serve(print, 8124, spawn=4)
server.listen(0, reuse_prt=True)
wsgi.serve(application, 8124, max_headr_bytes=1)
wsgi.WSGIServer(application, end_on_return=False)
cluster.run(print, workers=2, grce=1.0)
testing.pair(handle=server)
sock.on("data")(needs_an_int)
"""


def mypy(directory: Path, *options: str) -> list[str]:
    """The errors that mypy finds in a folder's programs, one a line."""
    settings = directory / "mypy.ini"
    settings.write_text(
        f"[mypy]\nmypy_path = {ROOT}\ncache_dir = {directory / 'cache'}\n"
        "[mypy-gevent.*,zope.*,httptools.*]\nignore_missing_imports = True\n"
    )
    programs = sorted(map(str, directory.glob("*.py")))
    command = (sys.executable, "-m", "mypy", "--strict", "--config-file", str(settings))
    output, complaints, _ = run(*command, *options, *programs, limit=170)
    assert complaints == b""
    lines = output.decode().splitlines()
    return [line.removeprefix(f"{directory}/") for line in lines if ": error: " in line]


def test_a_program_that_uses_everything_passes(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(PROGRAM)
    assert mypy(tmp_path) == []


def mistaken(directory: Path) -> int:
    """Write the program of the mistakes; gives the line ahead of the first one."""
    start = textwrap.dedent("""\
        import gnet
        from gnet import cluster, testing, wsgi
        server = gnet.create_server()
        sock = gnet.Socket()
        def needs_an_int(number: int) -> None: ...
        def application(environ: object, start_response: object) -> list[bytes]: return []
        """)
    (directory / "mistakes.py").write_text(start + MISTAKES)
    return start.count("\n")


def test_each_mistake_is_an_error(tmp_path: Path) -> None:
    before = mistaken(tmp_path)
    found = {int(line.split(":")[1]) - before for line in mypy(tmp_path)}
    assert found == set(range(1, MISTAKES.count("\n") + 1))


def test_pyright_sees_the_same(tmp_path: Path) -> None:
    if shutil.which("pyright") is None:
        pytest.skip("this system has no pyright")
    before = mistaken(tmp_path)
    (tmp_path / "program.py").write_text(PROGRAM)
    (tmp_path / "pyrightconfig.json").write_text(f'{{"extraPaths": ["{ROOT}"]}}')
    command = ("pyright", "--pythonpath", sys.executable, "-p", str(tmp_path))
    output = run(*command, limit=170).output.decode()
    found = re.findall(r"/(\w+)\.py:(\d+):\d+ - error", output)
    assert {name for name, _ in found} == {"mistakes"}, output
    assert {int(line) - before for _, line in found} == set(range(1, MISTAKES.count("\n") + 1))


def test_the_examples_pass(tmp_path: Path) -> None:
    for path in (ROOT / "examples").glob("*.py"):
        shutil.copy(path, tmp_path)
    assert mypy(tmp_path) == []


def test_the_blocks_of_the_documentation_pass(tmp_path: Path) -> None:
    for document in DOCUMENTS:
        for block in blocks(document):
            if block.language == "python":
                name = re.sub(r"\W", "_", f"{document.relative_to(ROOT)}_{block.line}")
                (tmp_path / f"{name}.py").write_text(block.text, encoding="utf-8")
    untyped = ("defs", "calls", "decorators")
    options = (*(f"--allow-untyped-{each}" for each in untyped), "--allow-incomplete-defs")
    assert mypy(tmp_path, *options) == []
