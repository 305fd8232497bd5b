"""A copy of a block list blocks what the original blocks."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable

import pytest

from gnet import BlockList


@pytest.mark.parametrize(
    "clone",
    [copy.deepcopy, lambda original: pickle.loads(pickle.dumps(original))],
    ids=["deepcopy", "pickle"],
)
def test_a_copy_blocks_the_same_addresses(clone: Callable[[BlockList], BlockList]) -> None:
    original = BlockList()
    original.add_address("123.123.123.123")

    copied = clone(original)

    assert copied is not original
    assert copied.rules == original.rules
    assert copied.check("123.123.123.123")
    assert not copied.check("123.123.123.124")


def test_a_copy_has_rules_of_its_own() -> None:
    original = BlockList()
    copied = copy.deepcopy(original)
    copied.add_address("123.123.123.124")

    assert copied.check("123.123.123.124")
    assert not original.check("123.123.123.124")
