"""Maps of codes that write over what they read, for rows of every remainder of the kernels' vectors."""

from pathlib import Path

import numpy as np
import pytest

from edgec.compiler.ir.expr import Expr, In, call, sigmoid
from edgec.compiler.ir.graph import Graph, Node, Value
from edgec.compiler.ir.types import Quant, TensorType
from edgec.tests.compiler.lower import running

CHANNELS = (8, 16, 24, 32, 48, 64, 80, 96, 112, 480)
SUM: Expr = call("add", In(0), In(1))
PRODUCT: Expr = call("mul", In(0), In(1))


def _chain(x: Value) -> Graph:
    """Two tables, a sum and a product of what they give, none of them read twice, and a table of that."""
    graph, values = Graph("g", [x], []), [x]

    def emit(expr: Expr, *inputs: Value) -> Value:
        quant = Quant.per_tensor(0.02 + 0.001 * len(values), 5 * len(values))
        y = Value(f"v{len(values)}", TensorType(x.type.shape, "int8", quant))
        graph.nodes.append(Node("map", list(inputs), [y], {"expr": expr}, y.name))
        values.append(y)
        return y

    a = emit(sigmoid(In(0)), emit(call("neg", In(0)), x))
    b = emit(call("abs", In(0)), emit(SUM, a, x))
    graph.outputs = [emit(sigmoid(In(0)), emit(PRODUCT, b, emit(call("neg", In(0)), x)))]
    return graph


@pytest.mark.parametrize("device", [running.HOST, running.BASE])
def test_maps_of_codes(device: str, tmp_path: Path) -> None:
    for plane in ((1, 1), (3, 5)):
        for channels in CHANNELS:
            shape = (1, *plane, channels)
            x = Value("x", TensorType(shape, "int8", Quant.per_tensor(0.03, -7)))
            codes = np.random.default_rng(channels).integers(-128, 128, shape).astype(np.int8)
            folder = tmp_path / f"{plane[0]}x{channels}"
            folder.mkdir()
            running.check(_chain(x), {"x": codes}, folder, device)
