"""Maps over rows with gaps between them: a tile takes many short ones."""

import numpy as np
import pytest

import edgec.compiler.ops  # noqa: F401  (fills the op registry)
from edgec.compiler.ir.expr import In, call
from edgec.compiler.ir.graph import Graph, Value
from edgec.compiler.ir.types import TensorType
from edgec.compiler.lower.lower import lower
from edgec.compiler.ops.builder import Builder
from edgec.targets.registry import find
from edgec.tests.compiler.lower.running import check


@pytest.mark.parametrize(
    ("shape", "tiles"),
    [
        ((1, 9, 7, 3), 1),
        ((1, 1201, 2, 16), 1201),  # a prime, so parts are of two rows
        ((1, 600, 5, 16), 6),
        ((3000, 24), 10),
        ((2000, 3), 4),
    ],
)
def test_rows_between_gaps(tmp_path, shape: tuple[int, ...], tiles: int) -> None:
    rng = np.random.default_rng(3)
    wide = Value("wide", TensorType((*shape[:-1], 3 * shape[-1]), "float32"))
    row = Value("row", TensorType(shape[-1:], "float32"))
    b = Builder(taken=["wide", "row"])
    begins = (0,) * (len(shape) - 1) + (shape[-1],)
    part = b.emit("slice", wide, starts=begins, steps=(1,) * len(shape), type=TensorType(shape, "float32"))
    y = b.map(call("sub", In(0), In(1)), part, row)
    graph = Graph("graph", [wide, row], [y], b.nodes)
    steps = [step for step in lower(graph, find("host")).plan.steps if step.kernel.startswith("map")]
    assert [step.tiles for step in steps] == [tiles]
    check(graph, {v.name: rng.normal(size=v.type.shape).astype(np.float32) for v in (wide, row)}, tmp_path)
