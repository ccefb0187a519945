"""How many products of float16 are summed up before they join a total."""

from ...ir.extent import ceil_div, is_symbolic

LEAST = 40
"""Of sums of any length: a product passes through as many roundings, and one for each time that sums join the total."""

PRODUCTS = 25
"""Of a sum, for one rounding more that is allowed: with blocks of `LEAST` there are fewer."""

STEP = 8
"""Products of a step of all kernels."""


def sum_params(dtype: str, products: int) -> dict[str, int]:
    """The kernel's parameters (`ContractionSpec.sum_params`) for sums of so many products."""
    return {"summands": _summands(products)} if dtype == "float16" else {}


def _summands(products: int) -> int:
    """As many as let none pass through more than LEAST + products // PRODUCTS roundings, in whole steps."""
    if is_symbolic(products):
        return LEAST
    allowed = LEAST + products // PRODUCTS
    return max((n for n in range(LEAST, allowed, STEP) if n + ceil_div(products, n) <= allowed), default=LEAST)
