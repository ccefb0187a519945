"""How a product of matrices, or a dense convolution, is computed: its tiles, copies and the loops of its kernel, chosen
in one place."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ....targets.target import TileShape
from ...ir.extent import always_less, ceil_div, is_symbolic, largest, least, less, most
from ...kernels.convolutions import conv
from ...kernels.convolutions.deep import part_groups
from ...kernels.convolutions.gathered import DEEPEST, MOST, scratch_bytes
from ..context import Context
from .epilogue import Epilogue
from .packing import Packed, group_of
from .summands import sum_params

FEW_TILES = 8
"""With fewer tiles of pixels than that, the channels are split until there are twice as many, so that all threads have
work."""


@dataclass(frozen=True)
class Factors:
    """What is multiplied by packed weights of `outputs` channels: `products` times `pixels` pixels, each of [`runs_y`]
    [`runs_x`] runs. `data`: the bytes that so many pixels read. `single`: they are taken one at a time. `copies`: there
    may be scratch memory for copies of them."""

    pixels: int
    outputs: int
    data: Callable[[int], int]
    products: int = 1
    runs_y: int = 1
    runs_x: int = 1
    single: bool = False
    copies: bool = True


@dataclass(frozen=True)
class Tiling:
    """Scheduling tiles are `tile.rows` pixels by `blocks_per_tile` blocks of channels, `m_tiles` times `parts` a
    product. `copied` register tiles are copied at once, to `scratch` bytes. `loops`: what `ConvSpec` says of how runs
    are added up."""

    tile: TileShape
    m_tiles: int
    blocks_per_tile: int
    parts: int
    copied: int
    scratch: int
    loops: dict[str, Any]

    def spec(self, packed: Packed, epilogue: Epilogue, **more: Any) -> conv.ConvSpec:
        """The kernel; `more`: what is neither in weights nor in the epilogue."""
        return conv.ConvSpec(
            dtype=epilogue.dtype, tile_rows=self.tile.rows, paired=self.tile.paired, residual=epilogue.residual,
            sum_form=epilogue.sum_form, clamped=epilogue.clamped, parts=packed.parts, full_range=packed.full_range,
            scaling=packed.scaling, halved=epilogue.halved, sums=epilogue.sums, table=epilogue.table is not None,
            scaled=epilogue.scaled, activation=epilogue.activation, residual_activation=epilogue.residual_activation,
            **self.loops, **more,
        )  # fmt: skip

    def params(self, packed: Packed, epilogue: Epilogue, of: Factors) -> dict[str, int]:
        """The kernel's parameters, but for what says where operands lie."""
        products = of.runs_y * of.runs_x * packed.parts * packed.groups
        return {
            "m_begin": 0, "m_end": of.pixels, "m_tiles": self.m_tiles, "groups": packed.groups, "channels": of.outputs,
            "blocks": packed.blocks, "blocks_per_tile": self.blocks_per_tile, "block_bytes": packed.block_bytes,
            "copied": self.copied, **sum_params(epilogue.dtype, products), **epilogue.params,
        }  # fmt: skip


def tiling_of(c: Context, packed: Packed, dtype: str, of: Factors) -> Tiling:
    """How these factors are multiplied."""
    tile = tile_of(c, dtype, 1 if of.single else of.pixels, of.outputs)
    even, copied, scratch = _copies(c, packed, dtype, of, tile)
    m_tiles = ceil_div(of.pixels, tile.rows)
    per_tile = _blocks_per_tile(c, packed, of, tile, m_tiles * of.products, copies=bool(even or copied))
    loops = _loops(c, packed, dtype, of) if tile.rows > 1 else {}
    return Tiling(tile, m_tiles, per_tile, ceil_div(packed.blocks, per_tile), copied, scratch, {**loops, "even": even})


def _loops(c: Context, packed: Packed, dtype: str, of: Factors) -> dict[str, Any]:
    """How the runs of more than one pixel are added up."""
    pointwise = of.runs_y * of.runs_x == 1
    short = of.runs_y > 1 and of.runs_x == packed.parts == 1 and packed.groups <= conv.SHORT
    short &= dtype != "float16"  # which is summed up in blocks
    told = short == (packed.groups == conv.THREE)  # with so many groups, only short runs are steps
    return {
        "short": packed.groups if short else 0,
        "whole": not (short and dtype == "int8") and _are_steps(packed, conv.STEPS[dtype]),
        "marked": told and packed.marked,
        "fitting": told and packed.fitting,
        "held": pointwise and _is_held(packed, dtype),
        "deep": _is_deep(c, packed, dtype, of),
    }


