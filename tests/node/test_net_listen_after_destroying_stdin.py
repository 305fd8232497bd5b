"""A program without a standard input, whose next descriptor is 0, can serve."""

from __future__ import annotations

from pathlib import Path

from tests.helpers.peers import python, run

SCRIPT = """
import os, sys
sys.path.insert(0, sys.argv[1])
import gnet

os.close(0)
server = gnet.create_server(lambda sock: sock.end("welcome", callback=ended))
server.on("close", lambda: print("closed"))

def ended(error):
    print("ended", error)
    server.close()

server.listen(0, "127.0.0.1")
client = gnet.connect(server.address().port, "127.0.0.1")
client.on("data", lambda data: print(data.decode()))
assert gnet.run(5)
"""

ROOT = str(Path(__file__).parents[2])


def test_descriptor_0_is_as_good_as_another() -> None:
    outcome = run(*python(SCRIPT, ROOT))
    assert outcome.complaints == b""
    assert outcome.status == 0
    lines = outcome.output.decode().splitlines()
    assert sorted(lines) == ["closed", "ended None", "welcome"]
    assert lines[-1] == "closed"
