"""Says what is wrong where another distribution's files lie among gnet's.

The index has a "gNet", a library of neural networks. Where a file system ignores case (macOS,
Windows) both packages are one folder, and whichever was installed last has overwritten files of
the other one.
"""

from __future__ import annotations

import os

__all__ = ["check"]

# A module of that distribution's, and none of ours.
_ITS_MODULE = "neuralnetwork.py"


def check(folder: str) -> None:
    """Look for the other distribution in the folder of a package.

    :raises ImportError: its files are there.
    """
    if os.path.exists(os.path.join(folder, _ITS_MODULE)):
        raise ImportError(
            f"{folder} holds two distributions, gevent-net and gNet, since this file system does "
            "not tell the names of their packages apart. Uninstall both of them, then install "
            "the one that you want: python -m pip install gevent-net"
        )


check(os.path.dirname(os.path.dirname(__file__)))
