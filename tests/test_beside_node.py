"""The short form of the requests beside Node; ``python -m tests.beside_node`` is the long one."""

from __future__ import annotations

import shutil

import pytest

from tests import beside_node


@pytest.mark.limit(60)
@pytest.mark.skipif(shutil.which("node") is None, reason="there is no Node")
def test_gnet_serves_no_request_that_node_refuses_and_both_see_the_same() -> None:
    done = beside_node.run(1000, seed=1)
    assert done.laxer == []
    assert done.different == []
