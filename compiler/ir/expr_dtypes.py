"""The dtype of an expression: operands have one dtype, and literals take the dtype that they meet."""

from collections.abc import Sequence

import numpy as np

from .expr import Call, Const, Expr, In
from .types import DTYPES

_WEAK_DEFAULT = {"bool": "bool", "int": "int64", "float": "float32"}
"""The dtype that a literal takes where it meets no operand."""

_FLOAT_ONLY = frozenset(
    {
        "exp", "log", "sqrt", "tanh", "erf", "floor", "ceil", "round", "sin", "cos", "tan", "asin", "acos", "atan",
        "sinh", "cosh", "asinh", "acosh", "atanh", "isnan", "isinf",
    }
)  # fmt: skip
_INTEGER_ONLY = frozenset({"bit_and", "bit_or", "bit_xor", "bit_not", "shift_left", "shift_right"})
_PREDICATES = frozenset({"eq", "lt", "le", "isnan", "isinf"})


def weak_dtype(*literals: float) -> str:
    """The dtype that literals take together where they meet no operand."""
    kinds = {type(literal).__name__ for literal in literals}
    return _WEAK_DEFAULT["float" if "float" in kinds else "int" if "int" in kinds else "bool"]


def infer_dtype(expr: Expr, inputs: Sequence[str]) -> str:
    """The dtype of `expr` over inputs of these dtypes; ValueError when operands do not go together.

    Operands must have one dtype (there is no promotion: `cast` says it); a literal takes the dtype it meets.
    """
    dtype = _infer(expr, inputs)
    return _WEAK_DEFAULT.get(dtype.removeprefix("weak "), dtype) if dtype.startswith("weak ") else dtype


def _infer(expr: Expr, inputs: Sequence[str]) -> str:
    """A dtype, or "weak bool", "weak int", "weak float" for what is made of literals only."""
    if isinstance(expr, In):
        if not 0 <= expr.index < len(inputs):
            raise ValueError(f"the expression reads input %{expr.index}, but there are {len(inputs)} inputs")
        return inputs[expr.index]
    if isinstance(expr, Const):
        return f"weak {type(expr.value).__name__}"
    args = [_infer(a, inputs) for a in expr.args]
    if expr.fn == "cast":
        if expr.dtype not in DTYPES:
            raise ValueError(f"cast to unknown dtype {expr.dtype!r}")
        return expr.dtype
    if expr.fn == "where":
        _require_bool(expr.fn, args[:1])
        joined = _join(expr, args[1:])
        weak = joined.startswith("weak ") and not args[0].startswith("weak ")
        return _WEAK_DEFAULT[joined.removeprefix("weak ")] if weak else joined
    if expr.fn in ("and", "or", "not"):
        _require_bool(expr.fn, args)
        return "weak bool" if all(a.startswith("weak ") for a in args) else "bool"
    joined = _join(expr, args)
    if joined.endswith("bool") and expr.fn not in ("eq", "lt", "le"):
        raise ValueError(f"{expr.fn} does not take bool")
    if expr.fn in _FLOAT_ONLY and "float" not in joined and joined != "weak int":
        raise ValueError(f"{expr.fn} takes a floating point operand, not {joined}")
    if expr.fn in _INTEGER_ONLY and "float" in joined:
        raise ValueError(f"{expr.fn} takes integers, not {joined}")
    if expr.fn in _PREDICATES:
        return "weak bool" if joined.startswith("weak ") else "bool"
    return "weak float" if expr.fn in _FLOAT_ONLY and joined == "weak int" else joined


def _require_bool(fn: str, dtypes: Sequence[str]) -> None:
    for dtype in dtypes:
        if not dtype.endswith("bool"):
            raise ValueError(f"{fn} takes bool, not {dtype}")


def _join(expr: Call, dtypes: Sequence[str]) -> str:
    """The one dtype of operands that meet."""
    strong = sorted({d for d in dtypes if not d.startswith("weak ")})
    weak = {d.removeprefix("weak ") for d in dtypes if d.startswith("weak ")}
    if len(strong) > 1:
        raise ValueError(f"{expr.fn} of {' and '.join(strong)}: operands must have one dtype; cast one of them")
    if not strong:
        return "weak " + ("float" if "float" in weak else "int" if "int" in weak else "bool")
    accepted = {"bool"} if strong[0] == "bool" else {"int", "float"} if "float" in strong[0] else {"int"}
    if weak - accepted:
        raise ValueError(
            f"{expr.fn} of {strong[0]} and a {'/'.join(sorted(weak - accepted))} literal: cast one of them"
        )
    for a in expr.args:
        if "int" in strong[0] and isinstance(a, Const) and not _fits(int(a.value), strong[0]):
            raise ValueError(f"the literal {a.value} is outside the range of {strong[0]}")
    return strong[0]


def _fits(value: int, dtype: str) -> bool:
    info = np.iinfo(dtype)
    return int(info.min) <= value <= int(info.max)
