"""Seeded mutations of ONNX files: the import gives a graph that verifies, or one EdgeError. Never anything else."""

import math
import time

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from edgec import EdgeError
from edgec.compiler.importer import import_onnx
from edgec.compiler.ir.verify import verify

HOSTILE = [0, 1, -1, 2, 7, 127, -128, 2**31 - 1, -(2**31), 2**40, 2**63 - 1, -(2**63)]


def seed_model() -> onnx.ModelProto:
    """A small model with many kinds of ops, quantized ones included."""
    rng = np.random.default_rng(0)

    def f(*shape: int) -> np.ndarray:
        return np.asarray(rng.normal(size=shape), np.float32)

    constants = {
        "w": f(4, 3, 3, 3), "b": f(4), "ones": np.abs(f(4)), "t": f(4, 2, 2, 2), "s": np.array(0.1, np.float32),
        "z": np.array(3, np.uint8), "axes": np.array([2, 3], np.int64), "shape": np.array([0, -1], np.int64),
        "g": f(6, 5), "up": np.array([1, 1, 2, 2], np.float32), "starts": np.array([0, 1], np.int64),
        "ends": np.array([4, 9], np.int64), "pads": np.array([0, 0, 1, 1, 0, 0, 1, 1], np.int64),
    }  # fmt: skip
    nodes = [
        helper.make_node("Conv", ["x", "w", "b"], ["c"], pads=[1, 1, 1, 1], strides=[2, 2]),
        helper.make_node("BatchNormalization", ["c", "ones", "b", "b", "ones"], ["n"]),
        helper.make_node("QuantizeLinear", ["n", "s", "z"], ["q"]),
        helper.make_node("DequantizeLinear", ["q", "s", "z"], ["d"]),
        helper.make_node("Resize", ["d", "", "up"], ["r"], mode="linear"),
        helper.make_node("MaxPool", ["r"], ["m"], kernel_shape=[2, 2], ceil_mode=1, strides=[2, 2]),
        helper.make_node("Pad", ["m", "pads"], ["p"]),
        helper.make_node("Slice", ["p", "starts", "ends", "axes"], ["sl"]),
        helper.make_node("ConvTranspose", ["sl", "t"], ["ct"], strides=[2, 2]),
        helper.make_node("Split", ["ct"], ["s1", "s2"], axis=1),
        helper.make_node("Concat", ["s1", "s2", "s1", "s2", "ct"], ["cc"], axis=1),
        helper.make_node("ReduceMean", ["cc"], ["rm"], axes=[2, 3], keepdims=1),
        helper.make_node("Reshape", ["rm", "shape"], ["rs"]),
        helper.make_node("Gemm", ["rs", "g"], ["gm"], alpha=0.5),
        helper.make_node("Softmax", ["gm"], ["y"], axis=1),
    ]
    ports = [helper.make_tensor_value_info("x", 1, [1, 3, 8, 8]), helper.make_tensor_value_info("y", 1, [1, 5])]
    graph = helper.make_graph(
        nodes, "g", ports[:1], ports[1:], [numpy_helper.from_array(a, n) for n, a in constants.items()]
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def mutate_structure(model: onnx.ModelProto, rng: np.random.Generator) -> None:
    """Change one thing that decodes: a name, an attribute, a dimension, a constant, a node."""
    graph = model.graph
    node = graph.node[rng.integers(len(graph.node))]
    names = [n for other in graph.node for n in (*other.input, *other.output)] + ["", "nobody", "\n%$"]
    kind = rng.integers(9)
    if kind == 0 and node.input:
        node.input[rng.integers(len(node.input))] = str(rng.choice(names))
    elif kind == 1:
        node.output[rng.integers(len(node.output))] = str(rng.choice(names))
    elif kind == 2 and node.attribute:
        attribute = node.attribute[rng.integers(len(node.attribute))]
        if attribute.ints:
            attribute.ints[rng.integers(len(attribute.ints))] = int(rng.choice(HOSTILE))
        attribute.i = int(rng.choice(HOSTILE))
    elif kind == 3 and node.attribute:
        node.attribute[rng.integers(len(node.attribute))].type = int(rng.integers(0, 15))
    elif kind == 4:
        dims = graph.initializer[rng.integers(len(graph.initializer))].dims
        if dims:
            dims[rng.integers(len(dims))] = int(rng.choice(HOSTILE))
    elif kind == 5:
        ints = [t for t in graph.initializer if t.data_type == onnx.TensorProto.INT64]
        tensor = ints[rng.integers(len(ints))]
        values = (
            numpy_helper.to_array(tensor).copy()
            if math.prod(tensor.dims) * 8 == len(tensor.raw_data)
            else np.zeros(2, np.int64)
        )
        values[rng.integers(len(values))] = int(rng.choice(HOSTILE))
        tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))
    elif kind == 6:
        node.op_type = graph.node[rng.integers(len(graph.node))].op_type
    elif kind == 7:
        graph.initializer[rng.integers(len(graph.initializer))].data_type = int(rng.integers(0, 25))
    else:
        dims = graph.input[0].type.tensor_type.shape.dim
        dims[rng.integers(4)].dim_value = int(rng.choice(HOSTILE))


def mutated_bytes(data: bytes, rng: np.random.Generator) -> bytes:
    """Flip bits, cut or repeat a piece."""
    array = bytearray(data)
    for _ in range(rng.integers(1, 6)):
        array[rng.integers(len(array))] ^= 1 << int(rng.integers(8))
    if rng.integers(3) == 0:
        del array[rng.integers(len(array)) :]
    if rng.integers(4) == 0:
        start = int(rng.integers(len(array)))
        array[start:start] = array[start : start + int(rng.integers(200))]
    return bytes(array)


def imports_or_refuses(source) -> str:
    start = time.monotonic()
    try:
        verify(import_onnx(source))
        outcome = "imported"
    except EdgeError as e:
        assert "\n" not in str(e).strip()
        outcome = "refused"
    assert time.monotonic() - start < 10
    return outcome


def test_the_seed_is_good():
    verify(import_onnx(seed_model()))


@pytest.mark.parametrize("seed", range(20))
def test_mutated_structure(seed):
    rng, outcomes = np.random.default_rng(seed), []
    for _ in range(25):
        model = seed_model()
        for _ in range(rng.integers(1, 4)):
            mutate_structure(model, rng)
        outcomes.append(imports_or_refuses(model))
    assert "refused" in outcomes


@pytest.mark.parametrize("seed", range(20))
def test_mutated_bytes(seed, tmp_path):
    rng, data = np.random.default_rng(seed), seed_model().SerializeToString()
    for _ in range(25):
        path = tmp_path / "m.onnx"
        path.write_bytes(mutated_bytes(data, rng))
        imports_or_refuses(path)
