"""How many products of float16 are summed up at once."""

import pytest

from edgec.compiler.ir.extent import symbol
from edgec.compiler.lower.nodes.summands import LEAST, PRODUCTS, STEP, sum_params

LONGEST = 16384


def blocks(products: int) -> list[int]:
    """Products of each block, as `HalfTile.begin` takes them."""
    params = sum_params("float16", products)
    size, longer_from = params["summands"], params["longer_from"]
    assert size % STEP == 0
    found, at = [], 0
    while at < products:
        stop = at + size + STEP if at >= longer_from else min(at + size, longer_from)
        found.append(min(stop, products) - at)
        at += found[-1]
    return found


def test_no_product_passes_through_more_roundings_than_are_allowed() -> None:
    """Those of its block, and one each time that the total changes from then on: the formula of ARCHITECTURE.md, which
    allows three more, for the residual and short sums."""
    for products in range(STEP, LONGEST, STEP):
        found = blocks(products)
        most = max(size + len(found) - number for number, size in enumerate(found))
        assert max(found) == LEAST or most <= LEAST + products // PRODUCTS, products
        assert most <= min(products, LEAST + products // PRODUCTS) + 3, products
        equal = min(products, size := sum_params("float16", products)["summands"]) + -(-products // size)
        assert equal <= min(products, LEAST + products // PRODUCTS) + 3, products  # cores in order take equal blocks


@pytest.mark.parametrize(
    ("products", "want"),
    [(64, [40, 24]), (256, [40] * 4 + [48] * 2), (1024, [64] * 7 + [72] * 8), (72, [40, 32])],
)
def test_last_blocks_are_longer(products: int, want: list[int]) -> None:
    assert blocks(products) == want


def test_sums_of_any_length_have_blocks_of_the_least() -> None:
    assert sum_params("float16", symbol("n", 64, 4608, 64))["summands"] == LEAST


def test_other_sums_have_none() -> None:
    assert not sum_params("float32", 1024)
