"""What holds for every test: nothing dies unseen, nothing is left behind, nothing hangs.

The suite runs in three modes, chosen by the environment: plain; with ``GNET_TEST_PATCHED=1``
under ``gevent.monkey.patch_all()``; and with gevent's own ``GEVENT_LOOP=libuv-cffi``. Each runs
with the compiled core where there is one, and without it with gnet's ``GNET_PURE=1``.
"""

from __future__ import annotations

import os
import signal

PATCHED = os.environ.get("GNET_TEST_PATCHED") == "1"

if PATCHED:
    # Ahead of every import of a module that will be patched.
    from gevent import monkey

    monkey.patch_all()

import contextlib
import faulthandler
import gc
import sys
from collections.abc import Callable, Generator, Iterator
from typing import Any, TextIO

import gevent
import pytest
import zope.event
from gevent import subprocess
from gevent.exceptions import LoopExit
from hypothesis import settings

from gnet._core import flowing
from tests.helpers import windows
from tests.helpers.calls import Call, Calls
from tests.helpers.counts import Holdings

# Seconds for a test that does not say otherwise, for one of many examples, and for what it started
# to come to its end. The first of many examples in a new clone has hypothesis read the constants
# of all modules and the table of Unicode: three seconds of processor, in which nothing else runs.
TIME_LIMIT = 10.0
EXAMPLES_LIMIT = 60.0
SETTLING_LIMIT = 15.0
FAILED_SETTLING_LIMIT = 0.5
# And for the fixtures of a test before it, and again behind it.
FIXTURES_LIMIT = 60.0
# So long after its time limit a test that blocks the hub, and cannot be ended, ends the run.
HANG_MARGIN = 180.0
# How often the loop may run what is ready before it has to wait for an event.
TURNS = 10

# A time limit for each example would be one for the machine.
settings.register_profile("gnet", deadline=None)
settings.load_profile("gnet")

FAILED = pytest.StashKey[bool]()
TEARDOWN_TIMER = pytest.StashKey[Any]()
SKIPPED = pytest.StashKey[bool]()
STDERR = pytest.StashKey[TextIO]()

collect_ignore = list(windows.MODULES) if sys.platform == "win32" else []


def pytest_report_header() -> str:
    loop = type(gevent.get_hub().loop)
    form = "Python" if str(flowing.__file__).endswith(".py") else "compiled"
    return f"gevent: {loop.__module__}, {'patched' if PATCHED else 'not patched'}; gnet: {form}"


def pytest_configure(config: pytest.Config) -> None:
    # Nothing is captured yet: this is the terminal.
    config.stash[STDERR] = os.fdopen(os.dup(2), "w")


def pytest_unconfigure(config: pytest.Config) -> None:
    config.stash[STDERR].close()


def pytest_sessionstart() -> None:
    """Have gevent make what it makes once and keeps: threads of its pool, a child watcher."""
    gevent.get_hub().threadpool.apply(int)
    subprocess.call([sys.executable, "-c", ""])
    # A shell starts what runs in its background with SIGINT ignored, and children inherit that.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        reason = windows.reason_to_skip(item.nodeid)
        if reason is not None:
            item.add_marker(pytest.mark.skip(reason))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup() -> Generator[None, Any, Any]:
    with fixtures_limit():
        return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, Any, Any]:
    """End a test that hangs.

    The timer does not hold the loop: where nothing else does either, the hub raises LoopExit
    at once and the limit is not waited for.
    """
    with gevent.Timeout(limit_of(item), ref=False):
        return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item) -> Generator[None, Any, Any]:
    with fixtures_limit() as limit:
        item.stash[TEARDOWN_TIMER] = limit.timer
        return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, Any, Any]:
    """End the run when a test blocks the hub, where it stands."""
    faulthandler.dump_traceback_later(
        limit_of(item) + HANG_MARGIN, exit=True, file=item.config.stash[STDERR]
    )
    try:
        return (yield)
    finally:
        faulthandler.cancel_dump_traceback_later()


def fixtures_limit() -> gevent.Timeout:
    """For the fixtures of a test, either before or behind it."""
    # A plain Timeout would make pytest leave out the other fixtures, and go on.
    failure = pytest.fail.Exception(f"the fixtures took more than {FIXTURES_LIMIT} seconds")
    return gevent.Timeout(FIXTURES_LIMIT, failure, ref=False)


def limit_of(item: pytest.Item) -> float:
    """How long a test may run, in seconds."""
    marker = item.get_closest_marker("limit")
    otherwise = EXAMPLES_LIMIT if item.get_closest_marker("hypothesis") else TIME_LIMIT
    seconds: float = marker.args[0] if marker else otherwise
    return seconds * windows.SLOWNESS


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.failed:
        item.stash[FAILED] = True
    elif report.skipped and report.when == "call":
        # In its midst, by a helper: what it expected does not come, and is no news.
        item.stash[FAILED] = item.stash[SKIPPED] = True
    return report


