"""Filling the halo of a buffer: what convolutions find where they read beside an image."""

from collections.abc import Iterator

import numpy as np

from ..ir.extent import most
from ..kernels import fill
from .buffers import Fill, Ref


def halo_steps(what: Fill) -> Iterator[tuple[fill.FillSpec, Ref, dict[str, int], int]]:
    """(spec, where, parameters, tiles) of each step that fills a halo, all independent: one whose tiles own a row's
    stride each, and one for what the last row has beyond its stride."""
    view, (top, left, bottom, right) = what.view, what.halo
    n, h, w, _ = view.dims
    # what lies at the right of a row and at the left of the next, where rows are no further apart than that
    shared = most((left + w + right) * view.pixel - view.row, 0)
    value = int(np.frombuffer(what.element * (4 // len(what.element)), np.int32)[0])
    spec = fill.FillSpec(len(what.element))
    params = {
        "rows": top + h + bottom, "above": top, "height": h, "y_image": view.image, "y_row": view.row,
        "left": left * view.pixel, "inner": w * view.pixel, "right": right * view.pixel - shared, "value": value,
    }  # fmt: skip
    yield spec, view.at(0, -top, -left), params, n * (top + h + bottom)
    if shared:
        last = dict.fromkeys(params, 0) | {"rows": 1, "above": 1, "left": shared, "value": value}
        yield spec, view.at(n - 1, h + bottom, -left), last, 1
