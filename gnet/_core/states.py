"""The states of a socket: four ladders, one table of what moves them, and what is done then.

* the **life** of the connection;
* **receiving**: how far the peer's end has come;
* **sending**: how far this end has come;
* the **owner**: who answers the peer's end, and hears of errors.

A socket has a rung of each, in small integers, and moves by :func:`step` alone. What it was told
decides with them: whether something is queued, whether it may stay half open. The table is read
row by row: each that fits adds its moves and its actions; the joint rules look at what comes of
that. The actions are methods of :class:`gnet._core.connection.Connection`, without the underscore.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

__all__ = [
    "CALLER",
    "CALLS",
    "CLOSED",
    "CONNECTING",
    "DISCARD",
    "ENDING",
    "END_MET",
    "END_TOLD",
    "EVENTS",
    "FAILED",
    "FINISH_TOLD",
    "FLOW",
    "HALF_OPEN",
    "HANDLER",
    "HASTY",
    "IDLE",
    "JOINT_RULES",
    "LADDERS",
    "LEFT",
    "LEFT_BY_CALLS",
    "LEFT_BY_HANDLER",
    "LISTENERS",
    "OPEN",
    "QUEUED",
    "READABLE",
    "SENT",
    "SHARED",
    "SHUT",
    "TABLE",
    "UNMADE",
    "UNREAD",
    "UNSETTLED",
    "UNTOLD",
    "UNWATCHED",
    "WAITING",
    "WRITABLE",
    "Row",
    "State",
    "learn",
    "methods",
    "step",
]

# The life: not connected; being connected; connected; over, and 'close' still to come; over.
IDLE, CONNECTING, OPEN, SHUT, CLOSED = range(5)

# Receiving: there has been no connection; the peer may send; its end was read; 'end' was emitted,
# though a listener of it may still block.
UNMADE, READABLE, END_MET, END_TOLD = range(4)

# Sending: the program may write; it has ended; everything is sent, and the end with it; 'finish'
# was emitted.
WRITABLE, ENDING, SENT, FINISH_TOLD = range(4)

# The owner: the listeners, as in Node; who makes blocking calls, and the same when one of them
# has met the peer's end; a handler, until it returns; who makes blocking calls, and has still to
# be told that the connection before this one was lost. Or nobody any more, by whom it was.
LISTENERS, CALLS, CALLER, HANDLER, UNTOLD, LEFT, LEFT_BY_CALLS, LEFT_BY_HANDLER = range(8)

# The read watcher is stopped; serves a blocked read, or looks for the peer's end while nobody
# reads; serves the listeners; or throws away what arrives after close(). Or there is none so far,
# as the connection has just come in, and its listeners are still to say what they want of it.
UNWATCHED, UNREAD, FLOW, DISCARD, UNSETTLED = range(5)

LADDERS = {
    "life": ("idle", "connecting", "open", "shut", "closed"),
    "receiving": ("unmade", "readable", "end met", "end told"),
    "sending": ("writable", "ending", "sent", "finish told"),
    "owner": (
        "listeners", "calls", "caller", "handler", "untold", "left", "left by calls",
        "left by handler",
    ),
}  # fmt: skip

# What else decides: something is queued; the socket may stay half open; what stands in the
# descriptor may be another's to read; it is to be destroyed when everything is sent; it has an
# error; it waits until it dials again.
QUEUED, HALF_OPEN, SHARED, HASTY, FAILED, WAITING = 1, 2, 4, 8, 16, 32
FACTS = {
    "queued": QUEUED, "half_open": HALF_OPEN, "shared": SHARED, "hasty": HASTY, "failed": FAILED,
    "waiting": WAITING,
}  # fmt: skip

_Rungs = int | tuple[int, ...]
# Where an event leads to, a rung of each ladder, and what is to be done, in order.
Step = tuple[int, int, int, int, tuple[str, ...]]


class State(NamedTuple):
    """A rung of each ladder, and the facts."""

    life: int
    receiving: int
    sending: int
    owner: int
    facts: int = 0


class Row(NamedTuple):
    """What events do in some of the states.

    :ivar events: their names.
    :ivar when: the rungs that a ladder must be at one of; ``True`` or ``False`` for a fact, and
        for ``over``: nothing is to be expected, or to be taken, from the peer any more.
    :ivar to: the rungs that are moved to.
    :ivar do: the actions.
    """

    events: str
    when: dict[str, _Rungs]
    to: dict[str, int]
    do: str = ""


when = to = dict

_ALIVE = (IDLE, CONNECTING, OPEN)
_USED = (LISTENERS, CALLS, CALLER, HANDLER, UNTOLD)
_GIVEN_UP = (LEFT, LEFT_BY_CALLS, LEFT_BY_HANDLER)
# Whose connection ends when its peer has.
_ENDING_BY_ITSELF = (LISTENERS, CALLS, UNTOLD, *_GIVEN_UP)
_ALL_SENT = (SENT, FINISH_TOLD)

TABLE: tuple[Row, ...] = (
    # -- the life -----------------------------------------------------------------------------
    Row("connect", when(life=IDLE), to(life=CONNECTING), "update_hold update_kept"),
    # A closed socket may dial again, as in Node.
    Row("connect", when(life=CLOSED),
        to(life=CONNECTING, receiving=UNMADE, sending=WRITABLE, owner=LISTENERS),
        "update_hold update_kept"),
    Row("connected", when(life=CONNECTING), to(life=OPEN, receiving=READABLE),
        "update_hold update_kept opened"),
    # end() was called before there was a connection to end.
    Row("connected", when(life=CONNECTING, sending=_ALL_SENT), to(), "send_end"),
    Row("connected", when(life=CONNECTING, sending=WRITABLE, queued=True), to(), "flush"),
    Row("connected", when(life=CONNECTING, sending=ENDING), to(), "flush"),
    Row("connected", when(life=CONNECTING), to(), "settle"),
    Row("adopt", when(life=IDLE), to(life=OPEN, receiving=READABLE), "update_hold"),
    Row("shut", when(life=CONNECTING, waiting=False), to(), "publish_failed"),
    Row("shut", when(life=OPEN), to(), "publish_closed"),
    Row("shut", when(life=_ALIVE), to(life=SHUT), "stop_timers release update_hold interrupt"),
    Row("shut", when(life=_ALIVE, failed=True), to(), "tell_error_later"),
    Row("shut", when(life=_ALIVE), to(), "tell_close_later"),
    Row("tell_close", when(life=SHUT), to(life=CLOSED), "deliver_close"),
    # A forked child has it, or its thread ends: nobody is told.
    Row("abandon", when(life=(*_ALIVE, SHUT)), to(life=CLOSED), "update_hold"),
    # -- receiving ----------------------------------------------------------------------------
    Row("without_reading", when(life=OPEN, receiving=READABLE), to(receiving=END_TOLD)),
    Row("meet_end caller_meets_end", when(life=OPEN, receiving=READABLE, owner=_USED),
        to(receiving=END_MET), "note_peer_end unwatch"),
    # What a blocking call has met is its caller's to answer.
    Row("caller_meets_end", when(life=OPEN, receiving=READABLE, owner=CALLS), to(owner=CALLER)),
    Row("meet_end caller_meets_end", when(life=OPEN, receiving=READABLE, owner=_GIVEN_UP),
        to(receiving=END_MET), "unwatch"),
    Row("meet_end caller_meets_end",
        when(life=OPEN, receiving=READABLE, owner=_GIVEN_UP, sending=_ALL_SENT),
        to(), "shut_later"),
    # Nobody listens to either end, so that nothing comes between the peer's and the close.
    Row("end_unheard",
        when(life=OPEN, receiving=READABLE, sending=WRITABLE, owner=LISTENERS, half_open=False,
             queued=False),
        to(life=SHUT, receiving=END_TOLD, sending=FINISH_TOLD),
        "publish_closed stop_timers release update_hold"),
    Row("return_unheard",
        when(life=OPEN, receiving=END_MET, sending=WRITABLE, owner=HANDLER, queued=False),
        to(life=SHUT, receiving=END_TOLD, sending=FINISH_TOLD, owner=LEFT_BY_HANDLER),
        "publish_closed stop_timers release update_hold"),
    # After close(): this end was sent before.
    Row("discard_unheard",
        when(life=OPEN, receiving=READABLE, sending=_ALL_SENT, owner=_GIVEN_UP, queued=False),
        to(life=SHUT, receiving=END_MET, sending=FINISH_TOLD),
        "publish_closed stop_timers release update_hold"),
    Row("tell_end", when(life=(OPEN, SHUT), receiving=END_MET),
        to(receiving=END_TOLD), "deliver_end"),
    # Both sides are over: the close itself sends the end, without a shutdown before it.
    Row("heard_end",
        when(life=OPEN, receiving=END_TOLD, sending=WRITABLE, owner=_ENDING_BY_ITSELF,
             half_open=False, queued=False),
        to(sending=SENT), "tell_finish"),
    Row("heard_end",
        when(life=OPEN, receiving=END_TOLD, sending=WRITABLE, owner=_ENDING_BY_ITSELF,
             half_open=False, queued=True),
        to(sending=ENDING), "take_corks flush"),
    # -- sending ------------------------------------------------------------------------------
    Row("without_writing", when(life=OPEN, sending=WRITABLE), to(sending=FINISH_TOLD)),
    Row("end", when(life=OPEN, sending=WRITABLE), to(sending=ENDING), "take_corks flush"),
    Row("end", when(life=CONNECTING, sending=WRITABLE, waiting=False),
        to(sending=ENDING), "take_corks"),
    Row("end", when(life=CONNECTING, waiting=True), to(), "shut"),
    Row("end", when(life=IDLE, sending=WRITABLE, queued=True), to(sending=ENDING), "take_corks"),
    # There is nothing to send, and nobody to send the end to: connect() may see to it.
    Row("end", when(life=IDLE, sending=WRITABLE, queued=False),
        to(sending=SENT), "take_corks tell_finish_later"),
    Row("all_sent", when(life=OPEN, sending=ENDING),
        to(sending=SENT), "send_end tell_finish_later"),
    Row("all_sent", when(life=OPEN, sending=ENDING, hasty=True), to(), "shut_later"),
    Row("all_sent", when(life=OPEN, sending=ENDING, hasty=False, owner=_GIVEN_UP, over=True),
        to(), "shut_later"),
    Row("all_sent", when(life=OPEN, sending=ENDING, hasty=False, owner=_GIVEN_UP, over=False),
        to(), "linger"),
    Row("tell_finish", when(life=_ALIVE, sending=SENT),
        to(sending=FINISH_TOLD), "deliver_finish"),
    Row("tell_finish", when(life=SHUT, sending=SENT, failed=False),
        to(sending=FINISH_TOLD), "deliver_finish"),
    # -- the owner ----------------------------------------------------------------------------
    Row("call", when(owner=LISTENERS), to(owner=CALLS), "update_kept"),
    Row("handle", when(owner=LISTENERS), to(owner=HANDLER)),
    # The next call hears that the former connection was lost, as none has yet.
    Row("owe_loss", when(life=CONNECTING, owner=CALLS), to(owner=UNTOLD)),
    Row("hear_loss", when(owner=UNTOLD), to(owner=CALLS)),
    # The handler has left the connection to its listeners.
    Row("unhandle", when(owner=HANDLER, receiving=(UNMADE, READABLE)), to(owner=CALLS)),
    Row("unhandle", when(owner=HANDLER, receiving=(END_MET, END_TOLD)),
        to(owner=CALLER)),
    Row("close abandon", when(life=_ALIVE, owner=LISTENERS), to(owner=LEFT)),
    Row("close abandon", when(life=_ALIVE, owner=(CALLS, CALLER, UNTOLD)),
        to(owner=LEFT_BY_CALLS)),
    Row("close abandon", when(life=_ALIVE, owner=HANDLER), to(owner=LEFT_BY_HANDLER)),
    Row("destroy", when(owner=LISTENERS), to(owner=LEFT)),
    Row("destroy", when(owner=(CALLS, CALLER, UNTOLD)), to(owner=LEFT_BY_CALLS)),
    Row("destroy", when(owner=HANDLER), to(owner=LEFT_BY_HANDLER)),
    # -- the end of a socket that its program has no more use for -----------------------------
    Row("close", when(life=IDLE), to(), "shut"),
    Row("close", when(life=CONNECTING, queued=False), to(), "shut"),
    Row("close", when(life=CONNECTING, queued=True, waiting=True), to(), "shut"),
    Row("close", when(life=CONNECTING, queued=True, waiting=False), to(), "interrupt update_hold"),
    Row("close", when(life=CONNECTING, queued=True, waiting=False, sending=WRITABLE),
        to(sending=ENDING), "take_corks"),
    Row("close", when(life=OPEN), to(), "interrupt"),
    Row("close", when(life=OPEN, sending=WRITABLE, queued=False, over=True),
        to(sending=SENT), "tell_finish_later shut"),
    Row("close", when(life=OPEN, sending=WRITABLE, queued=True, over=True),
        to(sending=ENDING), "update_hold update_kept take_corks flush rearm"),
    Row("close", when(life=OPEN, sending=WRITABLE, over=False),
        to(sending=ENDING), "update_hold update_kept take_corks flush rearm"),
    Row("close", when(life=OPEN, sending=ENDING), to(), "update_hold update_kept rearm"),
    Row("close", when(life=OPEN, sending=_ALL_SENT, over=True), to(),
        "update_hold update_kept rearm shut_later"),
    Row("close", when(life=OPEN, sending=_ALL_SENT, over=False), to(),
        "update_hold update_kept rearm linger"),
)  # fmt: skip

#: Rows for the state that the others have led to.
JOINT_RULES: tuple[Row, ...] = (
    # Both sides have ended, and everybody knows: so has the connection.
    Row("heard_end heard_finish", when(life=OPEN, receiving=END_TOLD, sending=FINISH_TOLD),
        to(), "shut"),
)  # fmt: skip

#: Everything that happens to a socket.
EVENTS = tuple(dict.fromkeys(name for row in TABLE + JOINT_RULES for name in row.events.split()))

_ROWS = {event: [row for row in TABLE if event in row.events.split()] for event in EVENTS}
_JOINT = {event: [row for row in JOINT_RULES if event in row.events.split()] for event in EVENTS}

# The steps that were taken so far: most sockets take the same few.
_steps: dict[str, dict[int, Step]] = {event: {} for event in EVENTS}


def step(event: str, life: int, receiving: int, sending: int, owner: int, facts: int) -> Step:
    """What an event does: where it leads to from a state, and what is to be done.

    :raises KeyError: there is no such event.
    """
    known = _steps[event]
    number = (((life * 4 + receiving) * 4 + sending) * 8 + owner) * 64 + facts
    found = known.get(number)
    if found is None:
        found = known[number] = _look_up(event, State(life, receiving, sending, owner, facts))
    return found


def _look_up(event: str, state: State) -> Step:
    rungs = state._asdict()
    actions: list[str] = []
    for row in _ROWS[event]:
        if fits(row, state):
            rungs.update(row.to)
            actions += row.do.split()
    state = State(**rungs)
    for row in _JOINT[event]:
        if fits(row, state):
            actions += row.do.split()
    methods = tuple(f"_{action}" for action in actions)
    return state.life, state.receiving, state.sending, state.owner, methods


def fits(row: Row, state: State) -> bool:
    """Whether a row is one for a state."""
    return all(_is_at(state, name, wanted) for name, wanted in row.when.items())


def _is_at(state: State, name: str, wanted: _Rungs) -> bool:
    if name == "over":
        return (state.receiving >= END_MET or bool(state.facts & SHARED)) is wanted
    if name in FACTS:
        return bool(state.facts & FACTS[name]) is wanted
    rung: int = getattr(state, name)
    return rung in wanted if isinstance(wanted, tuple) else rung == wanted


#: The actions that are methods of a connection. By the instance each would be looked up, and a
#: bound method be made of it, in every step.
methods: dict[str, Callable[[Any], object]] = {}


def learn(connection: type) -> None:
    """Know a class by its methods for the actions; a class on top of it may have others."""
    for action in {action for row in TABLE + JOINT_RULES for action in row.do.split()}:
        method = getattr(connection, f"_{action}", None)
        if method is not None:
            methods[f"_{action}"] = method
