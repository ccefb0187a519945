"""What an import rule sees of an ONNX node, and the table of import rules.

A rule `@onnx_op("Conv")` takes a `Builder` and an `OnnxNode`, emits IR nodes and returns the values of the ONNX node's
outputs. It raises ValueError where a model asks for something that cannot be had; the importer adds where that was.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

import numpy as np

from ..ir.graph import Array, Value

if TYPE_CHECKING:
    from .builder import Builder


class Subgraph(Protocol):
    """A graph that is an attribute of a node, and may read the tensors around that."""

    @property
    def inputs(self) -> Sequence[str]:
        """The names of its inputs."""

    @property
    def outputs(self) -> Sequence[str]:
        """The names of its outputs."""

    @property
    def size(self) -> int:
        """How many ONNX nodes it has, those of graphs within it included."""

    def rank(self, index: int) -> int | None:
        """The rank that it declares for its input number `index`, if it does."""

    def emit(self, b: "Builder", inputs: Sequence[Value]) -> list[Value]:
        """Its outputs for the values `inputs`, of what `b` collects; its nodes are emitted there. EdgeError names the
        node inside that cannot be."""


OnnxAttr = int | float | str | Array | Subgraph | Sequence[int] | Sequence[float] | Sequence[str] | None
"""A decoded attribute; None stands for kinds that no rule reads (types, sparse tensors, lists of graphs)."""

DTYPE_OF_ONNX: dict[int, str] = {
    1: "float32", 2: "uint8", 3: "int8", 4: "uint16", 5: "int16", 6: "int32", 7: "int64",
    9: "bool", 10: "float32", 11: "float64", 12: "uint32", 13: "uint64",
}  # fmt: skip
"""`TensorProto.DataType` -> the dtype it has in the IR. float16 is computed in float32."""

FLOAT16 = 10
"""`TensorProto.FLOAT16`."""


_NAMES: Mapping[int, str] = DTYPE_OF_ONNX | {
    8: "string", 10: "float16", 14: "complex64", 15: "complex128", 16: "bfloat16", 17: "float8e4m3fn",
    18: "float8e4m3fnuz", 19: "float8e5m2", 20: "float8e5m2fnuz", 21: "uint4", 22: "int4", 23: "float4e2m1",
    24: "float8e8m0", 25: "uint2", 26: "int2", 27: "float6e2m3", 28: "float6e3m2",
}  # fmt: skip


def type_name(data_type: int) -> str:
    """What an element type of ONNX is called."""
    return _NAMES.get(data_type, f"elements of an unknown type ({data_type})")


def dtype_of(data_type: int, what: str) -> str:
    """The dtype for an element type of ONNX; ValueError says that `what`, which ends in a verb, has none."""
    if data_type not in DTYPE_OF_ONNX:
        known = ", ".join(sorted({type_name(t) for t in DTYPE_OF_ONNX}))
        raise ValueError(f"{what} {type_name(data_type)}; supported are {known}: convert the model to one of these")
    return DTYPE_OF_ONNX[data_type]


@dataclass(frozen=True)
class OnnxNode:
    """An ONNX node whose inputs are IR values; the names of `outputs` that nothing reads are empty.

    `opset` is the version of its domain that the model imports.
    """

    op_type: str
    name: str
    opset: int
    inputs: Sequence[Value | None]
    outputs: Sequence[str]
    attrs: Mapping[str, OnnxAttr] = field(default_factory=dict)
    declared: Mapping[str, Sequence[int]] = field(default_factory=dict)
    """The shapes of those outputs for which the model states all extents."""
    in_fixed_shapes: bool = False
    """Whether the model states that the shapes of its inputs decide those of its outputs."""

    def input(self, index: int) -> Value:
        """The input number `index`; ValueError if the model leaves it out."""
        value = self.optional(index)
        if value is None:
            raise ValueError(f"input {index} is missing")
        return value

    def optional(self, index: int) -> Value | None:
        """The input number `index`, or None if the model leaves it out."""
        return self.inputs[index] if index < len(self.inputs) else None

    def has_output(self, index: int) -> bool:
        """Whether the model uses the output number `index`."""
        return index < len(self.outputs) and self.outputs[index] != ""

    def integer(self, name: str, default: int | None = None) -> int:
        """An integer attribute; required when `default` is None."""
        value = self._get(name, default)
        if not isinstance(value, int):
            raise ValueError(f"attribute {name!r} must be an integer")
        return value

    def number(self, name: str, default: float | None = None) -> float:
        """A float attribute, exact in float32; required when `default` is None."""
        value = self._get(name, default)
        if not isinstance(value, float):
            raise ValueError(f"attribute {name!r} must be a float")
        return float(np.float32(value))

    def text(self, name: str, default: str | None = None) -> str:
        """A string attribute; required when `default` is None."""
        value = self._get(name, default)
        if not isinstance(value, str):
            raise ValueError(f"attribute {name!r} must be a string")
        return value

    def graph(self, name: str) -> Subgraph:
        """A graph attribute; required."""
        value = self._get(name, None)
        if value is None or isinstance(value, int | float | str | np.ndarray | Sequence):
            raise ValueError(f"attribute {name!r} must be a graph")
        return value

    def integers(self, name: str, default: Sequence[int] | None = None) -> tuple[int, ...]:
        """A list of integers; required when `default` is None."""
        value = self._get(name, default)
        if not isinstance(value, Sequence) or isinstance(value, str) or not all(isinstance(v, int) for v in value):
            raise ValueError(f"attribute {name!r} must be a list of integers")
        return tuple(v for v in value if isinstance(v, int))

    def _get(self, name: str, default: OnnxAttr) -> OnnxAttr:
        value = self.attrs.get(name, default)
        if value is None:
            raise ValueError(f"attribute {name!r} is missing")
        return value


Rule = Callable[["Builder", OnnxNode], Value | Sequence[Value]]


@dataclass(frozen=True)
class ImportRule:
    """`import_node` serves the op from opset `since` on. `takes_codes`: it knows what to do with a quantized input."""

    since: int
    import_node: Rule
    takes_codes: bool


_RULES: dict[tuple[str, str], list[ImportRule]] = {}

MICROSOFT = "com.microsoft"
"""The domain of ONNX Runtime's contributed ops."""


def onnx_op(*op_types: str, domain: str = "", since: int = 1, takes_codes: bool = False) -> Callable[[Rule], Rule]:
    """Register the decorated rule for `op_types`; of several rules, that with the largest fitting `since` counts."""

    def register(rule: Rule) -> Rule:
        for op_type in op_types:
            _RULES.setdefault((domain, op_type), []).append(ImportRule(since, rule, takes_codes))
        return rule

    return register


def find_rule(domain: str, op_type: str, opset: int) -> ImportRule | None:
    """The rule for the op as opset `opset` defines it, or None."""
    fitting = [rule for rule in _RULES.get((domain, op_type), []) if rule.since <= opset]
    return max(fitting, key=lambda rule: rule.since, default=None)


def supported_ops() -> list[tuple[str, str]]:
    """(domain, op type) of every op that has a rule, sorted."""
    return sorted(_RULES)


def normalized_axis(axis: int, rank: int) -> int:
    """`axis` counted from the front; ValueError if there is no such dimension."""
    if not -rank <= axis < rank:
        raise ValueError(f"axis {axis} is outside a tensor of {rank} dimensions")
    return axis % rank