@pytest.fixture(autouse=True)
def hub_errors(request: pytest.FixtureRequest) -> Iterator[list[BaseException]]:
    """The exceptions that nobody caught. Those that a test expects it has to clear."""
    hub = gevent.get_hub()
    seen: list[BaseException] = []
    report = hub.handle_error

    def handle_error(context: Any, kind: Any, value: Any, tb: Any) -> None:
        if issubclass(kind, hub.SYSTEM_ERROR):
            report(context, kind, value, tb)
        # The class's: a resolver of gevent's has added the errors of lookups to the hub's own,
        # as its pool of threads tells of each, whoever handles it. That one's context is a tuple.
        elif not issubclass(kind, type(hub).NOT_ERROR) and not (
            issubclass(kind, hub.NOT_ERROR) and isinstance(context, tuple)
        ):
            seen.append(value)

    hub.handle_error = handle_error
    try:
        yield seen
    finally:
        del hub.handle_error
    assert not seen or SKIPPED in request.node.stash, f"nobody caught {seen!r}"


@pytest.fixture
def must_call(request: pytest.FixtureRequest) -> Iterator[Calls]:
    """Makes callables that have to be called: ``must_call(function=None, times=1)``.

    :meth:`~tests.helpers.calls.Calls.wait` waits for all of them.
    """
    calls = Calls()
    yield calls
    if SKIPPED not in request.node.stash:
        calls.verify()


@pytest.fixture
def must_not_call(must_call: Calls) -> Callable[..., Call]:
    """Makes callables that have not to be called: ``must_not_call(name)``."""
    return must_call.never


@pytest.fixture(autouse=True)
def nothing_is_left(
    request: pytest.FixtureRequest, hub_errors: list[BaseException], must_call: Calls
) -> Iterator[None]:
    """A test leaves no descriptor, greenlet or active watcher, and nothing that holds run()."""
    # What is there by now, and no garbage, is out of sight of the scans for what is left.
    gc.collect()
    gc.freeze()
    before = Holdings()
    free = nothing_keeps_run(0)
    yield
    item = request.node
    lag = sys.modules.get("gnet._sight.lag")
    if lag is not None:
        # For some seconds after a look at it, by design.
        lag.rest(sys.modules["gnet._core.dispatcher"].dispatcher())
    if item.stash.get(FAILED, False):
        # It has said enough; the next test is spared what it has left.
        forget_failure()
        settle(before, FAILED_SETTLING_LIMIT, item.stash[TEARDOWN_TIMER])
        return
    left = settle(before, SETTLING_LIMIT, item.stash[TEARDOWN_TIMER])
    assert not left, "left behind:\n" + "\n".join(left)
    # A failed test's server may still keep it; that is not this one's fault.
    assert not free or nothing_keeps_run(SETTLING_LIMIT), "something keeps gnet.run()"


@pytest.fixture(autouse=True)
def subscribers() -> Iterator[None]:
    """A test's subscribers of zope.event end with it."""
    before = zope.event.subscribers[:]
    yield
    zope.event.subscribers[:] = before


def forget_failure() -> None:
    """Let go of the frames of a failed test, and of what is in them."""
    for name in ("last_exc", "last_type", "last_value", "last_traceback"):
        if hasattr(sys, name):
            delattr(sys, name)


def nothing_keeps_run(seconds: float) -> bool:
    """Whether ``gnet.run()`` would return, in so many seconds at the most."""
    gnet = sys.modules.get("gnet")
    return gnet is None or gnet.run(timeout=seconds)


def settle(before: Holdings, seconds: float, *own: object) -> list[str]:
    """Let what is ending end, then say what is still there.

    Every event of the loop is a chance. When none can come, that is the end; while one still
    can, the limit is waited for.

    :param own: watchers that are of the guards themselves.
    """
    limit = gevent.Timeout.start_new(seconds, False, ref=False)
    with limit, contextlib.suppress(LoopExit):
        while True:
            gc.collect()
            for _ in range(TURNS):
                if not before.changes(limit.timer, *own):
                    return []
                turn()
            await_event()
    return before.changes(*own)


def turn() -> None:
    """Have the loop run what is ready and look for events, without waiting for any.

    ``gevent.sleep(0)`` would do no more than the first, and what is to be done after a look, as
    the patched ``os.close`` of a directory, would be waited for in vain.
    """
    hub = gevent.get_hub()
    with hub.loop.timer(0) as now:
        hub.wait(now)


def await_event() -> None:
    """Block until the loop has looked for events; when something is ready, that is at once."""
    hub = gevent.get_hub()
    with hub.loop.check(ref=False) as looked:
        hub.wait(looked)
