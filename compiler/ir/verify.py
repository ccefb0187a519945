"""Checks that a graph keeps the rules that every pass relies on. Tests run it after each pass, `--verify` does too."""

import numpy as np

from ...errors import EdgeError
from .graph import Graph, Node, Value
from .registry import REQUIRED, OpDef, lookup
from .types import TensorType


class VerifyError(EdgeError):
    """A graph breaks a rule of the IR: a bug of whoever made it. The message names the node, its op and the rule."""


def verify(graph: Graph) -> None:
    """Raise VerifyError unless `graph` is well formed.

    Names are unique; every value is an input, a constant or the output of one earlier node; ops and attributes exist
    and the ops' own checks hold; output types are those that the ops infer; constants hold what their type says. All
    that holds within regions too, each of which has names and values of its own.
    """
    _check_names(graph)
    defined = set(graph.inputs)
    for value in graph.inputs:
        if value.is_const or value.producer is not None:
            raise VerifyError(f"the graph's input {value!r} is a constant or computed by a node")
    for node in graph.nodes:
        _check_links(node, defined)
        _check_schema(node)
        _check_regions(node)
        _check_types(node)
        defined.update(node.outputs)
    for value in graph.outputs:
        if not value.is_const and value not in defined:
            raise VerifyError(f"no node of the graph computes its output {value!r}")


def _fail(node: Node, message: str) -> VerifyError:
    return VerifyError(f"{node.op} node {node.name!r} computing {', '.join(map(repr, node.outputs))}: {message}")


def _check_names(graph: Graph) -> None:
    seen: dict[str, Value] = {}
    for value in graph.values():
        if seen.setdefault(value.name, value) is not value:
            raise VerifyError(f"two values are called {value!r}")
        if not value.name:
            raise VerifyError("a value has no name")
        if value.data is not None:
            _check_constant(value)
        _check_zero_points(value)
    for what, values in (("inputs", graph.inputs), ("outputs", graph.outputs)):
        if len(set(values)) != len(values):
            raise VerifyError(f"the graph's {what} are not distinct")


def _check_constant(value: Value) -> None:
    assert value.data is not None
    found = TensorType(tuple(value.data.shape), str(value.data.dtype))
    if (found.shape, found.dtype) != (value.type.shape, value.type.dtype):
        raise VerifyError(
            f"the constant {value!r} holds {found.dtype}{list(found.shape)}, "
            f"its type is {value.type.dtype}{list(value.type.shape)}"
        )


def _check_zero_points(value: Value) -> None:
    if value.type.quant is None:
        return
    if value.type.dtype not in ("int8", "uint8", "int16", "uint16", "int32"):
        raise VerifyError(f"{value!r} is quantized but of dtype {value.type.dtype}")
    info = np.iinfo(value.type.dtype)
    if not all(info.min <= z <= info.max for z in value.type.quant.zero_point):
        raise VerifyError(f"a zero point of {value!r} is outside the range of {value.type.dtype}")


def _check_links(node: Node, defined: set[Value]) -> None:
    for value in node.inputs:
        if not value.is_const and value not in defined:
            raise _fail(node, f"it reads {value!r}, which no earlier node computes")
    for value in node.outputs:
        if value in defined:
            raise _fail(node, f"{value!r} has been defined before")
        if value.is_const:
            raise _fail(node, f"its output {value!r} is a constant")
        if value.producer is not node:
            raise _fail(node, f"{value!r} names another node as its producer")


def _check_schema(node: Node) -> None:
    try:
        op = lookup(node.op)
    except EdgeError as e:
        raise _fail(node, str(e)) from None
    least, most = op.inputs
    if not least <= len(node.inputs) <= most:
        raise _fail(node, f"it has {len(node.inputs)} inputs, but takes {least} to {most}")
    for name in node.attrs:
        if name not in op.attrs:
            raise _fail(node, f"it has no attribute {name!r}; its attributes are {', '.join(op.attrs) or 'none'}")
    for name, default in op.attrs.items():
        if default is REQUIRED and name not in node.attrs:
            raise _fail(node, f"its attribute {name!r} is missing")


def _check_regions(node: Node) -> None:
    count = lookup(node.op).regions
    if len(node.regions) != count:
        raise _fail(node, f"it has {len(node.regions)} regions, but takes {count}")
    for region in node.regions:
        try:
            verify(region)
        except VerifyError as e:
            raise _fail(node, f"in its region {region.name!r}, {e}") from None


def _check_types(node: Node) -> None:
    op = lookup(node.op)
    try:
        inferred = op.infer(node)
    except ValueError as e:
        raise _fail(node, str(e)) from None
    if len(inferred) != len(node.outputs):
        raise _fail(node, f"it has {len(node.outputs)} outputs, but computes {len(inferred)}")
    for value, expected in zip(node.outputs, inferred, strict=True):
        if not _agrees(op, node, value.type, expected):
            raise _fail(node, f"{value!r} has the type {value.type}, but the op gives {expected}")


def _agrees(op: OpDef, node: Node, found: TensorType, expected: TensorType) -> bool:
    """Whether an output may have the type `found`; ops that compute numbers may quantize what they give."""
    if not op.requantizes or expected.quant is not None:
        return found == expected
    quantized_input = node.inputs[0].type.quant is not None
    if found.quant is None:
        # Only a map leaves the quantized world by itself; it and a convolution store floats as float16; other ops give
        # what their inputs are.
        stores = node.op in ("map", "conv2d") and expected.dtype == "float32"
        halves = stores and found == TensorType(expected.shape, "float16")
        return halves or (found == expected and (node.op == "map" or not quantized_input))
    may_quantize = expected.dtype == "float32" and (node.op == "map" or (quantized_input and found.dtype == "int8"))
    return found.shape == expected.shape and may_quantize
