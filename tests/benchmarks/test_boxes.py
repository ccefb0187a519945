"""Boxes out of probability maps whose rectangles are known."""

import numpy as np
import pytest
from PIL import Image, ImageDraw

from edgec.benchmarks.boxes import Box, find_boxes, match


def _map_with(corners: list[tuple[float, float]], probability: float = 0.9) -> np.ndarray:
    image = Image.new("L", (200, 100))
    ImageDraw.Draw(image).polygon(corners, fill=255)
    return np.asarray(image, np.float32) / 255 * probability


def _rotated(centre: tuple[float, float], width: float, height: float, degrees: float) -> list[tuple[float, float]]:
    a = np.deg2rad(degrees)
    along, across = np.array([np.cos(a), np.sin(a)]), np.array([-np.sin(a), np.cos(a)])
    signs = ((-1, -1), (1, -1), (1, 1), (-1, 1))
    return [tuple(np.array(centre) + i * width / 2 * along + j * height / 2 * across) for i, j in signs]


@pytest.mark.parametrize("degrees", [0, 17, 45, 80])
def test_a_rectangle_is_found_at_any_angle_and_grown(degrees: float) -> None:
    (box,) = find_boxes(_map_with(_rotated((100, 50), 60, 12, degrees)))
    distance = 60 * 12 * 1.6 / (2 * (60 + 12))
    expected = Box(tuple(_rotated((100, 50), 60 + 2 * distance, 12 + 2 * distance, degrees)), 0.9)
    assert match([box], [expected], (200, 100), iou=0.9) == 1
    assert box.score == pytest.approx(0.9)


def test_noise_lines_and_doubtful_regions_are_no_boxes() -> None:
    assert find_boxes(np.zeros((100, 200), np.float32)) == []
    assert find_boxes(_map_with([(10, 10), (150, 10)])) == []
    assert find_boxes(_map_with(_rotated((100, 50), 60, 12, 0), probability=0.4)) == []


def test_two_boxes_come_top_to_bottom_and_match_one_to_one() -> None:
    both = _map_with(_rotated((60, 70), 60, 12, 0)) + _map_with(_rotated((60, 20), 60, 12, 0))
    boxes = find_boxes(both)
    assert len(boxes) == 2 and boxes[0].corners[0][1] < boxes[1].corners[0][1]
    assert match(boxes, boxes, (200, 100)) == 2
    assert match([boxes[0], boxes[0]], boxes, (200, 100)) == 1
    assert match([boxes[0]], [], (200, 100)) == 0
