"""What the gates are: the numbers that may not grow, and each exception with its reason."""

from __future__ import annotations

__all__ = [
    "CALLS",
    "CHURN_INSTRUCTIONS",
    "ECHO_INSTRUCTIONS",
    "FLOORS",
    "IDLE_BLOCKING_FACTOR",
    "IDLE_EVENT_BYTES",
    "IMPORTED_MODULES",
    "LINES",
    "LONG_MODULES",
    "RETURNS",
    "foreign",
]

#: Lines of a module, unless it is one of :data:`LONG_MODULES`.
LINES = 400
FLOORS = 12

#: Instructions of a 1 KB message at ten connections, and of a connection with one message.
ECHO_INSTRUCTIONS = 3_700
CHURN_INSTRUCTIONS = 85_000

#: Bytes that an idle connection holds in event style, and what it may hold in blocking style for
#: each byte of gevent's. The allocator's arenas and the growth of tables are up to a hundred bytes
#: of it, which move with any change and with what else the machine does.
IDLE_EVENT_BYTES = 1_400
IDLE_BLOCKING_FACTOR = 1.00

#: Calls of gnet's own functions until the listener's.
CALLS = {"accept": 25, "reset": 50, "connect": 126}
#: How often such a way may come back to a file that it has left.
RETURNS = {"accept": 2, "reset": 5, "connect": 11}

#: Modules of gnet that ``import gnet`` imports.
IMPORTED_MODULES = 112

# Why a module is longer.
_DOCSTRINGS = "the docstrings of a public class"
_STREAM = "one part of the stream, whose parts are still floors of one tower"

LONG_MODULES = {
    "errors.py": (410, _DOCSTRINGS),
    "_core/block_list.py": (520, _DOCSTRINGS),
    "_core/connection.py": (421, _STREAM),
    "_core/dispatcher.py": (426, _STREAM),
    "_server/server.py": (930, _DOCSTRINGS),
    "_socket/socket.py": (620, _DOCSTRINGS),
}

_LIFE = "what becomes of a connection is decided here, of which no program is told"
_PYTHONS = "Python's own, documented or without another name"
_GEVENTS = "gevent has no other name for it"
_COUNTS = "what connections have counted, where all of them are added up"
_BACK = "a part that asks the connection that has it"

# Private names of other objects.
_OTHERS = {
    "_core/connection.py": (3, "what a connection tells its server"),
    "_core/host.py": (1, "what a connection tells its server"),
    "_core/losing.py": (1, _BACK),
    "_core/pipe.py": (23, "two connections of one class, and a destination that need not be one"),
    "_core/tally.py": (4, _COUNTS),
    "_core/tls_engine.py": (2, "what ssl.SSLObject wraps, and gevent's name for such a socket"),
    "_core/waiting.py": (1, "what a connection tells its server"),
    "_core/watchdog.py": (3, _BACK),
    "_loop/thread_pools.py": (4, _GEVENTS),
    "_server/accepted.py": (3, "who takes a connection makes blocking calls"),
    "_server/after_fork.py": (6, _LIFE),
    "_server/at_exit.py": (20, _LIFE),
    "_server/counted.py": (2, _COUNTS),
    "_server/handover.py": (2, "a part of the server, in a file of its own to be imported late"),
    "_core/noted.py": (1, "whose the greenlet is that goes on"),
    "_core/reading.py": (1, "whether the next reader's connection is still open"),
    "_core/reception.py": (10, "the connections that the server has made"),
    "_core/runners.py": (12, "the connections whose listeners run"),
    "_server/server.py": (3, "the connections that the server has made"),
    "_server/threads.py": (8, _LIFE),
    "_sight/living.py": (2, "the connections that a server has, with no copy made of the set"),
    "_sight/measures.py": (2, _COUNTS),
    "_socket/dial.py": (3, _BACK),
    "_socket/facts.py": (1, "which greenlet the server runs its listeners in"),
    "_socket/relay.py": (32, "two connections, each of which has what the other sends"),
    "_socket/makefile.py": (6, _BACK),
    "_socket/pool.py": (5, "whether a connection may be lent again, and its end with files open"),
    "_socket/text_file.py": (1, _PYTHONS),
    "_socket/upgrade.py": (19, _BACK),
    "_values/encodings.py": (1, _PYTHONS),
    "cli/completion.py": (3, "argparse has no other name for its actions"),
    "cluster/this_worker.py": (1, "the worker's servers stop when it is told to"),
    "dns/nameserver.py": (1, "what a stream of dnspython's has for its socket"),
    "live/census.py": (3, "what a list tells of each of very many connections, and its greenlet"),
    "logging.py": (1, "where a server that has closed did listen"),
    "metrics.py": (4, "a server that is in no count, and prometheus_client's own filter"),
    "monkey/secure.py": (5, "start_tls() waits here, and a poll looks at the transport"),
    "testing.py": (1, "a socket over a transport of the test's own"),
    "wsgi/handler.py": (3, "the handler of the connection that it has"),
    "wsgi/stall.py": (1, _PYTHONS),
}

# Private names of the same object, by a base class of another file.
_INHERITED = {
    "_core/connection.py": (36, _STREAM),
    "_core/departure.py": (16, _STREAM),
    "_core/flowing.py": (80, _STREAM),
    "_core/held.py": (1, "the emitter's own way to emit, which super() looks up each time"),
    "_core/host.py": (14, _STREAM),
    "_core/inbound.py": (47, _STREAM),
    "_core/losing.py": (48, _STREAM),
    "_core/reading.py": (76, _STREAM),
    "_core/sending.py": (81, _STREAM),
    "_core/tls_wire.py": (33, "a transport, and under it the library that encrypts"),
    "_core/waiting.py": (19, _STREAM),
    "_core/writing.py": (78, _STREAM),
    "_server/counted.py": (6, "the hooks of what belongs to a thread"),
    "_server/server.py": (23, "the hooks of what holds the program and belongs to a thread"),
    "_socket/contest.py": (3, "a connector whose attempts are connectors"),
    "_socket/descriptors.py": (9, _STREAM),
    "_socket/dialling.py": (56, _STREAM),
    "_socket/facts.py": (51, _STREAM),
    "_socket/framing.py": (27, _STREAM),
    "_socket/messages.py": (30, _STREAM),
    "_socket/python_calls.py": (55, _STREAM),
    "_socket/socket.py": (36, _STREAM),
    "_socket/tls_calls.py": (39, _STREAM),
    "_transport/stream_socket.py": (1, "the method of Python's own class that accepts"),
    "live/uncounted.py": (3, "a server that is one, and not one that has one"),
    "monkey/secure.py": (9, "what a poll of the descriptor does not see of the connection"),
    "wsgi/__init__.py": (6, "a server that is one, and not one that has one"),
}


def foreign(inherited: bool) -> dict[str, tuple[int, str]]:
    """How many accesses to private names a module may have, and why.

    :param inherited: those of the same object, by a base class of another file; otherwise those
        of other objects.
    """
    return _INHERITED if inherited else _OTHERS
