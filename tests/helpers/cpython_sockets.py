"""CPython's own tests of its sockets, with one end of each connection a socket of gnet's.

    python cpython_sockets.py END [NAME ...]

``END`` is ``client``, ``server`` or ``neither``: whose sockets are replaced. With names, only the
tests of these are run, else all that are not left out. Printed is JSON: the outcome (``ok``,
``failed``, ``skipped``) of each test by its name.
"""

from gevent import monkey

monkey.patch_all()

# ruff: noqa: E402
import gc
import json
import os
import sys
import tempfile
import time
import types
import unittest
import warnings
from pathlib import Path

import gevent

sys.path.insert(0, str(Path(__file__).parents[2]))

import gnet

# Seconds for a test. The longest sleeps for three, and a busy machine takes several times as long.
LIMIT = 20.0

CLASSES = [
    "BasicTCPTest",
    "BasicTCPTest2",
    "BufferIOTest",
    "TCPCloserTest",
    "BasicSocketPairTest",
    "NonBlockingTCPTests",
    "FileObjectClassTestCase",
    "UnbufferedFileObjectClassTestCase",
    "LineBufferedFileObjectClassTestCase",
    "SmallBufferedFileObjectClassTestCase",
    "UnicodeReadFileObjectClassTestCase",
    "UnicodeWriteFileObjectClassTestCase",
    "UnicodeReadWriteFileObjectClassTestCase",
    "NetworkConnectionAttributesTest",
    "NetworkConnectionBehaviourTest",
    "TCPTimeoutTest",
    "ContextManagersTest",
    "SendmsgTCPTest",
    "RecvmsgTCPTest",
    "RecvmsgIntoTCPTest",
    "SendmsgUnixStreamTest",
    "RecvmsgUnixStreamTest",
    "RecvmsgIntoUnixStreamTest",
    "RecvmsgSCMRightsStreamTest",
    "RecvmsgIntoSCMRightsStreamTest",
    "SendfileUsingSendTest",
    "SendfileUsingSendfileTest",
    "SendRecvFdsTests",
]

# Not InterruptedSendTimeoutTest: with gevent, what a signal's handler raises may go to the hub.

# Tests that fail with gevent's own sockets, or here with Python's.
LEFT_OUT = {
    # A listening socket of gevent's never blocks.
    "NonBlockingTCPTests.testInitNonBlocking",
    "NonBlockingTCPTests.testSetBlocking",
    "NonBlockingTCPTests.testSetBlocking_overflow",
    # What is counted here are references to what stands for a socket.
    "UnbufferedFileObjectClassTestCase.testMakefileCloseSocketDestroy",
    # A signal's handler runs in the hub, and the greenlet that waits in accept() goes on waiting.
    "TCPTimeoutTest.testInterruptedTimeout",
}

END = sys.argv[1]


def import_tests():
    """The module of the tests; its threads are greenlets."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from test import test_socket
    return test_socket


tests = import_tests()
real = tests.socket


def replaced(plain):
    """The socket of gnet's that takes a connected one over."""
    timeout = plain.gettimeout()
    made = gnet.Socket(handle=plain, allow_half_open=True)
    made.settimeout(timeout)
    return made


class Either:
    """A socket of Python's, and of gnet's as soon as it is connected."""

    def __init__(self, *args, plain=None, **options):
        self.__dict__["target"] = plain if plain is not None else real.socket(*args, **options)

    def connect(self, address):
        self.target.connect(address)
        if END == "client" and self.target.type == real.SOCK_STREAM:
            self.__dict__["target"] = replaced(self.target)

    def accept(self):
        plain, address = self.target.accept()
        return Either(plain=replaced(plain) if END == "server" else plain), address

    def _sendfile_use_send(self, file, *args, **options):
        """The standard library has two ways to send a file; gnet chooses by itself."""
        is_gnets = isinstance(self.target, gnet.Socket)
        call = self.target.sendfile if is_gnets else self.target._sendfile_use_send
        return call(file, *args, **options)

    def _sendfile_use_sendfile(self, file, *args, **options):
        if not hasattr(file, "name"):
            raise real._GiveupOnSendfile("not a file of the system's")
        # gevent's own does without.
        return self._sendfile_use_send(file, *args, **options)

    def __getattr__(self, name):
        return getattr(self.target, name)

    def __setattr__(self, name, value):
        setattr(self.target, name, value)

    def __enter__(self):
        self.target.__enter__()
        return self

    def __exit__(self, *exc_info):
        return self.target.__exit__(*exc_info)


def socketpair(*args):
    here, there = real.socketpair(*args)
    return (
        Either(plain=replaced(here) if END == "server" else here),
        Either(plain=replaced(there) if END == "client" else there),
    )


def create_connection(*args, **options):
    plain = real.create_connection(*args, **options)
    return Either(plain=replaced(plain) if END == "client" else plain)


def fromfd(*args):
    return Either(plain=real.fromfd(*args))


class Outcomes(unittest.TestResult):
    """How each test has ended. What is not ``ok`` once stays so."""

    def __init__(self):
        super().__init__()
        self.by_name = {}

    def note(self, test, outcome):
        name = test.id().partition("test_socket.")[2]
        if self.by_name.get(name, "ok") == "ok":
            self.by_name[name] = outcome

    def addSuccess(self, test):
        self.note(test, "ok")

    def addFailure(self, test, err):
        self.note(test, "failed")
        sys.excepthook(*err)

    addError = addExpectedFailure = addFailure

    def addSkip(self, test, reason):
        self.note(test, "skipped")


def limited(case, outcomes):
    """Run a test; one that hangs has failed."""
    running = gevent.spawn(case.run, outcomes)
    running.join(LIMIT)
    if not running.ready():
        outcomes.note(case, "failed")
        running.kill(block=False)


def wanted(case, names):
    name = case.id().partition("test_socket.")[2]
    return name in names if names else name not in LEFT_OUT


def run_all(names):
    outcomes = Outcomes()
    for name in CLASSES:
        kind = getattr(tests, name)
        cases = unittest.defaultTestLoader.loadTestsFromTestCase(kind)
        cases = [case for case in cases if wanted(case, names)]
        if cases:
            kind.setUpClass()
            for case in cases:
                limited(case, outcomes)
            kind.tearDownClass()
    return outcomes.by_name


def main():
    # An idle thread would end after some seconds, and be missed or be one more: the tests count.
    gevent.config.threadpool_idle_task_timeout = 3600
    # One thread for look-ups, from the beginning. Of a larger pool a second one starts as soon as
    # the first, which has answered, is not yet back in the queue.
    threads = gevent.get_hub().threadpool
    threads.maxsize = 1
    threads.apply(int)
    shim = types.ModuleType("socket")
    shim.__dict__.update(vars(real))
    shim.__dict__.update(
        socket=Either, socketpair=socketpair, create_connection=create_connection, fromfd=fromfd
    )
    tests.socket = shim
    # They sleep for seconds, and long enough is half of that.
    tests.time = types.SimpleNamespace(**vars(time) | {"sleep": lambda s: time.sleep(s / 2)})
    # What a test leaves open is not what is looked at here.
    warnings.simplefilter("ignore")
    tests.setUpModule()
    # Each test collects garbage.
    gc.freeze()
    with tempfile.TemporaryDirectory() as folder:
        # The tests make files where they are.
        os.chdir(folder)
        outcomes = run_all(sys.argv[2:])
    print(json.dumps(outcomes, indent=1), flush=True)
    # What hung is not waited for.
    os._exit(0)


main()
