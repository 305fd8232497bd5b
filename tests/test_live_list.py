"""Very many connections in a list, in short; ``python -m tests.live_list`` is the long form."""

from __future__ import annotations

import pytest

from tests import live_list


@pytest.mark.limit(60)
def test_a_list_is_whole_and_in_pieces_and_an_echo_goes_on_beside_it() -> None:
    report = live_list.run(300, 3, 300)
    assert report.rows == {301}
    assert len(report.lists) == 3
    assert max(report.lists) < 1
    # Whoever made the list in one go, or without a turn of the loop, would hold the echo up.
    assert len(report.beside) == 300
    text = "\n".join(report.lines())
    assert "301 connections, 3 lists" in text
    assert text.count("99.9th percentile") == 2
