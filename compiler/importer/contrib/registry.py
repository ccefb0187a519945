"""The bodies by op, as functions of ONNX."""

from collections.abc import Callable, Sequence

import onnx
from onnx import FunctionProto, NodeProto, helper

from ...ir.graph import Value
from ...ops.onnx_node import MICROSOFT
from .call import Call

OPSET = 24
"""What the bodies are written in."""

_Body = Callable[[Call], str]
_BODIES: dict[tuple[str, str], tuple[str, str, _Body]] = {}


def function(name: str, inputs: str, outputs: str, domain: str = MICROSOFT) -> Callable[[_Body], _Body]:
    """Register the body of an op: the lines between its inputs and outputs, for a node. It raises ValueError where the
    node has no such form."""

    def register(body: _Body) -> _Body:
        _BODIES[domain, name] = (inputs, outputs, body)
        return body

    return register


def contrib_body(domain: str, node: NodeProto, operands: Sequence[Value | None]) -> FunctionProto | None:
    """What `node` is made of; None if nothing is known. ValueError where it has no such form."""
    if (domain, node.op_type) not in _BODIES:
        return None
    inputs, outputs, body = _BODIES[domain, node.op_type]
    attributes = {a.name: helper.get_attribute_value(a) for a in node.attribute}
    if len(operands) > len(inputs.split(", ")):
        raise ValueError(f"it has {len(operands)} inputs; at most {len(inputs.split(', '))} are known")
    head = f'<domain: "{MICROSOFT}", opset_import: ["": {OPSET}, "{MICROSOFT}": 1]>'
    lines = body(Call(node, operands, attributes))
    text = f"{head} {node.op_type} ({inputs}) => ({outputs}) {{ {lines} }}"
    function: FunctionProto = onnx.parser.parse_function(text)
    return function


def is_contrib(domain: str, op_type: str) -> bool:
    """Whether there is a body for the op."""
    return (domain, op_type) in _BODIES
