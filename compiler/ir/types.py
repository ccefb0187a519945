"""Tensor types. Quantization is part of the type, so a `conv2d` over quantized types *is* the integer
convolution and no second family of ops exists."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]

DTYPES = (
    "float32", "float16", "float64", "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "bool", "uint64",
)  # fmt: skip
"""Element types; the order is that of `edge_dtype` in the runtime's interface."""

FLOATS = ("float32", "float64")
"""The floating point types that are computed in; float16 is how real numbers are stored."""

LARGEST_HALF = 65504.0
"""The largest float16. What is beyond is stored as the largest, not as infinity."""

SMALLEST_HALF = 2.0**-24
"""The smallest float16 that is not 0."""


@dataclass(frozen=True)
class Quant:
    """Affine quantization, real = (q - zero_point) * scale; per tensor (`axis` None) or per channel.

    `scale` holds float32 values (as Python floats that are exact in float32), `zero_point` integers;
    both have one entry per tensor, or one per index of dimension `axis`.
    """

    scale: tuple[float, ...]
    zero_point: tuple[int, ...]
    axis: int | None = None

    def __post_init__(self) -> None:
        if len(self.scale) != len(self.zero_point):
            raise ValueError(f"{len(self.scale)} scales but {len(self.zero_point)} zero points")
        if self.axis is None and len(self.scale) != 1:
            raise ValueError("per-tensor quantization takes exactly one scale")
        if not all(np.isfinite(s) and s > 0 for s in self.scale):
            raise ValueError("a quantization scale must be finite and positive")

    @staticmethod
    def per_tensor(scale: float, zero_point: int = 0) -> "Quant":
        """One scale (rounded to float32) and zero point for the whole tensor."""
        return Quant((float(np.float32(scale)),), (int(zero_point),))

    def broadcast(self, rank: int) -> tuple[Array, Array]:
        """Scale (float32) and zero point (int32) as arrays that broadcast against a tensor of `rank`."""
        shape = [1] * rank
        if self.axis is not None:
            shape[self.axis] = len(self.scale)
        scale = np.array(self.scale, np.float32).reshape(shape)
        return scale, np.array(self.zero_point, np.int32).reshape(shape)


@dataclass(frozen=True)
class TensorType:
    """Shape, element type and, where the elements stand for real numbers, their quantization."""

    shape: tuple[int, ...]
    dtype: str
    quant: Quant | None = None

    def __post_init__(self) -> None:
        if self.dtype not in DTYPES:
            raise ValueError(f"unknown dtype {self.dtype!r}; known: {', '.join(DTYPES)}")
        if any(d < 0 for d in self.shape):
            raise ValueError(f"negative extent in shape {self.shape}")
        if self.quant is not None and self.quant.axis is not None:
            axis, channels = self.quant.axis, len(self.quant.scale)
            if not 0 <= axis < len(self.shape) or self.shape[axis] != channels:
                raise ValueError(f"{channels} scales along axis {axis} do not fit the shape {list(self.shape)}")

    @property
    def size(self) -> int:
        """Number of elements."""
        n = 1
        for d in self.shape:
            n *= d
        return n

    @property
    def nbytes(self) -> int:
        """Bytes of the dense tensor."""
        return self.size * np.dtype(self.dtype).itemsize

    @property
    def rank(self) -> int:
        """Number of dimensions."""
        return len(self.shape)

    def with_shape(self, shape: tuple[int, ...]) -> "TensorType":
        """The same elements' type in another shape (not for per-channel types whose axis would move)."""
        return TensorType(tuple(shape), self.dtype, self.quant)


def broadcast_shapes(shapes: Sequence[tuple[int, ...]]) -> tuple[int, ...]:
    """The numpy broadcast of `shapes`, also of symbolic extents, which count as larger than 1; ValueError names them if
    there is none."""
    rank = max((len(s) for s in shapes), default=0)
    padded = [(1,) * (rank - len(s)) + tuple(s) for s in shapes]
    result = []
    for dims in zip(*padded, strict=True):
        extents = [d for d in dims if d != 1] or [1]
        if any(d != extents[0] for d in extents):
            raise ValueError("the shapes " + " and ".join(str(list(s)) for s in shapes) + " do not broadcast")
        result.append(extents[0])
    return tuple(result)
