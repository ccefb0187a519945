"""Random networks of torch modules and functions, on images or sequences, with detours through integers and bools."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as fn

Operation = Callable[[Tensor], Tensor]

_ACTIVATIONS: Sequence[Operation] = (
    torch.relu, torch.sigmoid, torch.tanh, fn.silu, fn.hardswish, fn.gelu, fn.elu, fn.softplus, fn.mish,
    lambda x: fn.leaky_relu(x, 0.1), lambda x: torch.clamp(x, -0.5, 1.5), torch.abs, torch.neg, torch.sin,
    lambda x: torch.exp(-x * x), lambda x: torch.sqrt(x * x + 0.1), lambda x: x / (1 + x.abs()),
)  # fmt: skip


class RandomNet(nn.Module):
    """The network of a seed: 5 to 60 operations. `example` is the shape of its input.

    `moved(x, *others)` is what decides in the place of x, which is truncated to an integer, or compared with `others`:
    x itself, unless someone wants to know what else could have been decided.
    """

    def __init__(self, seed: int) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.rng = np.random.default_rng(seed)
        self.images = bool(seed % 2)
        self.modules_made = nn.ModuleList()
        self.moved: Callable[..., Tensor] = lambda x, *others: x
        self.example: tuple[int, ...]
        self.steps: list[Callable[[list[Tensor]], Tensor]] = []
        if self.images:
            self.example = (1, self._pick(3, 4, 8, 11), int(self.rng.integers(7, 25)), int(self.rng.integers(7, 25)))
        else:
            self.example = (self._pick(1, 1, 2), int(self.rng.integers(3, 20)), self._pick(6, 8, 16, 20))
        values = [torch.randn(self.example)]
        for _ in range(int(self.rng.integers(5, 61))):
            step = self._image_step(values) if self.images else self._sequence_step(values)
            values.append(step(values))
            self.steps.append(step)
        self.eval()

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The last value, and one from halfway."""
        values = [x]
        for step in self.steps:
            values.append(step(values))
        return values[-1], values[len(values) // 2]

    def _pick(self, *choices: Any) -> Any:
        return choices[int(self.rng.integers(len(choices)))]

    def _module(self, module: nn.Module) -> nn.Module:
        self.modules_made.append(module.eval())
        return module

    def _common(self, values: Sequence[Tensor], at: int) -> Callable[[list[Tensor]], Tensor] | None:
        """A step that suits every shape, or None."""
        x = values[at]
        same = [i for i, v in enumerate(values) if v.shape == x.shape and i != at]
        kind = self.rng.integers(8)
        if kind <= 1:
            activation = self._pick(*_ACTIVATIONS)
            return lambda vs: activation(vs[at])
        if kind == 2 and same:
            other, operation = self._pick(*same), self._pick(torch.add, torch.sub, torch.mul, torch.maximum)
            return lambda vs: operation(vs[at], torch.tanh(vs[other]))
        if kind == 3:
            factor = float(self.rng.normal())
            return lambda vs: vs[at] * factor + 0.25
        if kind == 4:
            integer = self._pick(torch.int32, torch.int64, torch.int16)
            return lambda vs: ((self.moved(vs[at]) * 4).to(integer) * 3 + 1).clamp(-50, 50).float() / 8 + vs[at]
        if kind == 5 and same:
            other = self._pick(*same)
            return lambda vs: torch.where(
                (self.moved(vs[at], vs[other]) > vs[other]) & (self.moved(vs[at]) < 1.5), vs[at], vs[other] * 0.5
            )
        if kind == 6:
            axis = int(self.rng.integers(1, x.ndim))
            return lambda vs: vs[at] - vs[at].mean(axis, keepdim=True)
        return None

    def _image_step(self, values: Sequence[Tensor]) -> Callable[[list[Tensor]], Tensor]:
        at = len(values) - 1 - int(self.rng.integers(min(3, len(values))))
        _, channels, height, width = values[at].shape
        if (common := self._common(values, at)) is not None and self.rng.random() < 0.6:
            return common
        small, self_stride = min(height, width) < 4, self._pick(1, 2)
        kind = self._pick("conv", "depthwise", "norm", "cat", "squeeze", "slice", "pad", "up", "pool", "deconv", "flip")
        if kind == "cat" and channels <= 32:
            return lambda vs: torch.cat([vs[at], torch.relu(vs[at])], 1)
        if kind == "squeeze":
            return lambda vs: vs[at] * torch.sigmoid(fn.adaptive_avg_pool2d(vs[at], 1))
        if kind == "slice" and not small:
            return lambda vs: vs[at][:, :, 1:-1, ::2]
        if kind == "pad" and width < 40:
            mode = self._pick("constant", "reflect", "replicate") if not small else "constant"
            return lambda vs: fn.pad(vs[at], (1, 2, 0, 1), mode=mode)
        if kind == "up" and width < 20:
            mode = self._pick("nearest", "bilinear")
            corners = {"align_corners": False} if mode == "bilinear" else {}
            return lambda vs: fn.interpolate(vs[at], scale_factor=2.0, mode=mode, **corners)
        if kind == "pool" and not small:
            pool = self._pick(fn.max_pool2d, fn.avg_pool2d)
            return lambda vs: pool(vs[at], 3, self_stride, 1)
        if kind == "flip":
            return lambda vs: vs[at].permute(0, 1, 3, 2)
        if kind == "norm":
            return self._applied(nn.BatchNorm2d(channels), at)
        outputs = self._pick(4, 8, 12, 16)
        if kind == "deconv" and width < 20:
            return self._applied(nn.ConvTranspose2d(channels, outputs, self._pick(2, 3), 2), at)
        if kind == "depthwise":
            return self._applied(nn.Conv2d(channels, channels, 3, 1, 1, groups=channels), at)
        size = self._pick(1, 3, 5)
        stride = 1 if small else self._pick(1, 1, 2)
        return self._applied(nn.Conv2d(channels, outputs, size, stride, size // 2, bias=self._pick(True, False)), at)

    def _sequence_step(self, values: Sequence[Tensor]) -> Callable[[list[Tensor]], Tensor]:
        at = len(values) - 1 - int(self.rng.integers(min(3, len(values))))
        _, length, width = values[at].shape
        if (common := self._common(values, at)) is not None and self.rng.random() < 0.6:
            return common
        kinds = ("linear", "norm", "attention", "softmax", "roll", "transpose", "conv", "gru", "cumsum", "mean")
        kind = self._pick(*kinds)
        if kind == "norm":
            return self._applied(nn.LayerNorm(width), at)
        if kind == "attention":
            return lambda vs: torch.softmax(vs[at] @ vs[at].transpose(1, 2) / width**0.5, -1) @ vs[at]
        if kind == "softmax":
            axis = self._pick(1, 2)
            return lambda vs: torch.softmax(vs[at], axis) + 0.1 * vs[at]
        if kind == "roll" and length > 2:
            return lambda vs: torch.cat([vs[at][:, 1:], vs[at][:, :1]], 1)
        if kind == "transpose":
            return lambda vs: vs[at].transpose(1, 2)
        if kind == "conv":
            conv = self._module(nn.Conv1d(width, width, 3, 1, 1))
            return lambda vs: torch.tanh(conv(vs[at].transpose(1, 2)).transpose(1, 2))
        if kind == "gru" and length < 24:
            gru = self._module(nn.GRU(width, self._pick(4, 6), batch_first=True, bidirectional=self._pick(True, False)))
            return lambda vs: gru(vs[at])[0]
        if kind == "cumsum":
            return lambda vs: torch.cumsum(vs[at], 1) * 0.2
        if kind == "mean":
            return lambda vs: vs[at] + vs[at].amax(2, keepdim=True) * 0.3
        return self._applied(nn.Linear(width, self._pick(6, 8, 16, 20)), at)

    def _applied(self, module: nn.Module, at: int) -> Callable[[list[Tensor]], Tensor]:
        made = self._module(module)
        return lambda vs: made(vs[at])
