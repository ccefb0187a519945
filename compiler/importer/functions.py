"""Nodes that are defined by other nodes: the model's own functions, and the ops that the standard defines that way."""

from collections.abc import Container, Iterable, Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np
import onnx
from onnx import AttributeProto, FunctionProto, GraphProto, NodeProto, helper

from ..ir.extent import Extent
from ..ir.graph import Value
from ..ir.types import TensorType
from .contrib import contrib_body, is_contrib

Key = tuple[str, str, str]
"""(domain, name, overload) of a function of the model."""


def local_functions(proto: onnx.ModelProto) -> dict[Key, FunctionProto]:
    """The functions that come with the model."""
    return {(_plain(f.domain), f.name, f.overload): f for f in proto.functions}


def is_function(functions: Container[Key], node: NodeProto, opset: int) -> bool:
    """Whether other nodes define `node`, of version `opset` of its domain: in the model, in ONNX, or in `contrib`."""
    schema = _schema(_plain(node.domain), node.op_type, opset)
    standard = schema is not None and (schema.has_function or schema.has_context_dependent_function)
    return key_of(node) in functions or bool(standard) or is_contrib(_plain(node.domain), node.op_type)


def key_of(node: NodeProto) -> Key:
    """Which function of a model the node would call."""
    return _plain(node.domain), node.op_type, node.overload


def standard_body(node: NodeProto, domain: str, opset: int, inputs: Sequence[Value | None]) -> FunctionProto | None:
    """The body that the standard, or `contrib`, gives an op for these inputs; None where it has none."""
    if (contributed := contrib_body(domain, node, inputs)) is not None:
        return contributed
    schema = _schema(domain, node.op_type, opset)
    if schema is None:
        return None
    body = FunctionProto()
    if schema.has_function:
        body.ParseFromString(schema.get_function_with_opset_version(_latest(schema.function_opset_versions, opset)))
    elif schema.has_context_dependent_function:
        version = _latest(schema.context_dependent_function_opset_versions, opset)
        types = [_type_proto(None if v is None else v.type).SerializeToString() for v in inputs]
        found = schema.get_context_dependent_function_with_opset_version(version, node.SerializeToString(), types)
        body.ParseFromString(found)
    if not body.node:
        return None
    given = {a.name for a in body.attribute_proto}
    for name, attribute in schema.attributes.items():
        if name not in given and attribute.default_value.type != AttributeProto.UNDEFINED:
            body.attribute_proto.append(attribute.default_value)
    return body


def opsets_of(function: FunctionProto, outer: Mapping[str, int]) -> Mapping[str, int]:
    """The opsets that the function's nodes are of, where `outer` are those of the caller."""
    return {**outer, **{_plain(o.domain): o.version for o in function.opset_import}}


def called(function: FunctionProto, node: NodeProto, outputs: Sequence[str]) -> GraphProto:
    """The function as `node` calls it: the inputs are those that the node has, the outputs those that are not empty in
    `outputs`; attributes have the values that the node gives them, and the body's reads of inputs that the node leaves
    out are left out too. ValueError when the node has more inputs or outputs than the function."""
    if len(node.input) > len(function.input) or len(outputs) > len(function.output):
        raise ValueError(
            f"it has {len(node.input)} inputs and {len(outputs)} outputs, but the function {function.name!r} has "
            f"{len(function.input)} and {len(function.output)}"
        )
    present = [formal for formal, actual in zip(function.input, node.input, strict=False) if actual]
    attributes = {a.name: a for a in (*function.attribute_proto, *node.attribute)}
    absent = set(function.input).difference(present)
    graph = GraphProto(name=function.name, value_info=function.value_info)
    graph.input.extend(helper.make_value_info(name, onnx.TypeProto()) for name in present)
    graph.output.extend(
        helper.make_value_info(formal, onnx.TypeProto())
        for formal, actual in zip(function.output, outputs, strict=False)
        if actual
    )
    graph.node.extend(_substituted(function.node, attributes, absent))
    return graph


def _substituted(
    nodes: Iterable[NodeProto], attributes: Mapping[str, AttributeProto], absent: set[str]
) -> Iterable[NodeProto]:
    """Copies of `nodes`, subgraphs included, with references to attributes resolved and `absent` inputs left out."""
    for node in nodes:
        copy = NodeProto()
        copy.CopyFrom(node)
        copy.input[:] = ["" if name in absent else name for name in node.input]
        del copy.attribute[:]
        for attribute in node.attribute:
            value = AttributeProto()
            if not attribute.ref_attr_name:
                value.CopyFrom(attribute)
            elif attribute.ref_attr_name in attributes:
                value.CopyFrom(attributes[attribute.ref_attr_name])
                value.name = attribute.name
            else:
                continue  # the standard: an attribute without value is not there
            for graph in (value.g, *value.graphs):
                inner = list(_substituted(graph.node, attributes, absent))
                del graph.node[:]
                graph.node.extend(inner)
            copy.attribute.append(value)
        yield copy


@cache
def _schema(domain: str, op_type: str, opset: int) -> Any:  # onnx's stubs lack what is read of it
    """The op's `OpSchema`, or None."""
    try:
        return onnx.defs.get_schema(op_type, opset, domain)
    except onnx.defs.SchemaError:
        return None


def _latest(versions: Sequence[int], opset: int) -> int:
    """The newest body that the opset may use."""
    return max((v for v in versions if v <= opset), default=min(versions))


def _type_proto(type: TensorType | None) -> onnx.TypeProto:
    if type is None:
        return onnx.TypeProto()
    extents = [None if isinstance(d, Extent) else d for d in type.shape]
    return helper.make_tensor_type_proto(helper.np_dtype_to_tensor_dtype(np.dtype(type.dtype)), extents)


def _plain(domain: str) -> str:
    return "" if domain == "ai.onnx" else domain
