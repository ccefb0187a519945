"""Sample inputs: scikit-image's own pictures, and text that Pillow renders with its built-in font."""

import random
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

Array = np.ndarray[Any, Any]

PHOTOS = ("astronaut.png", "chelsea.png", "coffee.png", "rocket.jpg", "camera.png", "coins.png", "motorcycle_left.png")
TEXTS = ("page.png", "text.png")

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)

_WORDS = (
    "the quick brown fox jumps over lazy dogs while seven wizards quietly pack dozens of liquor jugs "
    "total 1,248.50 invoice 2026-11 delivery address please sign here page 3 of 17 warning fragile"
)


@cache
def skimage_picture(name: str) -> Image.Image:
    """A picture that the scikit-image wheel ships, as RGB."""
    import skimage

    return Image.open(Path(skimage.__file__).parent / "data" / name).convert("RGB")


def rendered_text(seed: int, size: tuple[int, int] = (640, 640)) -> Image.Image:
    """A light page of `size` (width, height) with lines of words in several sizes; the same for the same seed."""
    rng = random.Random(seed)
    paper = rng.randint(200, 255)
    page = Image.new("RGB", size, (paper, paper, rng.randint(180, 255)))
    draw = ImageDraw.Draw(page)
    y = rng.randint(8, 24)
    while True:
        font = ImageFont.load_default(rng.choice((16, 20, 26, 34)))
        line = " ".join(rng.choices(_WORDS.split(), k=rng.randint(1, 5)))
        left, top, right, bottom = draw.textbbox((0, 0), line, font=font)
        if y + bottom > size[1]:
            return page
        x = rng.randint(8, max(9, int(size[0] - (right - left) - 8)))
        ink = rng.randint(0, 90)
        draw.text((x, y), line, font=font, fill=(ink, ink, rng.randint(0, 90)))
        y += int(bottom - top) + rng.randint(10, 40)


def rendered_line(seed: int, size: tuple[int, int]) -> Image.Image:
    """One line of dark words that fills a light strip of `size` (width, height)."""
    rng = random.Random(seed)
    font = ImageFont.load_default(0.6 * size[1])
    strip = Image.new("RGB", size, (rng.randint(200, 255),) * 3)
    words = " ".join(rng.choices(_WORDS.split(), k=6))
    ImageDraw.Draw(strip).text((4, 0.1 * size[1]), words, font=font, fill=(rng.randint(0, 90),) * 3)
    return strip


def normalized(image: Image.Image, mean: Sequence[float], std: Sequence[float]) -> Array:
    """(image / 255 - mean) / std as float32 [1, 3, H, W]."""
    pixels = np.asarray(image.convert("RGB"), np.float32) / np.float32(255)
    scaled = (pixels - np.asarray(mean, np.float32)) / np.asarray(std, np.float32)
    return np.ascontiguousarray(scaled.transpose(2, 0, 1)[None])


def fitted(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    """As large as fits into `size` (width, height) with its proportions kept, on a white sheet."""
    factor = min(size[0] / image.width, size[1] / image.height)
    inner = (round(image.width * factor), round(image.height * factor))
    sheet = Image.new("RGB", size, "white")
    sheet.paste(image.resize(inner, Image.Resampling.BICUBIC), ((size[0] - inner[0]) // 2, (size[1] - inner[1]) // 2))
    return sheet


def center_crop(image: Image.Image, short_side: int, size: int) -> Image.Image:
    """Resize so that the shorter side is `short_side`, then cut the middle `size` x `size`."""
    factor = short_side / min(image.size)
    width, height = (max(size, round(extent * factor)) for extent in image.size)
    resized = image.resize((width, height), Image.Resampling.LANCZOS)
    left, top = (width - size) // 2, (height - size) // 2
    return resized.crop((left, top, left + size, top + size))
