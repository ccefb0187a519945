"""The value of an expression: one operation of numpy per call, in tree order."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from .expr import Call, Const, Expr, In
from .expr_dtypes import infer_dtype, weak_dtype
from .functions import FUNCTIONS, Array, Functions, convert


def evaluate(expr: Expr, inputs: Sequence[Array], functions: Functions = FUNCTIONS) -> Array:
    """The value of `expr` over broadcast `inputs`; its dtype is `infer_dtype` of theirs. `functions` are as
    `FUNCTIONS`, which are rounded once, or those that kernels compute (`arrays.py`)."""
    value = _evaluate(expr, inputs, functions)
    return (
        value if isinstance(value, np.ndarray) else np.asarray(value, infer_dtype(expr, [str(x.dtype) for x in inputs]))
    )


def _evaluate(expr: Expr, inputs: Sequence[Array], functions: Functions) -> Any:
    """An array, or a Python scalar (which is weak) when no input is read."""
    if isinstance(expr, In):
        return inputs[expr.index]
    if isinstance(expr, Const):
        return expr.value
    args = [_evaluate(a, inputs, functions) for a in expr.args]
    weak = not any(isinstance(a, np.ndarray) for a in args)
    with np.errstate(all="ignore"):
        if expr.fn == "cast":
            return convert(np.asarray(args[0]), expr.dtype)
        if expr.fn == "where" and not weak and not any(isinstance(a, np.ndarray) for a in args[1:]):
            args[1:] = (np.asarray(a, weak_dtype(args[1], args[2])) for a in args[1:])
        result = functions[expr.fn][1](*args)
    return np.asarray(result).item() if weak else np.asarray(result)


def fold(expr: Expr) -> Expr:
    """`expr` with a literal wherever a call is made of literals alone, so that code computes none."""
    if not isinstance(expr, Call):
        return expr
    args = tuple(fold(a) for a in expr.args)
    folded = Call(expr.fn, args, expr.dtype)
    literal = expr.fn != "cast" and all(isinstance(a, Const) for a in args)
    return Const(_evaluate(folded, [], FUNCTIONS)) if literal else folded
