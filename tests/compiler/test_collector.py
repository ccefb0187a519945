"""Fewer collections inside, and the thresholds of before after it, whatever happens."""

import gc

import pytest

from edgec.compiler.collector import RARELY, rare_collections


def test_thresholds_are_restored() -> None:
    before = gc.get_threshold()
    with pytest.raises(ValueError, match="bad model"), rare_collections():
        assert gc.get_threshold() == (RARELY * before[0], *before[1:])
        raise ValueError("bad model")
    assert gc.get_threshold() == before
