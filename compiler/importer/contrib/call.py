"""The node that a body is written for."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any

from onnx import NodeProto

from ...ir.graph import Array, Value
from ...ir.types import TensorType


@dataclass(frozen=True)
class Call:
    """A node to be spelled out: its inputs and their types, None for those it leaves out, and its attributes."""

    node: NodeProto
    inputs: Sequence[Value | None]
    attributes: Mapping[str, Any]

    @property
    def types(self) -> Sequence[TensorType | None]:
        """Of the inputs."""
        return [None if value is None else value.type for value in self.inputs]

    def has(self, index: int) -> bool:
        """Whether the input number `index` is there."""
        return index < len(self.inputs) and self.inputs[index] is not None

    def constant(self, index: int) -> Array | None:
        """The input number `index` where it is known."""
        value = self.inputs[index] if index < len(self.inputs) else None
        return None if value is None else value.data

    def shape(self, index: int) -> tuple[int, ...]:
        """The shape of the input number `index`; ValueError if it is left out."""
        type = self.types[index] if index < len(self.types) else None
        if type is None:
            raise ValueError(f"input {index} is missing")
        return type.shape

    def number(self, name: str, default: float | None = None) -> Any:
        """A numeric attribute; required without a default."""
        value = self.attributes.get(name, default)
        if not isinstance(value, int | float) or not isfinite(value):
            raise ValueError(f"attribute {name!r} must be a finite number")
        return value

    def given(self, **names: str) -> str:
        """Those of the numeric attributes that the node has, under other names, as a list of attributes."""
        present = {name: self.number(source) for name, source in names.items() if source in self.attributes}
        return "<" + ", ".join(f"{name} = {value!r}" for name, value in present.items()) + ">" if present else ""

    def uses(self, output: int) -> bool:
        """Whether the model reads the output number `output`."""
        return output < len(self.node.output) and self.node.output[output] != ""

    def refuse_outputs(self, *outputs: int) -> None:
        """ValueError if one of them is read."""
        if any(map(self.uses, outputs)):
            raise ValueError(f"its outputs {' and '.join(map(str, outputs))} are for training; others are supported")
