"""Whether the compiler knows a value, and which options of the command line would make a constant of it."""

from ..ir.expr import In
from ..ir.graph import Value


def dequantized_constant(value: Value) -> Value | None:
    """The quantized constant that `value` is the dequantization of, or None."""
    node = value.producer
    if node is None or node.op != "map" or node.attrs.get("expr") != In(0):
        return None
    (source,) = node.inputs
    return source if source.is_const and source.type.quant is not None and value.type.quant is None else None


def not_constant(value: Value, what: str) -> ValueError:
    """The error of an op whose operand `what` must be a constant: it says which inputs of the model to fix."""
    return ValueError(
        f"its {what} ({value.name!r}) must be a constant, but is computed at run time; if it is always the same, fix "
        f"what it depends on with {options_that_fix(value)}"
    )


def options_that_fix(value: Value) -> str:
    """The command line's options that make a constant of `value`: for all inputs of the model that it depends on."""
    found, pending, inputs = {value}, [value], dict[str, None]()
    while pending:
        reached = pending.pop()
        if reached.producer is None:
            inputs.update({} if reached.is_const else {reached.name: None})
            continue
        new = [v for v in reached.producer.inputs if v not in found]
        found.update(new)
        pending.extend(new)
    return " ".join(f"--const {name}=VALUES" for name in inputs)


def known(value: Value) -> bool:
    """Whether the compiler knows the value: a constant or a dequantized one."""
    return value.is_const or dequantized_constant(value) is not None
