"""The compiled core: the modules themselves, with what their classes hold declared for Cython."""

from __future__ import annotations

import ast
import importlib.util
import os
import re
import sys
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

import pytest

from tests.helpers.peers import Outcome, run

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "gnet"
CORE = PACKAGE / "_core"


def core() -> list[str]:
    """The modules that ``setup.py`` compiles."""
    return sorted(path.stem for path in CORE.glob("*.py") if path.stem != "__init__")


def built() -> list[Path]:
    """What was compiled for this interpreter."""
    return [*CORE.glob(f"*{EXTENSION_SUFFIXES[0]}")]


def declared(name: str) -> dict[tuple[str, str], list[str]]:
    """The classes of a ``.pxd``, each with its base: the names of what they hold."""
    found: dict[tuple[str, str], list[str]] = {}
    for line in (CORE / f"{name}.pxd").read_text(encoding="utf-8").splitlines():
        if match := re.fullmatch(r"cdef class (\w+)(?:\((\w+)\))?:", line):
            held = found[match[1], match[2] or ""] = []
        elif match := re.fullmatch(r"    cdef (?:public )?[\w ]+ (\w+)", line):
            held.append(match[1])
    return found


def slots(name: str) -> dict[tuple[str, str], list[str]]:
    """The same of a module's classes, by their ``__slots__``."""
    found = {}
    tree = ast.parse((CORE / f"{name}.py").read_text(encoding="utf-8"))
    for cls in tree.body:
        if isinstance(cls, ast.ClassDef):
            for node in cls.body:
                if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__slots__":
                    bases = ", ".join(map(ast.unparse, cls.bases))
                    found[cls.name, bases] = sorted(ast.literal_eval(node.value))
    return found


@pytest.mark.parametrize("name", sorted(path.stem for path in CORE.glob("*.pxd")))
def test_a_declaration_has_the_base_and_the_slots_of_its_class(name: str) -> None:
    declarations = declared(name)
    text = (CORE / f"{name}.pxd").read_text(encoding="utf-8")
    assert declarations or re.search(r"^cpdef [\w ]+\(", text, re.MULTILINE)
    in_source = slots(name)
    for place, held in declarations.items():
        assert sorted(held) == in_source[place]


def test_every_declaration_is_of_a_module_that_is_compiled() -> None:
    others = {path for path in PACKAGE.rglob("*.pxd") if path.parent != CORE}
    # Their functions become part of the modules that call them.
    assert others == {
        PACKAGE / "_transport" / "stream_socket.pxd",
        PACKAGE / "_values" / "bare.pxd",
        PACKAGE / "_values" / "packed.pxd",
    }
    assert {path.stem for path in CORE.glob("*.pxd")} <= {*core()}


def test_all_of_the_core_is_compiled_or_nothing() -> None:
    names = {path.name.partition(".")[0] for path in built()}
    assert names in (set(), set(core()))
    if os.environ.get("GNET_TEST_COMPILED") == "1":
        assert names


def test_what_is_compiled_is_newer_than_its_source() -> None:
    for path in built():
        for source in CORE.glob(f"{path.name.partition('.')[0]}.p*"):
            assert path.stat().st_mtime >= source.stat().st_mtime, (
                f"{source.name} was changed since it was compiled: pip install -e . again, "
                "or set GNET_PURE=1"
            )


def files() -> list[str]:
    """The names of the files from which a new interpreter has the modules of the core."""
    modules = ", ".join(f"gnet._core.{name}" for name in core())
    program = f"import sys; sys.path.insert(0, {str(ROOT)!r}); import {modules}; " + (
        "print(*(m.__file__ for name, m in sys.modules.items() if name.startswith('gnet._core.')))"
    )
    done = run(sys.executable, "-c", program)
    return sorted(Path(name).name for name in done.output.decode().split())


