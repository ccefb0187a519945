"""The architectures that the onnx package ships without weights ("light" models), given seeded ones.

Each weight is a ConstantOfShape filled with one number; here it becomes an initializer with He-initialised values,
every batch normalization gets the statistics of its input on real pictures, and the last layer a sensible scale.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from .oracle import onnx_runtime

Array = np.ndarray[Any, Any]

SEED = 2026
LOGIT_DEVIATION = 3.0
OPSET_FOR_STATISTICS = 17
IR_VERSION = 8
"""Later than these files' own 3, which asks that every initializer also be an input."""


def fill(name: str, samples: Sequence[Mapping[str, Array]], path: Path) -> None:
    """Write onnx's light model `name` with weights; batch normalizations are calibrated on `samples` (feeds)."""
    model = onnx.load(Path(onnx.__file__).parent / "backend" / "test" / "data" / "light" / f"light_{name}.onnx")
    model.ir_version = IR_VERSION
    _fill_constants(model)
    _calibrate_batch_norms(model, samples)
    _scale_last_layer(model, samples)
    onnx.save(model, path)


def _fill_constants(model: onnx.ModelProto) -> None:
    """ConstantOfShape nodes become initializers, and initializers are no longer inputs that a caller may override."""
    graph = model.graph
    known = {i.name: i for i in graph.initializer}
    readers = _readers(graph)
    rng = np.random.default_rng(SEED)
    filled: set[str] = set()
    for node in [n for n in graph.node if n.op_type == "ConstantOfShape"]:
        shape = tuple(int(d) for d in numpy_helper.to_array(known[node.input[0]]))
        filled.add(node.output[0])
        value = _values(rng, shape, *readers[node.output[0]][:2])
        graph.initializer.append(numpy_helper.from_array(value, node.output[0]))
        graph.initializer.remove(known[node.input[0]])
        graph.node.remove(node)
    for item in [i for i in graph.input if i.name in {*known, *filled}]:
        graph.input.remove(item)


def _readers(graph: onnx.GraphProto) -> dict[str, tuple[str, int, str]]:
    """Tensor -> (op type, number of the input, output) of a node that reads it, looking through changes of shape."""
    readers = {name: (n.op_type, i, n.output[0]) for n in graph.node for i, name in enumerate(n.input)}
    return {
        name: readers.get(output, ("", 0, "")) if op in ("Reshape", "Unsqueeze") and index == 0 else (op, index, output)
        for name, (op, index, output) in readers.items()
    }


def _values(rng: np.random.Generator, shape: tuple[int, ...], op: str, index: int) -> Array:
    """Seeded float32 values for what is input `index` of an `op` node."""
    if op not in ("Conv", "Gemm"):
        return rng.uniform(0.5, 1.0, shape).astype(np.float32)
    deviation = np.sqrt(2 / np.prod(shape[1:])) if index == 1 else 0.1
    return (rng.standard_normal(shape) * deviation).astype(np.float32)


def _calibrate_batch_norms(model: onnx.ModelProto, samples: Sequence[Mapping[str, Array]]) -> None:
    """Set each BatchNormalization's mean and variance to those of its input, all inputs normalized already."""
    norms = [n for n in model.graph.node if n.op_type == "BatchNormalization"]
    if not norms:
        return
    statistics = _measure(model, norms, samples)
    tensors = {i.name: i for i in model.graph.initializer}
    for node in norms:
        for name, value in zip(node.input[3:5], statistics[node.output[0]], strict=True):
            tensors[name].CopyFrom(numpy_helper.from_array(value, name))


def _scale_last_layer(model: onnx.ModelProto, samples: Sequence[Mapping[str, Array]]) -> None:
    """Give the last layer's outputs a standard deviation of LOGIT_DEVIATION, so that a softmax after it neither
    saturates nor blurs: either would hide or magnify errors."""
    last = [n for n in model.graph.node if n.op_type in ("Conv", "Gemm")][-1]
    probe = onnx.ModelProto()
    probe.CopyFrom(model)
    probe.graph.output.append(helper.make_tensor_value_info(last.output[0], TensorProto.FLOAT, None))
    infer = onnx_runtime(probe.SerializeToString())
    factor = LOGIT_DEVIATION / np.mean([infer(feeds)[last.output[0]].std() for feeds in samples])
    readers = _readers(model.graph)
    for tensor in model.graph.initializer:
        _, index, output = readers.get(tensor.name, ("", 0, ""))
        if output == last.output[0] and index > 0:
            scaled = (numpy_helper.to_array(tensor) * factor).astype(np.float32)
            tensor.CopyFrom(numpy_helper.from_array(scaled, tensor.name))


def _measure(
    model: onnx.ModelProto, norms: Sequence[onnx.NodeProto], samples: Sequence[Mapping[str, Array]]
) -> dict[str, tuple[Array, Array]]:
    """Output name of each node in `norms` -> (mean, variance) of its input, averaged over `samples`."""
    probe = onnx.ModelProto()
    probe.CopyFrom(onnx.version_converter.convert_version(model, OPSET_FOR_STATISTICS))
    nodes = list(probe.graph.node)
    del probe.graph.node[:]
    wanted = {n.output[0] for n in norms}
    for node in nodes:
        probe.graph.node.extend(_normalize_by_own_statistics(node) if node.output[0] in wanted else [node])
    names = [f"{out}/{kind}" for out in sorted(wanted) for kind in ("mean", "variance")]
    probe.graph.output.extend(helper.make_tensor_value_info(n, TensorProto.FLOAT, None) for n in names)
    infer = onnx_runtime(probe.SerializeToString())
    runs = [infer(feed) for feed in samples]
    means = {n: np.asarray(np.mean([run[n].ravel() for run in runs], axis=0), np.float32) for n in names}
    return {out: (means[f"{out}/mean"], means[f"{out}/variance"]) for out in wanted}


def _normalize_by_own_statistics(node: onnx.NodeProto) -> list[onnx.NodeProto]:
    """A BatchNormalization as in training: y = (x - mean(x)) / sqrt(variance(x) + epsilon) * scale + bias."""
    x, scale, bias = node.input[:3]
    y = node.output[0]
    epsilon = helper.make_node("Constant", [], [f"{y}/epsilon"], value_float=1e-5)
    column = helper.make_node("Constant", [], [f"{y}/column"], value_ints=[1, -1, 1, 1])
    mean = helper.make_node("ReduceMean", [x], [f"{y}/mean"], axes=[0, 2, 3])
    steps = [
        ("Sub", [x, f"{y}/mean"], f"{y}/centred"),
        ("Mul", [f"{y}/centred", f"{y}/centred"], f"{y}/squared"),
    ]
    variance = helper.make_node("ReduceMean", [f"{y}/squared"], [f"{y}/variance"], axes=[0, 2, 3])
    rest = [
        ("Add", [f"{y}/variance", f"{y}/epsilon"], f"{y}/safe"),
        ("Sqrt", [f"{y}/safe"], f"{y}/deviation"),
        ("Div", [f"{y}/centred", f"{y}/deviation"], f"{y}/normal"),
        ("Reshape", [scale, f"{y}/column"], f"{y}/scale"),
        ("Reshape", [bias, f"{y}/column"], f"{y}/bias"),
        ("Mul", [f"{y}/normal", f"{y}/scale"], f"{y}/scaled"),
        ("Add", [f"{y}/scaled", f"{y}/bias"], y),
    ]
    before = [helper.make_node(op, ins, [out]) for op, ins, out in steps]
    after = [helper.make_node(op, ins, [out]) for op, ins, out in rest]
    return [epsilon, column, mean, *before, variance, *after]
