"""Numbers stored as float16 and computed in float32."""

import numpy as np

from ..ir.graph import Array
from ..ir.types import LARGEST_HALF


def rounded(x: Array) -> Array:
    """float32 -> the nearest float16, half to even; what is beyond the largest is the largest, NaN stays."""
    return np.clip(x, -LARGEST_HALF, LARGEST_HALF).astype(np.float16)


def widened(x: Array) -> Array:
    """float16 -> float32, exactly; other types as they are."""
    return x.astype(np.float32) if x.dtype == np.float16 else x


def stored(x: Array, dtype: str) -> Array:
    """`x` as a tensor of `dtype` holds it: floats are rounded if that is float16."""
    return rounded(x) if dtype == "float16" and x.dtype != np.float16 else x
