"""What every message goes through: the modules that ``setup.py`` compiles, all of them.

What is compiled stands beside its source, and Python takes it ahead of that; not where the
environment has ``GNET_PURE=1``. Each source is all there is to it: compiled or not, it does the
same. A ``.pxd`` of the same name says what its classes hold.
"""

from __future__ import annotations

import os
import sys
from importlib.machinery import (
    BYTECODE_SUFFIXES,
    SOURCE_SUFFIXES,
    FileFinder,
    SourceFileLoader,
    SourcelessFileLoader,
)

__all__: list[str] = []

if os.environ.get("GNET_PURE", "0") not in ("", "0"):
    for _number, _place in enumerate(__path__):
        # In an archive there is nothing compiled.
        if os.path.isdir(_place):
            __path__[_number] = _place = os.path.abspath(_place)
            sys.path_importer_cache[_place] = FileFinder(
                _place,
                (SourceFileLoader, SOURCE_SUFFIXES),
                (SourcelessFileLoader, BYTECODE_SUFFIXES),
            )
