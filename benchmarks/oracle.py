"""ONNX Runtime as the engine to compare with: quiet, and as close to the model's own arithmetic as it can be set."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
Infer = Callable[[Mapping[str, Array]], dict[str, Array]]


def onnx_runtime(model: Path | bytes, *, optimize: bool = True, threads: int = 1) -> Infer:
    """A function from feeds to outputs, both by name. Without `optimize` every node runs as it stands in the file:
    that is the oracle for bytes, since ONNX Runtime's fusions round elsewhere."""
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = threads
    if not optimize:
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    source = str(model) if isinstance(model, Path) else model
    session = ort.InferenceSession(source, options, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]

    def infer(feeds: Mapping[str, Array]) -> dict[str, Array]:
        return dict(zip(names, session.run(names, dict(feeds)), strict=True))

    return infer
