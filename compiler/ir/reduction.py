"""Kinds of reductions, and what they give for no elements."""

from typing import Literal, get_args

import numpy as np

Kind = Literal["sum", "mean", "max", "min", "prod", "l1", "l2", "sum_square"]

KINDS: tuple[str, ...] = get_args(Kind)


def identity(kind: str, dtype: str) -> float:
    """The result of no elements of `dtype`, which every element joins: 0, 1, or the end of the range that is furthest
    away (infinity, where there is one). A mean has none; its sum does."""
    if kind == "prod":
        return 1
    if kind not in ("max", "min"):
        return 0
    if "float" in dtype:
        return -np.inf if kind == "max" else np.inf
    info = np.iinfo(dtype)
    return int(info.min if kind == "max" else info.max)
