"""How many products of float16 are summed up before they join a total."""

from ...ir.extent import ceil_div, is_symbolic

LEAST = 40
"""Of sums of any length: a product passes through as many roundings, and one for each time that sums join the total."""

PRODUCTS = 25
"""Of a sum, for one rounding more that is allowed: with blocks of `LEAST` there are fewer."""

STEP = 8
"""Products of a step of all kernels."""

NEVER = 2**30
"""Behind all products."""


def sum_params(dtype: str, products: int) -> dict[str, int]:
    """The kernel's parameters (`ContractionSpec.sum_params`) for sums of so many products."""
    return dict(zip(("summands", "longer_from"), _blocks(products), strict=True)) if dtype == "float16" else {}


def _blocks(products: int) -> tuple[int, int]:
    """Products in a block, and from which on there is a step more in each, for the last blocks join fewer times: the
    fewest blocks of which no product passes through more than LEAST + products // PRODUCTS roundings."""
    if is_symbolic(products):
        return LEAST, NEVER
    allowed = LEAST + products // PRODUCTS
    found = [(NEVER, LEAST, products)]
    for size in range(LEAST, allowed, STEP):
        last = max(0, min(allowed - size - STEP, products // (size + STEP)))
        longer_from = products - last * (size + STEP)
        count = ceil_div(longer_from, size) + last
        if size + count <= allowed:
            found.append((count, size, longer_from))
    return min(found)[1:]
