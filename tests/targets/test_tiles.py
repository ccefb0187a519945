"""The shapes of tiles that all variants of a target agree on."""

import pytest

from edgec.compiler.kernels.convolutions.conv import ConvSpec
from edgec.targets.registry import TARGETS
from edgec.targets.target import Target, TileShape, Variant

CASES = [
    pytest.param(target, variant, dtype, shape, id=f"{name}-{variant.name}-{dtype}-{shape.rows}-{shape.pixels}")
    for name, find in TARGETS.items()
    for target in [find()]
    for dtype, shapes in target.tiles.items()
    for variant in (target.halves if dtype == "float16" else target.variants)
    for shape in shapes
]


@pytest.mark.parametrize(("target", "variant", "dtype", "shape"), CASES)
def test_register_tiles_fill_scheduling_tiles(target: Target, variant: Variant, dtype: str, shape: TileShape) -> None:
    """Kernels go over a scheduling tile in whole register tiles, also the members that serve others."""
    spec = ConvSpec(dtype=dtype, tile_rows=shape.rows, paired=shape.paired, even=dtype == "int8")
    isa = variant.isa()
    for member in (spec, spec.general, spec.seen_by(isa)):
        tile = member.tile(isa)
        assert tile.gathers or shape.rows % tile.rows == 0
        assert tile.blocks in ((1, 2) if member.paired else (1,))