def tile_of(c: Context, dtype: str, pixels: int, outputs: int) -> TileShape:
    """The shape of tiles that takes the fewest instructions: one of two blocks of channels reads less for what it
    computes, but where pixels are few it may compute more that nobody wants."""
    if pixels == 1:
        return TileShape(1, 1)
    odd = is_symbolic(outputs) or outputs % (2 * c.target.columns)
    shapes = [shape for shape in c.target.tiles[dtype] if not (odd and shape.paired)]
    if is_symbolic(pixels):
        return min(shapes, key=lambda shape: shape.cost)
    return min(reversed(shapes), key=lambda shape: shape.work(pixels))


def _copies(c: Context, packed: Packed, dtype: str, of: Factors, tile: TileShape) -> tuple[bool, int, int]:
    """Whether the runs of pixels can be copied before they are multiplied; and if a variant of the target makes copies,
    for how many register tiles at once, and the bytes of scratch memory for them: for one at least, for more where
    there is room."""
    size = largest(of.runs_y * of.runs_x * packed.parts * packed.groups * group_of(dtype))
    if not of.copies or dtype != "int8" or tile.rows == 1 or size > DEEPEST or not _are_steps(packed, 2):
        return False, 0, 0
    if not tile.gathered:
        return True, 0, 0
    most = ceil_div(min(largest(of.pixels), tile.rows), tile.gathered)
    sizes = {n: scratch_bytes(n, size, tile.gathered, c.target.columns) for n in range(1, most + 1)}
    copied = max(n for n in sizes if n == 1 or (sizes[n] <= MOST and c.room.for_copies(sizes[n])))
    return True, copied, sizes[copied]


def _is_held(packed: Packed, dtype: str) -> bool:
    """Whether the runs of a matrix product of int8 are one step."""
    plain = dtype == "int8" and not packed.full_range
    return plain and packed.parts == 1 and packed.groups == conv.STEPS["int8"]


def _is_deep(c: Context, packed: Packed, dtype: str, of: Factors) -> bool:
    """Whether the runs of a product are long enough, all together, for three parts of pairs of blocks: of fewer, large
    cores keep all weights in the first cache. A run is a part at least, so it may not be short."""
    size, runs = part_groups(2 * c.target.columns), of.runs_y * of.runs_x
    long = always_less(4 * size - 1, runs * packed.groups) and always_less(size // 2 - 1, packed.groups)
    return dtype == "float32" and long and packed.parts == 1 and _are_steps(packed, conv.STEPS[dtype])


def _are_steps(packed: Packed, groups: int) -> bool:
    """Whether runs are steps of so many groups, one or more."""
    return packed.groups % groups == 0 and always_less(0, packed.groups)


def _blocks_per_tile(c: Context, packed: Packed, of: Factors, tile: TileShape, m_tiles: int, *, copies: bool) -> int:
    """Blocks of output channels that a tile computes of its pixels: those whose weights the tiles of other pixels find
    in the second cache, beside the data that they read; in the usual one, if that does not hold the data of all pixels:
    each part of the channels then fetches them from memory. `copies`: each part copies its pixels besides."""
    unit = 2 if tile.paired else 1
    cache = max(c.target.cache, c.target.usual_cache * (largest(of.data(of.pixels)) > c.target.usual_cache))
    blocks, room = packed.blocks // unit, most(cache // 2, int(c.target.share * cache) - of.data(tile.rows))
    per_tile = most(1, least(blocks, room * blocks // packed.matrix_bytes))
    few = least(per_tile, most(1, ceil_div(blocks * m_tiles, 2 * FEW_TILES)))
    per_tile = per_tile - (per_tile - few) * less(m_tiles, FEW_TILES)
    parts = most(1, ceil_div(blocks, per_tile))
    if not copies and not is_symbolic(parts) and m_tiles == 1 and parts % 2 and 1 < parts < 2 * FEW_TILES:
        parts = min(2 * parts, blocks)  # of two threads, one would wait for the other's last tile
    return unit * ceil_div(blocks, parts)  # so that the last one is not much less
