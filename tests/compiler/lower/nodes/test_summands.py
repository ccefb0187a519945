"""How many products of float16 are summed up at once."""

import pytest

from edgec.compiler.ir.extent import symbol
from edgec.compiler.lower.nodes.summands import LEAST, PRODUCTS, STEP, sum_params

LONGEST = 16384


def summands(products: int) -> int:
    return sum_params("float16", products)["summands"]


def test_no_product_passes_through_more_roundings_than_are_allowed() -> None:
    """Those of its block, and one each time that sums join the total: the formula that ARCHITECTURE.md gives."""
    for products in range(STEP, LONGEST, STEP):
        block = summands(products)
        assert block % STEP == 0
        assert block == LEAST or block + -(-products // block) <= LEAST + products // PRODUCTS, products


@pytest.mark.parametrize(("products", "want"), [(256, 40), (1024, 64), (4608, 200), (symbol("n", 64, 4608, 64), 40)])
def test_longer_sums_have_larger_blocks(products: int, want: int) -> None:
    assert summands(products) == want


def test_other_sums_have_none() -> None:
    assert not sum_params("float32", 1024)
