"""Objects without the dictionary that they may never need."""

from __future__ import annotations

__all__ = ["forget_dict"]


def forget_dict(made: object) -> None:
    """Nothing: Python gives an object a dictionary when it gets its first attribute of its own.

    What is compiled has that of the ``.pxd`` beside instead.
    """
