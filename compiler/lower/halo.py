"""Filling the halo of a buffer: what convolutions find where they read beside an image."""

import numpy as np

from ..ir.extent import most
from ..kernels import fill
from .buffers import Fill, Ref


def halo_step(what: Fill) -> tuple[fill.FillSpec, Ref, dict[str, int], int]:
    """(spec, where, parameters, tiles) of the step that fills a halo."""
    view, (top, left, bottom, right) = what.view, what.halo
    n, h, w, _ = view.dims
    # what lies at the right of a row and at the left of the next, where rows are no further apart than that
    shared = most((left + w + right) * view.pixel - view.row, 0)
    params = {
        "rows": top + h + bottom, "above": top, "height": h, "y_image": view.image, "y_row": view.row,
        "left": left * view.pixel, "inner": w * view.pixel, "right": right * view.pixel - shared, "behind": shared,
        "value": int(np.frombuffer(what.element * (4 // len(what.element)), np.int32)[0]),
    }  # fmt: skip
    return fill.FillSpec(len(what.element)), view.at(0, -top, -left), params, n
