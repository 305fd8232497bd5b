"""Where the compiled modules of gnet are, if there are any.

``setup.py`` compiles what every message goes through, and puts it here: of ``gnet/_flowing.py``
for example the module ``gnet._flowing``. The first import of gnet puts this folder ahead of their
sources, unless the environment has ``GNET_PURE=1``.
"""

from __future__ import annotations

import os

from .. import __path__ as places

__all__: list[str] = []

if os.environ.get("GNET_PURE", "0") in ("", "0"):
    places.insert(0, os.path.dirname(__file__))
