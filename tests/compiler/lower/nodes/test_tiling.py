"""Which tiles products are computed in."""

import pytest

from edgec.compiler.ir.extent import symbol
from edgec.compiler.lower.buffers import Ref, Storage
from edgec.compiler.lower.context import Context
from edgec.compiler.lower.layout import Layout
from edgec.compiler.lower.nodes.packing import Packed
from edgec.compiler.lower.nodes.tiling import Factors, tile_of, tiling_of
from edgec.targets.arm64 import ARM64_NEON
from edgec.targets.host import X86_64
from edgec.targets.target import TileShape


def tile(pixels: int, outputs: int) -> TileShape:
    return tile_of(Context(X86_64, Layout()), "float32", pixels, outputs)


@pytest.mark.parametrize(
    ("pixels", "outputs", "want"),
    [
        (1, 64, (1, False)),
        (7 * 7, 64, (7, True)),  # not 8, of which seven compute 56
        (14 * 14, 64, (7, True)),
        (40 * 40, 64, (7, True)),  # 1603 instead of 1600: not worth code of its own
        (32, 64, (8, True)),  # not 7, of which five compute 35
        (14, 64, (7, True)),
        (49, 48, (8, False)),  # three blocks of channels
        (49, symbol("n", 64, 128, 64), (8, False)),
        (symbol("n", 1, 64), 64, (7, True)),
    ],
)
def test_tiles_compute_few_pixels_that_nobody_wants(pixels: int, outputs: int, want: tuple[int, bool]) -> None:
    shape = tile(pixels, outputs)
    assert (shape.pixels, shape.paired) == want


@pytest.mark.parametrize(
    ("pixels", "outputs", "want"),
    [
        (32, 64, (32, 8)),  # tens compute 40
        (16, 24, (32, 8)),
        (7 * 7, 64, (40, 10)),  # eights compute 56
        (14 * 14, 24, (40, 10)),  # 200, by both
        (symbol("n", 1, 64), 64, (40, 10)),
    ],
)
def test_copies_are_multiplied_in_tiles_that_fit(pixels: int, outputs: int, want: tuple[int, int]) -> None:
    shape = tile_of(Context(ARM64_NEON, Layout()), "int8", pixels, outputs)
    assert (shape.rows, shape.gathered) == want


@pytest.mark.parametrize(
    ("pixels", "outputs", "want"),
    [
        (64, 64, (32, 4, True)),  # fives compute 65
        (14 * 14, 64, (32, 4, True)),  # fives compute 200
        (7 * 7, 64, (50, 5, True)),  # fours compute 52
        (56 * 56, 64, (50, 5, True)),
        (64, 24, (40, 8, False)),
    ],
)
def test_floats_are_multiplied_in_tiles_that_fit(pixels: int, outputs: int, want: tuple[int, int, bool]) -> None:
    shape = tile_of(Context(ARM64_NEON, Layout()), "float32", pixels, outputs)
    assert (shape.rows, shape.pixels, shape.paired) == want


@pytest.mark.parametrize(
    ("pixels", "outputs", "want"),
    [
        (64, 64, (56, 4, True)),  # sums and totals of four rows of two blocks are half of the registers
        (7 * 7, 64, (56, 4, True)),
        (64, 24, (56, 8, False)),  # three blocks
    ],
)
def test_halves_are_multiplied_in_tiles_that_fit(pixels: int, outputs: int, want: tuple[int, int, bool]) -> None:
    shape = tile_of(Context(ARM64_NEON, Layout()), "float16", pixels, outputs)
    assert (shape.rows, shape.pixels, shape.paired) == want


@pytest.mark.parametrize(
    ("blocks", "m_tiles", "data", "want"),
    [
        (64, 20, 5 << 10, 64),  # 68 KiB of weights, in 96
        (64, 20, 30 << 10, 32),  # weights have 64 KiB
        (96, 20, 5 << 10, 48),  # two equal parts
        (64, 5, 5 << 10, 16),  # work for threads: four parts
    ],
)
def test_weights_of_a_tile_stay_in_the_cache(blocks: int, m_tiles: int, data: int, want: int) -> None:
    c, packed = Context(ARM64_NEON, Layout()), Packed(Ref(Storage(0), 0), blocks, 1088, 32)
    factors = Factors(40 * m_tiles, 8 * blocks, lambda rows: data)
    assert tiling_of(c, packed, "int8", factors).blocks_per_tile == want


@pytest.mark.parametrize(
    ("dtype", "blocks", "m_tiles", "want"),
    [
        ("float32", 60, 1, 2),  # 30 tiles: of 15, one thread of two would compute eight
        ("float32", 64, 1, 4),
        ("float32", 60, 3, 12),  # 15 tiles, each of which would look up its pixels again
        ("int8", 60, 1, 4),  # 15 tiles, each of which copies its pixels
    ],
)
def test_two_threads_have_the_same_work(dtype: str, blocks: int, m_tiles: int, want: int) -> None:
    c, packed = Context(ARM64_NEON, Layout()), Packed(Ref(Storage(0), 0), blocks, 1088, 32)
    factors = Factors(40 * m_tiles, 8 * blocks, lambda rows: 5 << 10)
    assert tiling_of(c, packed, dtype, factors).blocks_per_tile == want


@pytest.mark.parametrize(("pixels", "want"), [(400, 16), (500, 48)])  # 469 and 586 KiB of data
def test_data_beyond_the_usual_cache_pass_fewer_times(pixels: int, want: int) -> None:
    c, packed = Context(ARM64_NEON, Layout()), Packed(Ref(Storage(0), 0), 96, 4096, 32)
    factors = Factors(pixels, 8 * 96, lambda rows: 1200 * rows)
    assert tiling_of(c, packed, "float32", factors).blocks_per_tile == want


@pytest.mark.parametrize(
    ("runs", "groups", "want"),
    [
        ((1, 1), 1024, True),
        ((1, 1), 960, False),  # large cores keep 60 KiB of weights in the first cache
        ((3, 1), 384, True),  # rows of three pixels
        ((3, 3), 128, True),
        ((7, 1), 21, False),
        ((5, 5), 64, False),  # sums would be kept and loaded again too often
    ],
)
def test_runs_are_taken_in_parts_where_they_are_many_and_long(runs: tuple[int, int], groups: int, want: bool) -> None:
    c, packed = Context(ARM64_NEON, Layout()), Packed(Ref(Storage(0), 0), 8, 32 * groups * runs[0] * runs[1], groups)
    factors = Factors(196, 64, lambda rows: 4096, runs_y=runs[0], runs_x=runs[1])
    assert tiling_of(c, packed, "float32", factors).loops["deep"] == want
