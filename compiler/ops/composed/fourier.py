"""ONNX's DFT and STFT: products with constant matrices, of which long transforms take several small ones."""

from collections.abc import Callable
from dataclasses import dataclass
from math import isqrt, prod

import numpy as np

from ...ir.expr import In, call
from ...ir.graph import Array, Value
from ..builder import Builder
from ..matmul import multiply
from ..onnx_node import OnnxNode, normalized_axis, onnx_op
from ..slice import emit_slice, whole
from ..spatial import require_fixed

DIRECT = 2**20
"""Elements of a matrix that transforms by itself; larger ones are split where the length has factors."""

MAX_MATRIX = 2**24
"""Elements of a matrix that cannot be split."""

MAX_LENGTH = 2**22
"""Points of a transform."""

MAX_FRAMES = 2**26
"""Elements of all frames of an STFT."""


@dataclass(frozen=True)
class _Transform:
    """`length` points; `inverse`, and of or to a `onesided` spectrum, the first half of that of a real signal."""

    length: int
    inverse: bool
    onesided: bool

    @property
    def taken(self) -> int:
        """Elements of the input that count."""
        return self.length // 2 + 1 if self.inverse and self.onesided else self.length

    @property
    def given(self) -> tuple[int, int]:
        """Extents of the result: points, and 1 for real or 2 for complex ones."""
        if not self.onesided:
            return self.length, 2
        return (self.length, 1) if self.inverse else (self.length // 2 + 1, 2)

    def __call__(self, x: Array) -> Array:
        """The transform of x [..., n, 1 or 2], float64."""
        signal = x[..., 0] + (1j * x[..., 1] if x.shape[-1] == 2 else 0)
        if self.inverse and self.onesided:
            return np.asarray(np.fft.irfft(signal, self.length))[..., None]
        y = (np.fft.ifft if self.inverse else np.fft.fft)(signal, self.length)
        return np.stack([y.real, y.imag], -1)[..., : self.given[0], :]


@onnx_op("DFT", since=17)
def _dft_17(b: Builder, node: OnnxNode) -> Value:
    return _dft(b, node, node.integer("axis", 1))


@onnx_op("DFT", since=20)
def _dft_20(b: Builder, node: OnnxNode) -> Value:
    axis = node.optional(2)
    return _dft(b, node, -2 if axis is None else _integer(b, axis, "axis"))


def _integer(b: Builder, value: Value, what: str) -> int:
    values = b.ints(value, what)
    if len(values) != 1:
        raise ValueError(f"its {what} must be one number, not {list(values)}")
    return values[0]


def _dft(b: Builder, node: OnnxNode, axis: int) -> Value:
    x, given = node.input(0), node.optional(1)
    axis, rank = normalized_axis(axis, x.type.rank), x.type.rank
    if axis == rank - 1 or x.type.shape[-1] not in (1, 2):
        raise ValueError(f"axis {axis} of {list(x.type.shape)}: signals end in a dimension of 1 or 2 of their own")
    inverse, onesided = bool(node.integer("inverse", 0)), bool(node.integer("onesided", 0))
    before = x.type.shape[axis]
    length = 2 * (before - 1) if inverse and onesided else before
    if given is not None:
        length = _integer(b, given, "dft_length")
    order = [i for i in range(rank) if i not in (axis, rank - 1)]
    perm = (*order, axis, rank - 1)
    moved = b.transpose(x, perm)
    y = transformed(b, moved, _Transform(length, inverse, onesided))
    return b.transpose(y, [perm.index(i) for i in range(rank)])


def transformed(b: Builder, x: Value, f: _Transform, weights: Array | None = None) -> Value:
    """x [..., n, c], times `weights` [n] -> [..., m, c']."""
    *rest, n, c = x.type.shape
    require_fixed((n, f.length), "the signal's length")
    if not 0 < f.length < MAX_LENGTH or not n:
        raise ValueError(f"it transforms {n} elements to {f.length}; lengths of 1 to {MAX_LENGTH} are supported")
    n = min(n, f.taken)
    x = b.reshape(emit_slice(b, x, [*map(whole, rest), whole(n), whole(c)]), (prod(rest), n, c))
    window = np.ones(n) if weights is None else weights[:n].astype(np.float64)
    elements = n * c * prod(f.given)
    if elements <= DIRECT or (_factor(f.length) == 1 and elements <= MAX_MATRIX):
        y = _applied(b, x, lambda basis: f(basis * window[:, None]))
    else:
        if weights is not None:
            x = b.map(call("mul", In(0), In(1)), x, b.constant(window[:, None].astype(x.type.dtype)))
        y = _long(b, _whole(b, x, f), f.inverse)
        y = emit_slice(b, y, [whole(prod(rest)), *map(whole, f.given)])
    return b.reshape(y, (*rest, *f.given))


def _applied(b: Builder, x: Value, f: Callable[[Array], Array]) -> Value:
    """The linear function `f` of x [..., n, c], as a product with the matrix of its values at unit vectors."""
    *rest, n, c = x.type.shape
    columns = f(np.eye(n * c).reshape(n * c, n, c))
    matrix = b.constant(columns.reshape(n * c, -1).astype(x.type.dtype))
    return b.reshape(multiply(b, b.reshape(x, (prod(rest), n * c)), matrix), (*rest, *columns.shape[1:]))


def _whole(b: Builder, x: Value, f: _Transform) -> Value:
    """x [P, n, c] as the complex [P, length, 2]: zeros at the end, or the other half of a onesided spectrum."""
    rows, n, c = x.type.shape
    pads = (0, 0, 0, 0, f.taken - n, 2 - c)
    x = b.emit("pad", x, pads=pads, value=0.0, mode="constant") if any(pads) else x
    if f.taken == f.length:
        return x
    mirrored = range(f.length - f.taken, 0, -1)
    rest = emit_slice(b, x, [whole(rows), mirrored, whole(2)])
    conjugate = b.constant(np.array([1, -1], x.type.dtype))
    return b.emit("concat", x, b.map(call("mul", In(0), In(1)), rest, conjugate), axis=1)


def _long(b: Builder, x: Value, inverse: bool) -> Value:
    """The transform of x [P, n, 2] by those of the factors of n = p * q (Cooley & Tukey, 1965).

    Input element j = q * j1 + j2, output element k = k1 + p * k2: sums over j1, rotations by j2 * k1, sums over j2.
    """
    rows, n, _ = x.type.shape
    p = _factor(n)
    if 4 * n * n <= DIRECT or (p == 1 and 4 * n * n <= MAX_MATRIX):
        return _applied(b, x, _Transform(n, inverse, False))
    if p == 1:
        raise ValueError(f"its length has the prime factor {n}, which is too large; use a length with small factors")
    q = n // p
    columns = b.transpose(b.reshape(x, (rows, p, q, 2)), (0, 2, 1, 3))  # [P, j2, j1]
    first = b.reshape(_long(b, b.reshape(columns, (rows * q, p, 2)), inverse), (rows, q, p, 2))  # [P, j2, k1]
    angle = (2 if inverse else -2) * np.pi * np.outer(np.arange(q), np.arange(p)) / n
    swapped = emit_slice(b, first, [whole(rows), whole(q), whole(p), range(2)[::-1]])
    cosine, sine = np.cos(angle)[..., None], np.stack([-np.sin(angle), np.sin(angle)], -1)
    rotation = call("add", call("mul", In(0), In(1)), call("mul", In(2), In(3)))
    turns = [b.constant(a.astype(x.type.dtype)) for a in (cosine, sine)]
    turned = b.map(rotation, first, turns[0], swapped, turns[1])
    lines = b.reshape(b.transpose(turned, (0, 2, 1, 3)), (rows * p, q, 2))  # [P, k1, j2]
    second = b.reshape(_long(b, lines, inverse), (rows, p, q, 2))  # [P, k1, k2]
    return b.reshape(b.transpose(second, (0, 2, 1, 3)), (rows, n, 2))


def _factor(n: int) -> int:
    """The largest divisor up to the square root."""
    return next(p for p in range(isqrt(n), 0, -1) if n % p == 0)


@onnx_op("STFT", since=17)
def _stft(b: Builder, node: OnnxNode) -> Value:
    """Frames of the signal, each weighted and transformed."""
    signal, window, given = node.input(0), node.optional(2), node.optional(3)
    step = _integer(b, node.input(1), "frame_step")
    if signal.type.rank not in (2, 3) or (signal.type.rank == 3 and signal.type.shape[2] not in (1, 2)):
        raise ValueError(f"its signal has the shape {list(signal.type.shape)}, but must be [batch, length, 1 or 2]")
    batch, extent, *parts = signal.type.shape
    require_fixed((batch, extent), "the signal's extents")
    if given is None and window is None:
        raise ValueError("a window or a frame_length must be given")
    weights = None if window is None else b.array(window, "window")
    length = _integer(b, given, "frame_length") if given is not None else window.type.size if window is not None else 0
    if not 0 < length <= extent or step < 1 or (weights is not None and weights.shape != (length,)):
        raise ValueError(f"frames of {length}, {step} apart, with that window do not fit a signal of {extent} elements")
    frames = (extent - length) // step + 1
    if (elements := batch * frames * length) > MAX_FRAMES:
        raise ValueError(f"its frames have {elements} elements in all; at most {MAX_FRAMES} are supported")
    places = np.arange(frames)[:, None] * step + np.arange(length)
    seen = b.emit("gather", signal, b.constant(places.astype(np.int64)), axis=1)
    cut = b.reshape(seen, (batch, frames, length, *(parts or [1])))
    return transformed(b, cut, _Transform(length, False, bool(node.integer("onesided", 1))), weights)
