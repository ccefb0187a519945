"""Bounds of computed integers."""

import pytest

from edgec.compiler.ir.expr import In, call
from edgec.compiler.ir.graph import Value
from edgec.compiler.ir.types import TensorType
from edgec.compiler.ops.builder import Builder
from edgec.compiler.ops.intervals import Interval, interval_of


@pytest.mark.parametrize(("highest", "kept"), [(2**24, True), (2**24 + 3, False)])
def test_integers_that_floats_round_may_leave_their_bounds(highest: int, kept: bool) -> None:
    """2^24 + 3 lies half way between two floats, and becomes the larger one."""
    b, x = Builder(), Value("x", TensorType((1,), "int64"))
    limited = b.map(call("max", call("min", In(0), highest), 0), x)
    back = b.map(call("cast", call("cast", In(0), dtype="float32"), dtype="int64"), limited)
    assert interval_of(limited, {}) == Interval(0, highest)
    assert (interval_of(back, {}) == Interval(0, highest)) == kept
