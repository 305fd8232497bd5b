"""Misuse of gnet's objects, at random: a program that must end by itself, with status 0.

It makes objects that are not whole (by ``__new__``, half initialised, with attributes deleted or
set to what they never are, initialised twice, copied), and calls their public methods. Each call
may raise what it likes; the process must live, and other connections go on. To be run as
``python -m tests.helpers.misuse SEED COUNT``.
"""

from __future__ import annotations

import copy
import faulthandler
import gc
import inspect
import os
import pickle
import random
import sys
import tempfile
import warnings
from collections.abc import Callable
from typing import Any

import gevent
from gevent import socket

import gnet
from gnet._core.connection import Connection
from gnet._core.departure import Departure
from gnet._core.dispatcher import Dispatcher
from gnet._core.emitter import EventEmitter
from gnet._core.flowing import Flowing
from gnet._core.held import Held
from gnet._core.host import Host
from gnet._core.inbound import Inbound
from gnet._core.reading import Reading
from gnet._core.sending import Sending
from gnet._core.waiting import Waiting
from gnet._core.writing import Writing
from gnet._socket.python_calls import PythonSocket

#: Every class of the compiled core, from the first to the last; and the two that are public.
TOWER = [
    EventEmitter, Held, Host, Waiting, Sending, Writing, Departure, Inbound, Flowing, Reading,
    Connection, PythonSocket,
]  # fmt: skip
CLASSES = [*TOWER, gnet.Socket, gnet.Server, Dispatcher]

#: Whatever may stand where an argument is wanted.
ARGUMENTS: list[Any] = [
    None, 0, 1, -1, 65536, 2**20, 0.001, True, "data", "close", "utf-8", "hex", b"", b"bytes",
    bytearray(100), lambda *args: None, [], {}, ("127.0.0.1", 1), object(), OSError("x"),
]  # fmt: skip
#: What an attribute is set to.
VALUES: list[Any] = [None, None, None, 0, -1, True, "open", "closed", b"", [], {}, set(), object()]

# They take the process, or the whole of the loop, with them; or give away what must be closed.
PASSED_OVER = {"run", "detach", "abandon", "__class__", "__init_subclass__", "__subclasshook__"}
SPECIAL = (
    "__enter__", "__exit__", "__iter__", "__repr__", "__hash__", "__eq__", "__str__", "__init__",
    "__del__", "__copy__", "__reduce__", "__getstate__", "__sizeof__", "__dir__",
)  # fmt: skip

#: How long a call may block, in seconds.
LONGEST_CALL = 0.005


class Forgetful(gnet.Socket):
    """It forgets what a subclass owes its base."""

    def __init__(self, *args: Any) -> None:
        self.name = "no super().__init__()"


class Finalised(gnet.Socket):
    """Its ``__del__`` does not call its base's."""

    def __del__(self) -> None:
        pass


