"""The tree is the architecture: rooms stand on rooms, and each file on those before it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

import gnet

PACKAGE = Path(gnet.__file__).parent

# The rooms from the ground up, and the files of each in the same order. A file of the package
# itself is a room of its own.
ROOMS = {
    "errors": "",
    "events": "",
    "_values": """
        __init__ namesake suggestions event_names arguments addresses packed bare block_rules
        publish report originals durations lookups stats weak_sets race encodings targets
        proxy_header client_hello tls_errors backoff buffers prefix token_buckets reconnect
    """,
    "dns": """
        counted libc names turns destinations records services hosts resolv_conf search wire answer
        cache nameserver questions settings resolver __init__
    """,
    "_transport": """
        __init__ windows.__init__ descriptors protocol watchers sigpipe wakeup memory file_thread
        file blocking_file windows.stream_socket stream_socket windows.completion
        windows.pipe_access windows.pipe_names windows.pipe_errors windows.pipe_wire
        windows.named_pipe tcp_options early_options unix_path binding bound_socket around
        fds_wire
    """,
    "_loop": """
        __init__ loops signals timers splicer abort_signal peer_watch thread_pools watched_file
        handshake farewell paced_wire
    """,
    "tls": "server_names sessions contexts folder certificates __init__",
    "_core": """
        __init__ address_table rule_store block_list emitter states outbox watchdog ledger
        noted dispatcher acceptor held host waiting sending out_file pipe writing on_read departure
        inbound flowing reading rare connection losing runners reception tally tls_watcher
        tls_sizes tls_engine tls_wire
    """,
    "_socket": """
        __init__ text_file makefile messages framing descriptors python_calls secure changing
        upgrade tls_names tls_calls facts options goals attempt lookup_errors dial services
        planning contest dialling socket relay creating pool
    """,
    "_processes": "__init__ neighbours kinds channel",
    "_server": """
        __init__ bind inherited handover connections accepted dropped entrance limits
        pacing proxy_gate tls_gate counted ending listen_request options server notify
        serve after_fork at_exit threads
    """,
    "_sight": "__init__ living lag sums process measures",
    "live": "folder uncounted others census watch requests control client table page __init__",
    "__init__": "",
    "testing": "",
    "cluster": """
        shared_listeners figures this_worker worker_process staff service options primary __init__
    """,
    "logging": "",
    "shared": "connections rule_set block_list rate __init__",
    "monkey": "settings functions lookups hubs connecting guards secure __init__",
    "wsgi": """
        refusal head intake body files response environ access stall threads handler options
        __init__
    """,
    "metrics": "",
    "cli": """
        place console output visible pace tunnel traffic streams copying child report version
        session talk arguments encryption starttls web scan connect listen lookup proxy wsgi
        program ps asker panes screen top live completion parser manual __init__
    """,
    "__main__": "",
}

ORDER = tuple(
    f"{room}.{file}" if file else room
    for room, files in ROOMS.items()
    for file in files.split() or [""]
)

# So many storeys the house may have, by the longest way down.
MAX_FLOORS = 12


@cache
def modules() -> frozenset[str]:
    """The names of the package's modules, below ``gnet``."""
    return frozenset(
        ".".join(path.relative_to(PACKAGE).with_suffix("").parts) for path in PACKAGE.rglob("*.py")
    )


@cache
def imports(name: str) -> frozenset[str]:
    """The package's modules that a module imports, anywhere in it and for whatever purpose."""
    source = PACKAGE.joinpath(*name.split(".")).with_suffix(".py").read_text(encoding="utf-8")
    found = set()
    for node in ast.walk(ast.parse(source)):
        found.update(_imported(node, name))
    return frozenset(found)


def _imported(node: ast.AST, importer: str) -> Iterator[str]:
    if isinstance(node, ast.ImportFrom):
        if node.level:
            package = importer.split(".")[: -node.level]
            base = ".".join(["gnet", *package, *filter(None, [node.module])])
        else:
            base = node.module or ""
        for alias in node.names:
            # The name of a module in a package, or a name in a module.
            yield from _module(f"{base}.{alias.name}") or _module(base)
    elif isinstance(node, ast.Import):
        for alias in node.names:
            yield from _module(alias.name)


def _module(name: str) -> list[str]:
    """The module of a dotted name; a package's is its ``__init__``."""
    if name.partition(".")[0] != "gnet":
        return []
    inner = name.partition(".")[2]
    return [each for each in (inner, f"{inner}.__init__".lstrip(".")) if each in modules()]


def room_of(name: str) -> str:
    """The folder of the package that a module is in; or its own name, where it is in none."""
    return name.partition(".")[0]


def room_imports(room: str) -> set[str]:
    """The rooms that the files of a room import."""
    names = (name for name in ORDER if room_of(name) == room)
    return {room_of(other) for name in names for other in imports(name)} - {room}


@cache
def floor(room: str) -> int:
    """How many storeys up a room is: one more than the highest of those that it stands on."""
    return 1 + max(map(floor, room_imports(room)), default=0)


def test_every_module_has_its_place() -> None:
    assert sorted(ORDER) == sorted(modules())


@pytest.mark.parametrize("name", ORDER)
def test_a_module_imports_only_those_before_it(name: str) -> None:
    assert imports(name) <= set(ORDER[: ORDER.index(name)])


def test_the_rooms_have_few_floors() -> None:
    assert max(map(floor, ROOMS)) <= MAX_FLOORS


def test_the_picture_in_the_docs_has_every_room_on_its_floor() -> None:
    text = (PACKAGE.parent / "docs" / "architecture.rst").read_text(encoding="utf-8")
    rows = re.findall(r"^ {4,5}(\d+)  (\S.*)$", text, re.MULTILINE)
    drawn = {room: int(number) for number, rooms in rows for room in rooms.split()}
    assert drawn == {room: floor(room) for room in ROOMS}


def test_a_package_has_the_underscore_and_its_files_have_none() -> None:
    inside = [file for files in ROOMS.values() for file in files.replace(".", " ").split()]
    assert [file for file in inside if file.startswith("_") and file != "__init__"] == []
    files = [room for room, files in ROOMS.items() if not files]
    assert [file for file in files if file.startswith("_") and not file.endswith("__")] == []
