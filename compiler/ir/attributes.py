"""Typed access to a node's attributes. Each function raises ValueError when the attribute has another type."""

from collections.abc import Sequence

from .expr import Call, Const, Expr, In
from .graph import Attr, Node
from .registry import attr
from .types import Quant


def _wrong(name: str, value: Attr, wanted: str) -> ValueError:
    return ValueError(f"attribute {name!r} is {value!r}, but must be {wanted}")


def int_attr(node: Node, name: str, least: int | None = None) -> int:
    """An integer, at least `least`."""
    value = attr(node, name)
    if not isinstance(value, int) or isinstance(value, bool):
        raise _wrong(name, value, "an integer")
    if least is not None and value < least:
        raise _wrong(name, value, f"at least {least}")
    return value


def ints_attr(node: Node, name: str, count: int | None = None, least: int | None = None) -> tuple[int, ...]:
    """A tuple of `count` integers (any number when None), each at least `least`."""
    value = attr(node, name)
    wanted = "a tuple of integers" if count is None else f"a tuple of {count} integers"
    if not isinstance(value, tuple) or (count is not None and len(value) != count):
        raise _wrong(name, value, wanted)
    items = tuple(v for v in value if isinstance(v, int) and not isinstance(v, bool))
    if len(items) != len(value):
        raise _wrong(name, value, wanted)
    if least is not None and any(v < least for v in items):
        raise _wrong(name, value, f"{wanted}, each at least {least}")
    return items


def number_attr(node: Node, name: str) -> int | float:
    """A number, integers exact."""
    value = attr(node, name)
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise _wrong(name, value, "a number")
    return value


def float_attr(node: Node, name: str) -> float:
    """A number."""
    return float(number_attr(node, name))


def bool_attr(node: Node, name: str) -> bool:
    """True or False."""
    value = attr(node, name)
    if not isinstance(value, bool):
        raise _wrong(name, value, "True or False")
    return value


def str_attr(node: Node, name: str, allowed: Sequence[str]) -> str:
    """One of the words `allowed`."""
    value = attr(node, name)
    if not isinstance(value, str) or value not in allowed:
        raise _wrong(name, value, "one of " + ", ".join(allowed))
    return value


def expr_attr(node: Node, name: str) -> Expr:
    """A scalar expression."""
    value = attr(node, name)
    if not isinstance(value, In | Const | Call):
        raise _wrong(name, value, "an expression")
    return value


def activation_attr(node: Node, name: str) -> Expr | None:
    """A unary expression, or None for the identity."""
    return None if attr(node, name) is None else expr_attr(node, name)


def quant_attr(node: Node, name: str) -> Quant | None:
    """A per-tensor quantization, or None."""
    value = attr(node, name)
    if value is not None and not (isinstance(value, Quant) and value.axis is None):
        raise _wrong(name, value, "a per-tensor quantization")
    return value


def layout_attr(node: Node) -> str:
    """ "NCHW" or "NHWC"."""
    return str_attr(node, "layout", ("NCHW", "NHWC"))
