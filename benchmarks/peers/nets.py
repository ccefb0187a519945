"""Two networks that the zoo lacks, in torch, for export with seeded weights: a detector and a transformer encoder."""

import warnings
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from ..architectures import randomized

SEED = 2026
OPSET = 17
CLASSES = 80
BINS = 16


def _conv(c_in: int, c_out: int, kernel: int = 1, stride: int = 1) -> nn.Sequential:
    conv = nn.Conv2d(c_in, c_out, kernel, stride, kernel // 2, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(c_out), nn.SiLU())


class SplitBlock(nn.Module):
    """Half of the channels go through bottlenecks, and all that arises on the way is joined (C2f of YOLOv8, with its
    first convolution as one for each half)."""

    def __init__(self, c_in: int, c_out: int, depth: int, residual: bool = False) -> None:
        super().__init__()
        half = c_out // 2
        self.left, self.right, self.last = _conv(c_in, half), _conv(c_in, half), _conv((2 + depth) * half, c_out)
        self.blocks = nn.ModuleList(nn.Sequential(_conv(half, half, 3), _conv(half, half, 3)) for _ in range(depth))
        self.residual = residual

    def forward(self, x: Tensor) -> Tensor:
        """[N, C, H, W] -> [N, C', H, W]."""
        parts = [self.left(x), self.right(x)]
        for block in self.blocks:
            y = block(parts[-1])
            parts.append(parts[-1] + y if self.residual else y)
        joined: Tensor = self.last(torch.cat(parts, 1))
        return joined


class Pyramid(nn.Module):
    """Maxima over 5, 9 and 13 pixels beside the input (SPPF of YOLOv8)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first, self.last = _conv(channels, channels // 2), _conv(2 * channels, channels)
        self.pool = nn.MaxPool2d(5, 1, 2)

    def forward(self, x: Tensor) -> Tensor:
        """[N, C, H, W] -> the same."""
        parts = [self.first(x)]
        for _ in range(3):
            parts.append(self.pool(parts[-1]))
        joined: Tensor = self.last(torch.cat(parts, 1))
        return joined


class Head(nn.Module):
    """Box and class of every cell of one scale: distances to the four sides are expectations over bins."""

    def __init__(self, channels: int, stride: int) -> None:
        super().__init__()
        self.stride = stride
        self.sides = nn.Sequential(_conv(channels, 64, 3), _conv(64, 64, 3), nn.Conv2d(64, 4 * BINS, 1))
        self.classes = nn.Sequential(_conv(channels, 80, 3), _conv(80, 80, 3), nn.Conv2d(80, CLASSES, 1))
        self.bins = nn.Buffer(torch.arange(float(BINS)))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """[N, C, H, W] -> boxes [N, H * W, 4] as left, top, right, bottom in pixels, scores [N, H * W, classes]."""
        n, _, height, width = map(int, x.shape)  # constants of the file
        sides = self.sides(x).flatten(2).transpose(1, 2).reshape(n, height * width, 4, BINS)
        far = (torch.softmax(sides, 3) * self.bins).sum(3)
        ys, xs = torch.meshgrid(torch.arange(height) + 0.5, torch.arange(width) + 0.5, indexing="ij")
        center = torch.stack([xs, ys], 2).reshape(1, height * width, 2)
        boxes = torch.cat([center - far[..., :2], center + far[..., 2:]], 2) * self.stride
        return boxes, torch.sigmoid(self.classes(x).flatten(2).transpose(1, 2))


class Detector(nn.Module):
    """In the manner of YOLOv8-nano: 3.2 M parameters, 1.1 G multiply-accumulates at 320 x 320."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(_conv(3, 16, 3, 2), _conv(16, 32, 3, 2), SplitBlock(32, 32, 1, True))
        self.fine = nn.Sequential(_conv(32, 64, 3, 2), SplitBlock(64, 64, 2, True))
        self.middle = nn.Sequential(_conv(64, 128, 3, 2), SplitBlock(128, 128, 2, True))
        self.coarse = nn.Sequential(_conv(128, 256, 3, 2), SplitBlock(256, 256, 1, True), Pyramid(256))
        self.up = nn.Upsample(scale_factor=2)
        self.to_middle, self.to_fine = SplitBlock(384, 128, 1), SplitBlock(192, 64, 1)
        self.down_fine, self.from_fine = _conv(64, 64, 3, 2), SplitBlock(192, 128, 1)
        self.down_middle, self.from_middle = _conv(128, 128, 3, 2), SplitBlock(384, 256, 1)
        self.heads = nn.ModuleList([Head(64, 8), Head(128, 16), Head(256, 32)])

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """[N, 3, H, W] -> boxes [N, cells, 4] in pixels, scores [N, cells, classes]."""
        fine = self.fine(self.stem(x))
        middle = self.middle(fine)
        coarse = self.coarse(middle)
        middle = self.to_middle(torch.cat([self.up(coarse), middle], 1))
        fine = self.to_fine(torch.cat([self.up(middle), fine], 1))
        middle = self.from_fine(torch.cat([self.down_fine(fine), middle], 1))
        coarse = self.from_middle(torch.cat([self.down_middle(middle), coarse], 1))
        found = [head(y) for head, y in zip(self.heads, (fine, middle, coarse), strict=True)]
        return torch.cat([boxes for boxes, _ in found], 1), torch.cat([scores for _, scores in found], 1)


class EncoderLayer(nn.Module):
    """Attention and feed-forward, each with a residual and a normalization behind (Vaswani et al., 2017)."""

    def __init__(self, width: int = 256, heads: int = 4, hidden: int = 1024) -> None:
        super().__init__()
        self.heads = heads
        self.query, self.key, self.value, self.out = (nn.Linear(width, width) for _ in range(4))
        self.wide, self.narrow = nn.Linear(width, hidden), nn.Linear(hidden, width)
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(2))

    def forward(self, x: Tensor) -> Tensor:
        """[1, length, width] -> the same."""
        n, length, width = map(int, x.shape)
        query, key, value = (
            part(x).reshape(n, length, self.heads, -1).transpose(1, 2) for part in (self.query, self.key, self.value)
        )
        weights = torch.softmax(query @ key.transpose(2, 3) / (width // self.heads) ** 0.5, 3)
        mixed = (weights @ value).transpose(1, 2).reshape(n, length, width)
        x = self.norms[0](x + self.out(mixed))
        y: Tensor = self.norms[1](x + self.narrow(nn.functional.gelu(self.wide(x))))
        return y


def export_detector(path: Path, pictures: Tensor) -> None:
    """With batch norms that have the statistics of `pictures` [N, 3, H, W]."""
    _export(randomized(Detector(), pictures, SEED), pictures[:1], path, ["boxes", "scores"])


def export_encoder(path: Path, length: int = 64, width: int = 256, layers: int = 4) -> None:
    """Of `layers` layers."""
    torch.manual_seed(SEED)
    net = nn.Sequential(*(EncoderLayer(width) for _ in range(layers)))
    _export(net.eval(), torch.zeros(1, length, width), path, ["y"])


def _export(net: nn.Module, example: Tensor, path: Path, outputs: Sequence[str]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter is the older one, and extents that it traces become constants
        torch.onnx.export(
            net, (example,), path, input_names=["x"], output_names=list(outputs), opset_version=OPSET, dynamo=False
        )
