"""The compiled core of gnet; ``pyproject.toml`` has all else of its packaging."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

try:
    from Cython.Build import cythonize
except ImportError:
    cythonize = None

ROOT = Path(__file__).resolve().parent

# What every message goes through.
CORE = ROOT / "gnet" / "_core"


def core() -> list[Extension]:
    """The modules to compile; none where that is impossible, or not wanted."""
    if (
        cythonize is None
        or os.environ.get("GNET_PURE", "0") not in ("", "0")
        # gnet/_transport/stream_socket.pxd has POSIX' calls, and CPython's structures.
        or sys.platform == "win32"
        or sys.implementation.name != "cpython"
    ):
        return []
    names = sorted(path.stem for path in CORE.glob("[!_]*.py"))
    # What is compiled stands beside its source, and Python takes it ahead of that.
    return [Extension(f"gnet._core.{name}", [f"gnet/_core/{name}.py"]) for name in names]


class BuildCore(build_ext):
    """Compiles all of the core; or, where something is missing for that, nothing."""

    def build_extensions(self) -> None:
        self._forget_the_gone()
        try:
            self._look_for_a_compiler()
            self._to_c()
            self.parallel = self.parallel or os.cpu_count()
            super().build_extensions()
        except Exception as exc:
            self._go_without(exc)

    def _forget_the_gone(self) -> None:
        """Remove what was compiled of modules that are gone: it could still be imported."""
        for path in CORE.glob("*.so"):
            if not path.with_name(path.name.partition(".")[0] + ".py").exists():
                path.unlink()

    def _look_for_a_compiler(self) -> None:
        probe = Path(self.build_temp, "probe.c")
        probe.parent.mkdir(parents=True, exist_ok=True)
        probe.write_text("#include <Python.h>\n", encoding="utf-8")
        self.compiler.compile([str(probe)], output_dir=self.build_temp)

    def _to_c(self) -> None:
        """Have Cython write the sources."""
        written = cythonize(
            core(),
            build_dir=self.build_temp,
            compiler_directives={
                "language_level": 3,
                "annotation_typing": False,
                # An object whose __init__ has not run has None where others have a Dispatcher.
                "nonecheck": True,
                # Half an object is none: see _held.
                "auto_pickle": False,
            },
        )
        sources = {extension.name: extension.sources for extension in written}
        for extension in self.extensions:
            extension.sources = sources[extension.name]
            extension.extra_compile_args = ["-O2", "-g0"]
            # The files are no larger, and a module is there a sixteenth sooner.
            extension.define_macros = [("CYTHON_COMPRESS_STRINGS", "0")]

    def _go_without(self, reason: Exception) -> None:
        print(f"gnet is installed without its compiled core: {reason}", file=sys.stderr)
        for extension in self.extensions:
            Path(self.get_ext_fullpath(extension.name)).unlink(missing_ok=True)
        self.extensions = []


setup(ext_modules=core(), cmdclass={"build_ext": BuildCore}, zip_safe=False)
