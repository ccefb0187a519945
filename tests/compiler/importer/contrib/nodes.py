"""Single nodes with data, many of them in one model: what ONNX Runtime's kernels give, and what edgec gives."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
from onnx import helper, numpy_helper

from edgec.compiler.bundle.reader import open_bundle
from edgec.compiler.driver import compile_model
from edgec.compiler.importer import import_onnx
from edgec.compiler.ops.reference import run_graph
from edgec.runtimes.devices import RunOptions, open_device

Array = np.ndarray[Any, Any]

TOLERANCE = 2e-5
"""Of the largest element: sums of floats in another order."""


@dataclass(frozen=True)
class Case:
    """A node: its inputs as arrays, None for one left out; those numbered in `constants` are initializers. Its integer
    outputs may be `steps` off ONNX Runtime's."""

    op: str
    inputs: Sequence[Array | None]
    outputs: int = 1
    constants: Sequence[int] = ()
    domain: str = "com.microsoft"
    steps: int = 0
    attributes: Mapping[str, Any] = field(default_factory=dict)


def case(
    op: str, inputs: Sequence[Any], *, outputs: int = 1, constants: Sequence[int] = (), domain: str = "com.microsoft",
    steps: int = 0, **attributes: Any,
) -> Case:  # fmt: skip
    """A `Case`, its attributes as keywords."""
    arrays = [None if a is None else np.asarray(a) for a in inputs]
    return Case(op, arrays, outputs, constants, domain, steps, attributes)


class Draw:
    """Random data, the same each time."""

    def __init__(self) -> None:
        self.rng = np.random.default_rng(11)

    def normal(self, *shape: int, scale: float = 1.0) -> Array:
        """float32."""
        return (self.rng.normal(size=shape) * scale).astype(np.float32)

    def whole(self, dtype: Any, low: int, high: int, *shape: int) -> Array:
        """Integers in [low, high)."""
        return self.rng.integers(low, high, shape).astype(dtype)

    def codes(self, dtype: Any, *shape: int) -> Array:
        """All codes of an 8-bit type."""
        return self.whole(dtype, np.iinfo(dtype).min, np.iinfo(dtype).max + 1, *shape)


Family = Callable[[Draw], Iterator[Case]]
FAMILIES: dict[str, Family] = {}


def family(make: Family) -> Family:
    """Register cases that are compiled as one model."""
    FAMILIES[make.__name__] = make
    return make


def f(*values: Any) -> Array:
    """float32: a scalar for one number."""
    return np.array(values[0] if len(values) == 1 else values, np.float32)


def model_of(cases: Iterable[Case]) -> tuple[onnx.ModelProto, dict[str, Array]]:
    """A model of the nodes side by side, and what to feed it. Output `k` of node `n` is called `n{n}_o{k}`; its type is
    not declared."""
    nodes, infos, results, tensors, feeds = [], [], [], [], {}
    for n, c in enumerate(cases):
        names = [f"n{n}_i{k}" if a is not None else "" for k, a in enumerate(c.inputs)]
        outputs = [f"n{n}_o{k}" for k in range(c.outputs)]
        nodes.append(helper.make_node(c.op, names, outputs, domain=c.domain, name=f"n{n}_{c.op}", **c.attributes))
        results += [onnx.ValueInfoProto(name=name) for name in outputs]
        for k, (name, a) in enumerate(zip(names, c.inputs, strict=True)):
            if a is not None and k in c.constants:
                tensors.append(numpy_helper.from_array(a, name))
            elif a is not None:
                infos.append(helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(a.dtype), a.shape))
                feeds[name] = a
    graph = helper.make_graph(nodes, "g", infos, results, tensors)
    opsets = [helper.make_opsetid("", 20), helper.make_opsetid("com.microsoft", 1)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=9), feeds


def session_of(model: onnx.ModelProto) -> ort.InferenceSession:
    """ONNX Runtime on the nodes as they stand; one thread, since more share the batch of a DynamicQuantizeLSTM, whose
    ranges differ then."""
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 3
    options.intra_op_num_threads = 1
    return ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def declare(model: onnx.ModelProto, wanted: Sequence[Array]) -> None:
    """Give the model's outputs their types."""
    for result, a in zip(model.graph.output, wanted, strict=True):
        result.type.tensor_type.elem_type = helper.np_dtype_to_tensor_dtype(a.dtype)


def run_bundle(path: Path, feeds: Mapping[str, Array], device: str) -> dict[str, Array]:
    """The outputs of a bundle; accesses outside of its tensors fail."""
    manifest = open_bundle(path).manifest
    feed = {v.name: feeds[v.name] for v in manifest.inputs}
    options = RunOptions(guard=True, timeout=60)
    return open_device(device).run(path, manifest.inputs, manifest.outputs, feed, None, options).outputs


def close(got: Array, want: Array, steps: int, what: str) -> None:
    """Floats within `TOLERANCE`, integers within `steps`."""
    assert (got.dtype, got.shape) == (want.dtype, want.shape), what
    bound = TOLERANCE * max(1.0, float(np.abs(want.astype(np.float64)).max(initial=0)))
    bound = bound if want.dtype.kind == "f" else steps
    np.testing.assert_allclose(got.astype(np.float64), want.astype(np.float64), rtol=0, atol=bound, err_msg=what)


def check(cases: Iterable[Case], folder: Path, device: str = "local") -> None:
    """The reference, and the program compiled for `device`, give what ONNX Runtime gives; in integers, each other's
    bytes."""
    cases = list(cases)
    model, feeds = model_of(cases)
    wanted = session_of(model).run(None, feeds)
    declare(model, wanted)
    reference = run_graph(import_onnx(model), feeds)
    onnx.save(model, str(folder / "model.onnx"))
    target = "host" if device == "local" else "arm64-neon"
    compile_model(folder / "model.onnx", target=target, output=folder / "m.edge")
    found = run_bundle(folder / "m.edge", feeds, device)
    which = [c for c in cases for _ in range(c.outputs)]
    for c, result, want in zip(which, model.graph.output, wanted, strict=True):
        close(reference[result.name], want, c.steps, f"{result.name} of {c.op}, reference")
        close(found[result.name], want, c.steps, f"{result.name} of {c.op}, {device}")
        if want.dtype.kind != "f":
            np.testing.assert_array_equal(found[result.name], reference[result.name], f"{result.name} of {c.op}")
