"""ONNX in the words that LiteRT's XNNPACK knows: a converter takes over what it finds, and what XNNPACK does not take
costs LiteRT a break in its graph. So that it is compared at its best, hard sigmoids become clips to [0, 6], hard
swishes that are written out become one op, and a maximum over what is never negative is padded with zeros."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import onnx
from onnx import helper, numpy_helper

OPSET = 17


def rewrite(source: Path, path: Path) -> None:
    """Write the model at `source` so to `path`."""
    model = onnx.load(source)
    if next(o.version for o in model.opset_import if o.domain in ("", "ai.onnx")) < OPSET:
        model = onnx.version_converter.convert_version(model, OPSET)
    graph = model.graph
    values = {t.name: numpy_helper.to_array(t) for t in graph.initializer}
    values |= {n.output[0]: numpy_helper.to_array(n.attribute[0].t) for n in graph.node if n.op_type == "Constant"}
    scalars = {name: float(v.item()) for name, v in values.items() if v.size == 1 and v.dtype == np.float32}
    for name, value in (("zero", 0.0), ("six", 6.0), ("sixth", 1 / 6)):
        graph.initializer.append(numpy_helper.from_array(np.array(value, np.float32), f"litert_{name}"))
    makers = {output: node for node in graph.node for output in node.output}
    nodes = [new for node in graph.node for new in _written(node, makers, scalars, graph)]
    graph.ClearField("node")
    graph.node.extend(nodes)
    onnx.save(model, path)


def _written(
    node: onnx.NodeProto,
    makers: Mapping[str, onnx.NodeProto],
    scalars: Mapping[str, float],
    graph: onnx.GraphProto,
) -> Iterator[onnx.NodeProto]:
    if node.op_type == "HardSigmoid":
        yield from _hard_sigmoid(node, graph)
    elif node.op_type == "MaxPool" and (maker := makers.get(node.input[0])) and maker.op_type == "Relu":
        yield from _max_pool(node, graph)
    elif x := _swished(node, makers, scalars):
        yield helper.make_node("HardSwish", [x], node.output)
    else:
        yield node


def _hard_sigmoid(node: onnx.NodeProto, graph: onnx.GraphProto) -> Iterator[onnx.NodeProto]:
    """clip(alpha * x + beta, 0, 1) -> clip(6 * alpha * x + 6 * beta, 0, 6) / 6; the product goes if it is by one."""
    given = {a.name: a.f for a in node.attribute}
    x, y = node.input[0], node.output[0]
    for name, value, neutral in (("Mul", 6 * given.get("alpha", 0.2), 1.0), ("Add", 6 * given.get("beta", 0.5), 0.0)):
        if abs(value - neutral) > 1e-6:
            constant, result = f"{y}_{name}_by", f"{y}_{name}"
            graph.initializer.append(numpy_helper.from_array(np.array(value, np.float32), constant))
            yield helper.make_node(name, [x, constant], [result])
            x = result
    yield helper.make_node("Clip", [x, "litert_zero", "litert_six"], [f"{y}_clip"])
    yield helper.make_node("Mul", [f"{y}_clip", "litert_sixth"], [y])


def _max_pool(node: onnx.NodeProto, graph: onnx.GraphProto) -> Iterator[onnx.NodeProto]:
    """Pad with zeros, then the pool without pads."""
    given = {a.name: helper.get_attribute_value(a) for a in node.attribute}
    pads = given.pop("pads", [0, 0, 0, 0])
    constant, padded = f"{node.output[0]}_pads", f"{node.output[0]}_padded"
    graph.initializer.append(numpy_helper.from_array(np.array([0, 0, *pads[:2], 0, 0, *pads[2:]], np.int64), constant))
    yield helper.make_node("Pad", [node.input[0], constant, "litert_zero"], [padded])
    yield helper.make_node("MaxPool", [padded], node.output, **given)


def _swished(node: onnx.NodeProto, makers: Mapping[str, onnx.NodeProto], scalars: Mapping[str, float]) -> str | None:
    """x, if the node is the last of x * clip(x + 3, 0, 6) / 6."""
    if node.op_type != "Div" or scalars.get(node.input[1]) != 6:
        return None
    product = makers.get(node.input[0])
    if product is None or product.op_type != "Mul":
        return None
    for x, other in (product.input, reversed(product.input)):
        clip = makers.get(other)
        if clip is None or clip.op_type != "Clip" or [scalars.get(i) for i in clip.input[1:]] != [0, 6]:
            continue
        shift = makers.get(clip.input[0])
        if shift is not None and shift.op_type == "Add" and shift.input[0] == x and scalars.get(shift.input[1]) == 3:
            return str(x)
    return None