class Misuse:
    """One run of it.

    :param seed: the same one does the same again.
    """

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._server = gnet.create_server(lambda sock: sock.pipe(sock)).listen(0, "127.0.0.1")
        address = self._server.address()
        assert isinstance(address, gnet.AddressInfo)
        self._place = address.address, address.port
        self._accepted: list[gnet.Socket] = []
        self._server.on("connection", self._accepted.append)

    def run(self, count: int) -> None:
        """Misuse ``count`` objects."""
        for number in range(count):
            made = self._one()
            harm = self._random.choice((self._delete, self._set, self._again, self._nothing))
            harm(made)
            for name in self._random.choices(methods(type(made)), k=8):
                self._call(made, name)
                if self._random.random() < 0.2:
                    harm(made)
            self._copy(made)
            del made, harm
            self._accepted.clear()
            if number % 10 == 0:
                gc.collect()
            if number % 50 == 0:
                self.check()

    def check(self) -> None:
        """Others are not concerned."""
        with gevent.Timeout(10), socket.create_connection(self._place) as client:
            for _ in range(3):
                client.sendall(b"ping")
                assert client.recv(4, socket.MSG_WAITALL) == b"ping"

    def close(self) -> None:
        for sock in self._server.connections:
            attempt(sock.destroy)
        self._server.close()

    # -- objects --------------------------------------------------------------------------------

    def _one(self) -> Any:
        makers = (self._new, self._new, self._half, self._fresh, self._connected, self._served)
        return self._random.choice(makers)()

    def _new(self) -> Any:
        cls = self._random.choice([*CLASSES, Forgetful])
        return cls.__new__(cls)

    def _half(self) -> Any:
        cls = self._random.choice((gnet.Socket, gnet.Server))
        made: Any = cls.__new__(cls)
        # As if its own initialiser had raised in the midst of it.
        at = self._random.choice(TOWER if cls is gnet.Socket else TOWER[:2])
        at.__init__(made, *([gevent.get_hub().gnet_dispatcher] if issubclass(at, Held) else []))
        return made

    def _fresh(self) -> Any:
        return self._random.choice(
            (gnet.Socket, gnet.Server, Forgetful, Finalised, EventEmitter, self._dispatcher)
        )()

    def _dispatcher(self) -> Dispatcher:
        return Dispatcher(gevent.get_hub())

    def _connected(self) -> Any:
        sock = self._random.choice((gnet.Socket, Finalised))()
        sock.connect(self._place[1], self._place[0])
        if self._random.random() < 0.8:
            sock.wait("connect", 10)
        prepare = self._random.choice(
            (None, "pause", "resume", "cork", "listen", "fill", "blocked")
        )
        if prepare == "listen":
            sock.on("data", lambda data: None)
        elif prepare == "fill":
            sock.write(bytes(5_000_000))
        elif prepare == "blocked":
            gevent.spawn(sock.recv)
            gevent.sleep(0)
        elif prepare is not None:
            getattr(sock, prepare)()
        return sock

    def _served(self) -> Any:
        self._connected()
        return self._accepted[-1] if self._accepted else self._connected()

    # -- harm -----------------------------------------------------------------------------------

    def _nothing(self, made: Any) -> None:
        pass

    def _delete(self, made: Any) -> None:
        for name in self._some_slots(made):
            attempt(delattr, made, name)

    def _set(self, made: Any) -> None:
        for name in self._some_slots(made):
            attempt(setattr, made, name, self._random.choice(VALUES))

    def _some_slots(self, made: Any) -> list[str]:
        return self._random.choices(slots(type(made)), k=self._random.choice((1, 1, 2, 5)))

    def _again(self, made: Any) -> None:
        attempt(made.__init__)

    def _copy(self, made: Any) -> None:
        for copier in (copy.copy, copy.deepcopy, pickle.dumps):
            other = attempt(copier, made)
            # Nobody but an emitter, which is all there is to it, can be copied.
            assert other is None or not isinstance(made, Held | Dispatcher), made

    def _call(self, made: Any, name: str) -> None:
        found = attempt(getattr, made, name)
        if callable(found):
            attempt(
                found, *self._random.choices(ARGUMENTS, k=self._random.choice((0, 0, 1, 2, 3)))
            )


def attempt(function: Callable[..., Any], *args: Any) -> Any:
    """Call, and take what comes of it; ``None`` for an error."""
    try:
        with gevent.Timeout(LONGEST_CALL):
            return function(*args)
    except AssertionError:
        raise
    except BaseException:
        return None


def slots(cls: type) -> list[str]:
    """The attributes that instances of a class have."""
    names = [
        name
        for base in cls.__mro__
        for name, value in vars(base).items()
        if inspect.isgetsetdescriptor(value) or inspect.ismemberdescriptor(value)
    ]
    return [name for name in names if not name.startswith("__")]


def methods(cls: type) -> list[str]:
    """The names that a program can call, or read."""
    public = [name for name in dir(cls) if not name.startswith("_")]
    return [name for name in (*public, *SPECIAL) if hasattr(cls, name) and name not in PASSED_OVER]


def main(seed: int, count: int) -> None:
    # It is noisy: everything that is misused complains.
    warnings.simplefilter("ignore")
    sys.unraisablehook = lambda unraisable: None
    gevent.get_hub().handle_error = lambda *args: None
    with tempfile.TemporaryDirectory() as folder:
        # Some calls make files.
        os.chdir(folder)
        misuse = Misuse(seed)
        misuse.run(count)
        misuse.check()
        misuse.close()
    gc.collect()
    gevent.sleep(0.001)
    print("END", flush=True)


if __name__ == "__main__":
    faulthandler.dump_traceback_later(100, exit=True)
    main(int(sys.argv[1]), int(sys.argv[2]))
