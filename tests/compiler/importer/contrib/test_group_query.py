"""GroupQueryAttention after a past of any length, and what it refuses."""

from dataclasses import replace

import numpy as np
import onnx
import pytest

from edgec import EdgeError
from edgec.compiler.driver import compile_model
from edgec.compiler.importer import import_onnx
from edgec.compiler.ir.extent import symbol
from edgec.compiler.ops.reference import run_graph
from edgec.tests.compiler.importer.contrib.group_query import GROUPS, SIZE, group_query
from edgec.tests.compiler.importer.contrib.nodes import Draw, close, declare, model_of, run_bundle, session_of


def test_after_any_past(tmp_path) -> None:
    """Compiled once for a past of 0 to 16 rows."""
    d = Draw()
    model, feeds = model_of([group_query(d, 4, [6], 7, queries=3, rotary=True, known=False)])
    caches = [v for v in model.graph.input if v.name in ("n0_i3", "n0_i4")]
    for cache in caches:
        cache.type.tensor_type.shape.dim[2].dim_param = "past"
    session = session_of(model)
    declare(model, session.run(None, feeds))
    ranged = {v.name: (1, GROUPS, symbol("past", 0, 16, 1), SIZE) for v in caches}
    onnx.save(model, str(tmp_path / "model.onnx"))
    compile_model(tmp_path / "model.onnx", target="host", output=tmp_path / "m.edge", shapes=ranged)
    for rows in (4, 0, 9):
        feeds |= {v.name: d.normal(1, GROUPS, rows, SIZE) for v in caches}
        feeds |= {"n0_i5": np.array([rows + 2], np.int32), "n0_i6": np.array(rows + 3, np.int32)}
        found = run_bundle(tmp_path / "m.edge", feeds, "local")
        for result, want in zip(model.graph.output, session.run(None, feeds), strict=True):
            close(found[result.name], want, 0, f"{result.name} after {rows} rows")


def test_norms_of_queries_and_keys() -> None:
    """ONNX Runtime has them on other machines than a CPU: it gets rows that are normalized already."""
    d = Draw()
    node = group_query(d, 4, [6], 7, queries=3, rotary=True)
    norms = d.normal(SIZE), d.normal(SIZE)
    rows = [a.reshape(1, 3, -1, SIZE).astype(np.float64) for a in node.inputs[:2]]
    rows = [a / np.sqrt((a * a).mean(-1, keepdims=True) + 1e-3) * w for a, w in zip(rows, norms, strict=True)]
    normal = [a.reshape(1, 3, -1).astype(np.float32) for a in rows]
    model, feeds = model_of([replace(node, inputs=[*normal, *node.inputs[2:]])])
    wanted = session_of(model).run(None, feeds)
    given = replace(node, inputs=[*node.inputs, *norms], attributes={**node.attributes, "qk_norm_epsilon": 1e-3})
    model, feeds = model_of([given])
    declare(model, wanted)
    for name, want in zip(("n0_o0", "n0_o1", "n0_o2"), wanted, strict=True):
        close(run_graph(import_onnx(model), feeds)[name], want, 0, name)


@pytest.mark.parametrize(
    ("total", "more", "message"),
    [
        (90, {}, "its total length is 90, for 1 queries and a past of 4 rows"),
        (5, {"sliding_window_cache": 1, "local_window_size": 2}, "its cache slides"),
    ],
)
def test_refused(total, more, message) -> None:
    with pytest.raises(EdgeError, match=message):
        import_onnx(model_of([group_query(Draw(), 4, [2, 4], total, **more)])[0])
