"""The harness sees what a kernel must not do."""

import numpy as np
import pytest

from edgec.compiler.kernels import gather, pool
from edgec.compiler.kernels.gather import GatherSpec
from edgec.compiler.kernels.pool import PoolSpec
from edgec.tests.kernel_harness import Array, Machine, on_machines, run_kernel

COPY_TWO_ROWS = {
    "extent": 2,
    "indices": 2,
    "tile_rows": 2,
    "chunks": 1,
    "x_outer": 0,
    "x_step": 4,
    "y_outer": 0,
}
ROWS: dict[str, Array] = {"x": np.zeros((2, 4), np.int8), "w": np.arange(2, dtype=np.int32)}


@on_machines
def test_writes_between_rows_are_seen(machine: Machine) -> None:
    y = np.ones((2, 6), np.int8)[:, :4]
    with pytest.raises(AssertionError, match="wrote between"):
        run_kernel(
            gather, GatherSpec("int32"), machine, {**ROWS, "y": y}, COPY_TWO_ROWS | {"row_bytes": 4, "y_step": 5}, 1
        )


@on_machines
def test_writes_behind_are_seen(machine: Machine) -> None:
    y = np.ones((2, 4), np.int8)
    with pytest.raises(AssertionError, match="ended with"):
        run_kernel(
            gather, GatherSpec("int32"), machine, {**ROWS, "y": y}, COPY_TWO_ROWS | {"row_bytes": 4, "y_step": 6}, 1
        )


@on_machines
def test_reads_behind_are_seen(machine: Machine) -> None:
    """A pool of one channel reads whole vectors, which it may only do in front of `slack`."""
    params = dict.fromkeys(PoolSpec("max", "int8").params, 1) | {"pad_y": 0, "pad_x": 0}
    operands = {"x": np.ones((1, 1, 1), np.int8), "y": np.zeros((1, 1, 1), np.int8)}
    assert run_kernel(pool, PoolSpec("max", "int8"), machine, operands, params, 1, slack={"x": 31})["y"] == 1
    with pytest.raises(AssertionError, match="ended with"):
        run_kernel(pool, PoolSpec("max", "int8"), machine, operands, params, 1)
