"""From a text detector's probability map to boxes, after Differentiable Binarization (Liao et al., 2020)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

Array = np.ndarray[Any, Any]

PIXEL_THRESHOLD = 0.3
BOX_THRESHOLD = 0.5
MIN_SIDE = 3.0
UNCLIP_RATIO = 1.6


@dataclass(frozen=True)
class Box:
    """A rectangle at any angle: its corners (x, y) in order, and the mean probability of the text in it."""

    corners: tuple[tuple[float, float], ...]
    score: float


def find_boxes(probability: Array) -> list[Box]:
    """The text boxes in a map float[H, W], top to bottom."""
    from scipy.ndimage import find_objects, label

    labels, _ = label(probability > PIXEL_THRESHOLD, structure=np.ones((3, 3)))
    found = []
    for number, window in enumerate(find_objects(labels), 1):
        rows, columns = np.nonzero(labels[window] == number)
        points = np.stack([columns + window[1].start, rows + window[0].start], axis=1).astype(np.float64)
        score = float(probability[window][rows, columns].mean())
        corners, width, height = _min_area_rectangle(points)
        if min(width, height) >= MIN_SIDE and score >= BOX_THRESHOLD:
            found.append(Box(_grown(corners, width, height), score))
    return sorted(found, key=lambda box: min(y for _, y in box.corners))


def match(ours: Sequence[Box], theirs: Sequence[Box], size: tuple[int, int], iou: float = 0.5) -> int:
    """How many of `ours` have a partner of their own in `theirs` that they overlap by more than `iou`;
    `size` is the map's (width, height)."""
    masks = [_mask(box, size) for box in theirs]
    free, matched = set(range(len(masks))), 0
    for box in ours:
        mask = _mask(box, size)
        overlaps = {i: (mask & masks[i]).sum() / (mask | masks[i]).sum() for i in free}
        best = max(overlaps, key=lambda i: overlaps[i], default=None)
        if best is not None and overlaps[best] > iou:
            free.remove(best)
            matched += 1
    return matched


def draw(picture: Image.Image, boxes: Sequence[Box], colour: str, width: int) -> None:
    """Outline `boxes` in `picture`."""
    canvas = ImageDraw.Draw(picture)
    for box in boxes:
        canvas.line([*box.corners, box.corners[0]], fill=colour, width=width, joint="curve")


def _mask(box: Box, size: tuple[int, int]) -> Array:
    image = Image.new("1", size)
    ImageDraw.Draw(image).polygon(list(box.corners), fill=1)
    return np.asarray(image)


def _min_area_rectangle(points: Array) -> tuple[Array, float, float]:
    """Corners [4, 2], width and height of the smallest rectangle around `points` [N, 2] that has a side on the hull."""
    hull = _convex_hull(points)
    edges = np.roll(hull, -1, axis=0) - hull
    best: tuple[float, Array, float, float] | None = None
    for angle in np.unique(np.arctan2(edges[:, 1], edges[:, 0]) % (np.pi / 2)):
        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        turned = hull @ turn
        (x0, y0), (x1, y1) = turned.min(axis=0), turned.max(axis=0)
        if best is None or (x1 - x0) * (y1 - y0) < best[0]:
            corners = np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]]) @ turn.T
            best = (x1 - x0) * (y1 - y0), corners, x1 - x0, y1 - y0
    assert best is not None
    return best[1:]


def _convex_hull(points: Array) -> Array:
    """Andrew's monotone chain; collinear or single points give a hull without area."""
    ordered = sorted(set(map(tuple, points.tolist())))
    chains = []
    for walk in (ordered, ordered[::-1]):
        chain: list[tuple[float, float]] = []
        for x, y in walk:
            while len(chain) > 1 and _turn(chain[-2], chain[-1], (x, y)) <= 0:
                chain.pop()
            chain.append((x, y))
        chains.append(chain[:-1])
    return np.array(chains[0] + chains[1] or ordered)


def _turn(o: tuple[float, float], a: tuple[float, float], b: tuple[float, float]) -> float:
    return (a[0] - o[0]) * (b[1] - o[1]) - (a[1] - o[1]) * (b[0] - o[0])


def _grown(corners: Array, width: float, height: float) -> tuple[tuple[float, float], ...]:
    """The network is trained on shrunken text; this is the inverse of the shrinking."""
    distance = width * height * UNCLIP_RATIO / (2 * (width + height))
    centre = corners.mean(axis=0)
    along, across = (corners[1] - corners[0]) / width, (corners[3] - corners[0]) / height
    half_w, half_h = (width / 2 + distance) * along, (height / 2 + distance) * across
    signs = ((-1, -1), (1, -1), (1, 1), (-1, 1))
    return tuple((float(x), float(y)) for x, y in (centre + i * half_w + j * half_h for i, j in signs))
