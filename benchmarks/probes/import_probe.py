"""How long an import takes: ``python import_probe.py MODULE import SECONDS``."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from statistics import median

#: Twisted's own package is empty: whoever serves with it imports a reactor.
WHOLE = {"twisted": "twisted.internet.reactor"}

PROGRAM = """
import time
began = time.perf_counter()
import {}
print(time.perf_counter() - began)
"""


def once(module: str, compiled: str) -> float:
    """Milliseconds in an interpreter of its own, whose start does not count.

    :param compiled: the folder of the compiled modules.
    """
    environment = {**os.environ, "PYTHONPYCACHEPREFIX": compiled, "PYTHONDONTWRITEBYTECODE": ""}
    command = [sys.executable, "-c", PROGRAM.format(module)]
    done = subprocess.run(command, capture_output=True, check=True, env=environment)
    return 1000 * float(done.stdout)


module = WHOLE.get(sys.argv[1], sys.argv[1])
with tempfile.TemporaryDirectory() as compiled:
    once(module, compiled)  # reads the files from the disk, and compiles them
    end = time.perf_counter() + float(sys.argv[-1])
    times = [once(module, compiled)]
    while time.perf_counter() < end:
        times.append(once(module, compiled))
print(json.dumps({"milliseconds": median(times), "times": len(times)}))
