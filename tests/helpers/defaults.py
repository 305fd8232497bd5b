"""The defaults of the whole process, put back after a test."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import gnet


@contextmanager
def keeping_defaults() -> Iterator[None]:
    """Have the defaults of family selection in the end as they are now."""
    select = gnet.get_default_auto_select_family()
    seconds = gnet.get_default_auto_select_family_attempt_timeout()
    try:
        yield
    finally:
        gnet.set_default_auto_select_family(select)
        gnet.set_default_auto_select_family_attempt_timeout(seconds)
