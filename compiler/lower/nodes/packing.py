"""Weights as `kernels/convolutions/conv.py` reads them: packed by the compiler or, if computed, by a step."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import Protocol

import numpy as np

from ....errors import EdgeError
from ...ir.extent import ceil_div, largest, less
from ...ir.graph import Array, Node
from ...ir.types import TensorType
from ...kernels.convolutions import conv, pack
from ...kernels.convolutions.rescale import SCALINGS, Scaling
from ...ops import epilogue as op
from ..buffers import Ref
from ..context import Context
from ..copies import strided_copy
from ..iteration import strides
from .epilogue import Epilogue, constant_weights
from .pack import fitting_steps, int8_parts, pack_dense, pack_headers

MAX_BATCH = 2
"""Batch dimensions that a kernel walks."""

ENOUGH = 0.5
"""The share of steps that fit int16 from which telling them apart gains."""

SLACK = 32
"""Bytes behind weights whose steps fit or are marked, which are read a step ahead, up to 88 bytes behind the last;
64 follow all weights."""


@dataclass(frozen=True)
class Packed:
    """Equally shaped matrices one after the other, each `blocks` of `block_bytes`. A run has `groups` groups; a weight
    is the sum of `parts` numbers; with `full_range` some are -128. `marked`: blocks have marks. `fitting`: all steps
    fit int16. `scaling`: of all sums.
    `fresh`: the step before packed them."""

    where: Ref
    blocks: int
    block_bytes: int
    groups: int
    parts: int = 1
    full_range: bool = False
    marked: bool = False
    fitting: bool = False
    scaling: Scaling = "medium"
    fresh: bool = False

    @property
    def matrix_bytes(self) -> int:
        """Bytes of one matrix."""
        return self.blocks * self.block_bytes


@dataclass(frozen=True)
class Source:
    """Where computed matrices lie: a batch of [taps, length, channels], and the bytes between neighbours along each
    dimension. Channels or the elements of a run are contiguous."""

    where: Ref
    batch: Sequence[int]
    batch_strides: Sequence[int]
    extents: Sequence[int]
    strides: Sequence[int]


def group_of(dtype: str) -> int:
    """Elements that the kernels multiply and add at once."""
    return 4 if dtype == "int8" else 1


def groups_of(length: int, dtype: str) -> int:
    """Groups that hold a run of `length` elements; or as many as whole steps of the kernels have, if that are not many
    more: there need not be code for the others then."""
    groups = ceil_div(length, group_of(dtype))
    more = -groups % conv.STEPS[dtype]
    return groups + more * less(8 * more - 1, groups) if dtype == "int8" else groups


def pack_constant(c: Context, taps: Array, epilogue: Epilogue) -> Packed:
    """taps: [matrices, taps, length, channels], as they are multiplied."""
    dtype, columns = epilogue.dtype, c.target.columns
    parts = int8_parts(taps) if dtype == "int8" else [taps]
    matrices, count, length, channels = taps.shape
    stacked = np.stack(parts, axis=2).reshape(matrices, count * len(parts), length, channels)
    groups, group = groups_of(length, dtype), group_of(dtype)
    if count == len(parts) == 1 and dtype == "int8":
        groups += groups % 2  # of a single run an odd group costs more than two
    padded = np.pad(stacked, ((0, 0), (0, 0), (0, groups * group - length), (0, 0)))
    channels_first = taps.transpose(0, 3, 1, 2)
    scaling = max(map(epilogue.scaling, channels_first), key=SCALINGS.index)
    full_range = dtype == "int8" and bool((stacked == -128).any())
    marks = _marks(c, padded) if dtype == "int8" and not full_range else None
    slack, fitting = bytes(SLACK if marks is not None else 0), marks is not None and bool(marks.all())
    marks = None if fitting else marks
    headers = [epilogue.dense_header(whole, scaling) for whole in channels_first]
    blocks = [
        pack_dense(matrix, columns, group, header, None if marks is None else marks[number])
        for number, (matrix, header) in enumerate(zip(padded, headers, strict=True))
    ]
    count = -(-channels // columns)
    where = c.weights.add(b"".join(blocks) + slack)
    marked, size = marks is not None, len(blocks[0]) // count
    return Packed(where, count, size, groups, len(parts), full_range, marked, fitting, scaling)


def _marks(c: Context, matrices: Array) -> Array | None:
    """bool[matrices, blocks, steps] of int8 weights [matrices, taps, run, channels]; None where no kernel should be
    told."""
    groups = matrices.shape[2] // group_of("int8")
    step = conv.THREE if groups == conv.THREE else conv.STEPS["int8"]
    if not c.target.marks or groups % step or not matrices.size:
        return None
    marks = np.stack([fitting_steps(matrix, c.target.columns, step) for matrix in matrices])
    return marks if marks.mean() >= ENOUGH else None


def pack_computed(c: Context, source: Source, epilogue: Epilogue) -> Packed:
    """A step that packs all matrices. `source.batch` has at most `MAX_BATCH` dimensions."""
    dtype, columns = epilogue.dtype, c.target.columns
    element = np.dtype(dtype).itemsize
    taps, length, channels = source.extents
    tap_step, length_step, channel_step = source.strides
    blocks, groups = ceil_div(channels, columns), groups_of(length, dtype)
    scaling = epilogue.any_scaling(largest(taps * length))
    header = pack_headers(largest(channels), columns, epilogue.bare_dense_header(scaling))
    block_bytes = len(header) // largest(blocks) + taps * groups * columns * group_of(dtype) * element
    spec = pack.PackSpec(dtype, "rows" if channel_step == element else "columns")
    extents = (1,) * (MAX_BATCH - len(source.batch)) + tuple(source.batch)
    steps = (0,) * (MAX_BATCH - len(source.batch)) + tuple(source.batch_strides)
    params = {
        "blocks": blocks, "block_bytes": block_bytes, "channels": channels, "taps": taps, "x_tap": tap_step,
        "length": length, "groups": groups, "x_step": length_step if spec.form == "rows" else channel_step,
        "batch_1": extents[1], "x_0": steps[0], "x_1": steps[1],
    }  # fmt: skip
    if dtype == "int8":
        params["x_zero"] = epilogue.x_zero
    tiles = prod(extents) * blocks
    target = c.scratch(TensorType((tiles * block_bytes,), "int8")).at()
    with c.part("pack"):
        operands = {"x": source.where, "header": c.weights.add(header), "y": target}
        c.emit(pack, spec, operands, params, tiles)
    return Packed(target, blocks, block_bytes, groups, 1, dtype == "int8", scaling=scaling, fresh=True)


class Kernel(Protocol):
    """The weights of a convolution, [O, C, kh, kw]."""

    @property
    def shape(self) -> tuple[int, ...]:
        """[O, C, kh, kw]."""

    def part(self, outputs: range, inputs: range, y: range, x: range) -> "Kernel":
        """Some channels and taps, in that order."""

    def packed(self, c: Context, epilogue: Epilogue, taps: int) -> Packed:
        """[taps, run, O]: the dimensions kh, kw, C are split into so many runs."""


@dataclass(frozen=True)
class ConstantKernel:
    """Weights that the compiler knows, as they are multiplied."""

    data: Array

    @property
    def shape(self) -> tuple[int, ...]:
        """[O, C, kh, kw]."""
        outputs, inputs, kh, kw = self.data.shape
        return outputs, inputs, kh, kw

    def part(self, outputs: range, inputs: range, y: range, x: range) -> "ConstantKernel":
        """Some channels and taps, in that order."""
        return ConstantKernel(self.data[np.ix_(outputs, inputs, y, x)])

    def packed(self, c: Context, epilogue: Epilogue, taps: int) -> Packed:
        """[taps, run, O]: the dimensions kh, kw, C are split into so many runs."""
        outputs, depth, kh, kw = self.shape
        length = kh * kw * depth // taps if taps else 0
        return pack_constant(c, self.data.transpose(2, 3, 1, 0).reshape(1, taps, length, outputs), epilogue)


@dataclass(frozen=True)
class ComputedKernel:
    """Weights that steps have computed, at any strides (in bytes)."""

    where: Ref
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    dtype: str

    def part(self, outputs: range, inputs: range, y: range, x: range) -> "ComputedKernel":
        """Some channels and taps, in that order."""
        picked = (outputs, inputs, y, x)
        offset = sum(r.start * s for r, s in zip(picked, self.strides, strict=True))
        steps = tuple(r.step * s for r, s in zip(picked, self.strides, strict=True))
        return replace(self, where=self.where.plus(offset), shape=tuple(map(len, picked)), strides=steps)

    def packed(self, c: Context, epilogue: Epilogue, taps: int) -> Packed:
        """[taps, run, O]: the dimensions kh, kw, C are split into so many runs."""
        outputs, depth, kh, kw = self.shape
        element = np.dtype(self.dtype).itemsize
        if not kh * kw:
            return pack_computed(c, Source(self.where, (), (), (taps, 0, outputs), (0, 0, element)), epilogue)
        if kh * kw == 1 and self.strides[1] == element:
            source = Source(self.where, (), (), (1, depth, outputs), (0, element, self.strides[0]))
            return pack_computed(c, source, epilogue)
        dense = c.scratch(TensorType((kh, kw, depth, outputs), self.dtype))
        steps = [self.strides[i] for i in (2, 3, 1, 0)]
        with c.part("weights"):
            strided_copy(c, self.where, dense.at(), dense.type.shape, steps, strides(dense), element)
        length = kh * kw * depth // taps if taps else 0
        run = outputs * element
        source = Source(dense.at(), (), (), (taps, length, outputs), (length * run, run, element))
        return pack_computed(c, source, epilogue)


def kernel_of(c: Context, node: Node, order: Sequence[int] = (0, 1, 2, 3)) -> Kernel:
    """The weights of `node`, whose dimensions `order` are O, C, kh, kw."""
    w = node.inputs[op.W]
    if w.data is not None:
        return ConstantKernel(constant_weights(node).transpose(order))
    if w.type.quant is not None and w.type.quant.zero_point != (0,):
        raise EdgeError(
            f"node {node.name!r} ({node.op}) multiplies by {w.name!r}, int8 computed at run time with a zero point; "
            "give it the zero point 0"
        )
    view = c.input(node, op.W)
    shape, steps = (tuple(own[i] for i in order) for own in (w.type.shape, strides(view)))
    return ComputedKernel(view.at(), shape, steps, w.type.dtype)
