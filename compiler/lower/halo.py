"""Filling the halo of a buffer: what convolutions find where they read beside an image."""

from collections.abc import Iterator

import numpy as np

from ..kernels import fill
from .buffers import Fill, Ref


def halo_steps(what: Fill) -> Iterator[tuple[fill.FillSpec, Ref, dict[str, int], int]]:
    """(spec, where, parameters, tiles) of each step that fills a halo: one an image, all independent."""
    view, (top, left, bottom, right) = what.view, what.halo
    n, h, w, _ = view.dims
    element = len(what.element)
    params = {
        "above": top, "height": h, "y_row": view.row,
        "left": left * view.pixel, "inner": w * view.pixel, "right": right * view.pixel,
        "value": int(np.frombuffer(what.element * (4 // element), np.int32)[0]),
    }  # fmt: skip
    for image in range(n):
        yield fill.FillSpec(element), view.at(image, -top, -left), params, top + h + bottom
