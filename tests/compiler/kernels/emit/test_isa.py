"""What the variants of a target have in common: one packing of weights serves them all."""

import pytest

from edgec.targets.registry import find


@pytest.mark.parametrize("name", ["host", "arm64-neon"])
def test_blocks_of_weights_are_the_same_for_all_variants(name: str) -> None:
    target = find(name)
    for variant in target.variants:
        isa = variant.isa()
        assert (isa.columns, isa.second_bias) == (target.columns, target.second_bias)
        assert isa.has_fixed_point == target.has_fixed_point
        for paired in (False, True):
            tiles = isa.int8_tile(8, paired=paired, full_range=False, even=False), isa.float_tile(8, paired=paired)
            assert [(t.columns, t.group) for t in tiles] == [(target.columns, 4), (target.columns, 1)]
