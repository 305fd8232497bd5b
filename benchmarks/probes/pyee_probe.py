"""pyee's emitter: ``python pyee_probe.py emit SECONDS``."""

from __future__ import annotations

from pyee import EventEmitter
from rate import rate, report

emitter = EventEmitter()
emitter.on("data", lambda data: None)
report(rate(lambda: emitter.emit("data", b"x"), 100))