def test_gnet_pure_chooses_the_sources(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GNET_PURE", "1")
    assert files() == [f"{name}.py" for name in core()]


@pytest.mark.parametrize("setting", ["", "0"])
def test_what_is_compiled_is_used_unless_gnet_pure_says_otherwise(
    setting: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not built():
        pytest.skip("there is nothing to choose: gnet is not compiled here")
    monkeypatch.setenv("GNET_PURE", setting)
    assert files() == [name + EXTENSION_SUFFIXES[0] for name in core()]


@pytest.fixture
def build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Build:
    return Build(tmp_path, monkeypatch)


class Build:
    """A build in a folder of its own.

    :ivar monkeypatch: sets its environment.
    :ivar folder: where it may leave what it likes.
    """

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        for name in ("Cython", "setuptools"):
            if importlib.util.find_spec(name) is None:
                pytest.skip(f"setup.py cannot be run, or would not compile: there is no {name}")
        if sys.platform == "win32":
            pytest.skip("setup.py compiles nothing on Windows, whatever there is")
        self.folder = folder
        self.monkeypatch = monkeypatch
        monkeypatch.delenv("GNET_PURE", raising=False)
        monkeypatch.chdir(ROOT)

    def compiler(self, script: str) -> None:
        """Have a shell script for the compiler."""
        path = self.folder / "compiler"
        path.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
        path.chmod(0o755)
        self.monkeypatch.setenv("CC", str(path))

    def run(self) -> Outcome:
        out, temp = self.folder / "out", self.folder / "temp"
        return run(
            sys.executable, "setup.py", "-q", "build_ext",
            "--build-lib", str(out), "--build-temp", str(temp), limit=170,
        )  # fmt: skip

    def packed(self) -> list[str]:
        """The files that a source distribution has."""
        done = run(sys.executable, "setup.py", "-q", "egg_info", "-e", str(self.folder))
        assert done.status == 0, done.complaints
        listed = self.folder / "gevent_net.egg-info" / "SOURCES.txt"
        return listed.read_text(encoding="utf-8").splitlines()

    def made(self) -> list[str]:
        """The names of what it has compiled."""
        return sorted(path.name.partition(".")[0] for path in (self.folder / "out").rglob("*.so"))


def test_a_source_distribution_has_the_declarations_and_nothing_compiled(build: Build) -> None:
    packed = [name for name in build.packed() if name.startswith("gnet/")]
    declarations = {path.relative_to(ROOT).as_posix() for path in PACKAGE.rglob("*.pxd")}
    assert declarations <= set(packed)
    assert [name for name in packed if name.endswith(tuple(EXTENSION_SUFFIXES))] == []


# Makes whatever file it is told to make, and says nothing.
OBEDIENT = 'while [ "$1" != -o ]; do shift; done; : >"$2"'


@pytest.mark.limit(180)
def test_a_build_compiles_all_of_the_core(build: Build) -> None:
    build.compiler(OBEDIENT)
    done = build.run()
    assert (done.status, build.made()) == (0, sorted(core())), done.complaints


@pytest.mark.limit(180)
def test_a_build_that_fails_for_one_module_leaves_nothing_and_goes_without(build: Build) -> None:
    build.compiler(f'case "$*" in */writing*) exit 1; esac; {OBEDIENT}')
    done = build.run()
    assert (done.status, build.made()) == (0, [])
    assert b"gnet is installed without its compiled core" in done.complaints


@pytest.mark.limit(180)
def test_a_build_without_a_compiler_goes_without(build: Build) -> None:
    build.monkeypatch.setenv("CC", str(build.folder / "no-such-compiler"))
    done = build.run()
    assert (done.status, build.made()) == (0, [])
    assert b"gnet is installed without its compiled core" in done.complaints


@pytest.mark.limit(180)
def test_a_build_without_cython_goes_without(build: Build) -> None:
    (build.folder / "Cython").mkdir()
    (build.folder / "Cython" / "__init__.py").write_text("raise ImportError", encoding="utf-8")
    build.monkeypatch.setenv("PYTHONPATH", str(build.folder))
    build.compiler(OBEDIENT)
    done = build.run()
    assert (done.status, build.made()) == (0, []), done.complaints


@pytest.mark.limit(180)
def test_gnet_pure_builds_nothing(build: Build) -> None:
    build.monkeypatch.setenv("GNET_PURE", "1")
    build.compiler(OBEDIENT)
    done = build.run()
    assert (done.status, build.made()) == (0, []), done.complaints
