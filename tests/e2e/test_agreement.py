"""Single quantized nodes, compiled for this machine: every byte is ONNX Runtime's.

Activations and weights are int8: with uint8 activations and weights beyond [-63, 63] ONNX Runtime's own sums saturate on
AVX2 machines without VNNI. A node in QDQ form is computed in integers by ONNX Runtime too, where it fuses the node with
the DequantizeLinear and QuantizeLinear around it; `fused` says that it did.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import helper, numpy_helper

from edgec.benchmarks.agreement import compare
from edgec.compiler.bundle.load import load
from edgec.compiler.driver import compile_model

Array = np.ndarray[Any, Any]

MICROSOFT = "com.microsoft"

CONVS: Mapping[str, tuple[tuple[int, ...], tuple[int, ...], Mapping[str, Any]]] = {
    "1x1": ((1, 20, 7, 9), (36, 20, 1, 1), {}),
    "3x3": ((1, 8, 9, 9), (12, 8, 3, 3), {"pads": [1, 1, 1, 1]}),
    "strides": ((2, 3, 15, 12), (17, 3, 3, 3), {"strides": [2, 2], "pads": [0, 1, 1, 0]}),
    "1x1 strided": ((1, 16, 8, 8), (16, 16, 1, 1), {"strides": [2, 2]}),
    "uneven pads": ((1, 5, 6, 11), (9, 5, 2, 5), {"pads": [1, 3, 0, 2], "strides": [1, 3]}),
    "groups": ((1, 12, 7, 7), (18, 4, 3, 3), {"group": 3, "pads": [1, 1, 1, 1]}),
    "depthwise": ((1, 24, 9, 9), (24, 1, 3, 3), {"group": 24, "pads": [1, 1, 1, 1]}),
    "depthwise strided": ((1, 40, 10, 10), (40, 1, 5, 5), {"group": 40, "strides": [2, 2], "pads": [2, 2, 2, 2]}),
    "depthwise multiplied": ((1, 6, 8, 8), (18, 1, 3, 3), {"group": 6}),
    "dilations": ((1, 8, 12, 12), (16, 8, 3, 3), {"dilations": [2, 3], "pads": [2, 3, 2, 3]}),
    "1-d": ((1, 6, 20), (4, 6, 5), {"strides": [2]}),
    "all of it": ((2, 64, 5, 5), (10, 64, 5, 5), {}),
}

ZEROS = ((0, 0), (-7, 11), (127, -128))


@dataclass(frozen=True)
class Single:
    """A model of a single quantized node, and what to feed it."""

    model: onnx.ModelProto
    feeds: Mapping[str, Array]

    @property
    def fused(self) -> bool:
        """Whether ONNX Runtime computes all of it in integers."""
        ops = _optimized_ops(self.model)
        return all(op.startswith("Q") and op not in ("QuantizeLinear",) for op in ops)


def _optimized_ops(model: onnx.ModelProto) -> list[str]:
    import tempfile

    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    with tempfile.TemporaryDirectory() as folder:
        options.optimized_model_filepath = str(Path(folder) / "optimized.onnx")
        ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        return [node.op_type for node in onnx.load(options.optimized_model_filepath).graph.node]
