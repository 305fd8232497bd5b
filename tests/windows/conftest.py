"""What is Windows' own: named pipes, and what of gnet is different there."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from uuid import uuid4

import pytest

if sys.platform == "win32":
    import _winapi
    from collections.abc import Callable
    from typing import Any

    import gevent

    from gnet._transport.windows import completion
else:
    # The modules of the tests, and what they test, can be imported nowhere else.
    collect_ignore_glob = ["test_*.py"]


@pytest.fixture
def name() -> str:
    """The path of a named pipe that nobody serves."""
    return rf"\\.\pipe\gnet-test-{uuid4()}"


if sys.platform == "win32":

    @pytest.fixture(autouse=True)
    def handles(monkeypatch: pytest.MonkeyPatch) -> Iterator[set[int]]:
        """The handles that a test has open, which it has to close."""
        opened: set[int] = set()
        close = _winapi.CloseHandle

        def opening(function: Callable[..., int]) -> Callable[..., int]:
            def opened_by(*args: Any) -> int:
                handle = function(*args)
                opened.add(handle)
                return handle

            return opened_by

        def closing(handle: int) -> None:
            opened.discard(handle)
            close(handle)

        for function in ("CreateFile", "CreateNamedPipe"):
            monkeypatch.setattr(_winapi, function, opening(getattr(_winapi, function)))
        monkeypatch.setattr(_winapi, "CloseHandle", closing)
        yield opened
        soon(lambda: not opened, "handles are left open")

    @pytest.fixture(autouse=True)
    def thread() -> Iterator[None]:
        """The thread at the completion port ends with the last pipe."""
        yield
        soon(lambda: not any(map(_collects, sys._current_frames().values())), "a thread goes on")

    def _collects(frame: Any) -> bool:
        return frame.f_code is completion._collect.__code__

    def soon(condition: Callable[[], object], complaint: str) -> None:
        """Wait for what no event tells of."""
        with gevent.Timeout(5, AssertionError(complaint)):
            while not condition():
                gevent.sleep(0.001)
