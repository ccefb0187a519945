"""The ONNX standard's test cases of the ops that index, select, sort and sample, as one compiled program."""

from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np
import pytest
from onnx.backend.test.loader import load_model_tests
from onnx.compose import add_prefix

from edgec import EdgeError
from edgec.compiler.ir.graph import Array, Graph
from edgec.compiler.lower.lower import lower
from edgec.passes.pipeline import FLOAT, LATE, run_pipeline
from edgec.targets.registry import find
from edgec.tests.compiler.importer.test_backend_cases import data_sets, imported
from edgec.tests.compiler.lower.running import DOTPROD, HOST, run

pytestmark = pytest.mark.slow

OPS = {
    "AffineGrid", "ArgMax", "ArgMin", "ArrayFeatureExtractor", "BitCast", "CenterCropPad", "Col2Im", "Compress",
    "Concat", "CumProd", "CumSum", "DepthToSpace", "Det", "Expand", "EyeLike", "Gather", "GatherElements", "GatherND",
    "GridSample", "Hardmax", "MaxUnpool", "NonMaxSuppression", "NonZero", "OneHot", "Pad", "ReverseSequence",
    "RoiAlign", "Scatter", "ScatterElements", "ScatterND", "Shape", "Size", "Slice", "SpaceToDepth", "Split",
    "TensorScatter", "Tile", "TopK", "Transpose", "Trilu", "Unique", "Where",
}  # fmt: skip

REFUSED = {
    "test_compress_bfloat16", "test_onehot_with_bfloat16_values", "test_reversesequence_bfloat16",
    "test_unique_bfloat16_sorted_without_axis",
}  # fmt: skip


class Merged:
    """Many models side by side in one graph."""

    def __init__(self) -> None:
        self.graph = Graph("cases", [], [])
        self.inputs: dict[str, Array] = {}
        self.expected: dict[str, Array] = {}

    def add(self, graph: Graph, inputs: dict[str, Array], outputs: Sequence[Array]) -> None:
        """All names of the graph are its own."""
        self.graph.inputs += graph.inputs
        self.graph.outputs += graph.outputs
        self.graph.nodes += graph.nodes
        self.inputs |= {v.name: inputs[v.name] for v in graph.inputs}
        self.expected |= {v.name: array for v, array in zip(graph.outputs, outputs, strict=True)}

    def check(self, found: dict[str, Array]) -> None:
        for name, want in self.expected.items():
            got = found[name]
            assert (got.shape, got.dtype) == (want.shape, want.dtype), name
            if want.dtype.kind == "f":
                np.testing.assert_allclose(got, want, rtol=1e-3, atol=1e-6, err_msg=name)
            else:
                np.testing.assert_array_equal(got, want, err_msg=name)


def merged(ops: Collection[str]) -> tuple[Merged, dict[str, str]]:
    """All cases of `ops` that compile, and why the others do not."""
    together, refused = Merged(), {}
    for case in load_model_tests(kind="node"):
        if len(case.model.graph.node) != 1 or case.model.graph.node[0].op_type not in ops:
            continue
        model = add_prefix(case.model, f"{case.name}/")
        for inputs, expected in data_sets(case, model):
            try:
                graph = imported(model, inputs)
                run_pipeline(graph, FLOAT, verify=True)
                run_pipeline(graph, LATE, verify=True)
                lower(graph, find("host"))
            except EdgeError as e:
                refused[case.name] = str(e)
                continue
            together.add(graph, inputs, expected)
    return together, refused


@pytest.mark.parametrize("device", [HOST, DOTPROD])
def test_the_standards_cases(device: str, tmp_path: Path) -> None:
    cases, refused = merged(OPS)
    assert set(refused) == REFUSED, refused
    cases.check(run(cases.graph, cases.inputs, tmp_path, device))
