"""Random networks against torch: `python -m edgec.benchmarks.random_torch`.

Each seed gives a network of 5 to 60 operations on images or on sequences, of random shapes, with detours through
integers and booleans. torch exports it and says what it computes; edgec compiles it in float, which must agree, and in
int8, which must give what its numpy reference gives. Anything else is wrong, whatever the compiler says of it.
"""

import argparse
import os
import sys
import tempfile
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.progress import track
from torch import Tensor, nn
from torch.nn import functional as fn

from ..compiler.bundle.load import load
from ..compiler.driver import build_graph, compile_model
from ..compiler.ops.reference import run_graph
from .workers import Died, run_jobs

Array = np.ndarray[Any, Any]
Operation = Callable[[Tensor], Tensor]

SEEDS = 300
TOLERANCE = 1e-4
"""Of an output's range, float; or four times what torch itself loses by computing in float32, or by inputs that differ
by NUDGE, if that is more: a number beside the border between two integers may be truncated to either."""

NUDGE = 1e-6
NUDGES = 8

FLOAT_PARTS = 1e-6
"""Of an output's range, int8: what stays in float32 in such a graph may differ by rounding. A code that differs is a
step of 1/255."""

SECONDS = 300.0
OPSET = 17

_ACTIVATIONS: Sequence[Operation] = (
    torch.relu, torch.sigmoid, torch.tanh, fn.silu, fn.hardswish, fn.gelu, fn.elu, fn.softplus, fn.mish,
    lambda x: fn.leaky_relu(x, 0.1), lambda x: torch.clamp(x, -0.5, 1.5), torch.abs, torch.neg, torch.sin,
    lambda x: torch.exp(-x * x), lambda x: torch.sqrt(x * x + 0.1), lambda x: x / (1 + x.abs()),
)  # fmt: skip


class RandomNet(nn.Module):
    """The network of a seed. `example` is the shape of its input."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.rng = np.random.default_rng(seed)
        self.images = bool(seed % 2)
        self.modules_made = nn.ModuleList()
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
            # Borders between integers lie where no function of the others saturates: there, one rounding decides.
            return lambda vs: ((vs[at] * 3.7 + 0.31).to(integer) * 3 + 1).clamp(-50, 50).float() / 8 + vs[at]
        if kind == 5 and same:
            other = self._pick(*same)
            return lambda vs: torch.where((vs[at] > vs[other]) & (vs[at] < 1.5), vs[at], vs[other] * 0.5)
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


def judge(seed: int) -> str:
    """What is wrong with the network of a seed; "" if nothing is."""
    try:
        with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")
            torch.set_num_threads(1)
            return _judge(seed, Path(folder))
    except Exception as error:
        return f"{type(error).__name__}: {error}"


def _judge(seed: int, folder: Path) -> str:
    net = RandomNet(seed)
    path, samples = folder / "net.onnx", folder / "samples"
    torch.onnx.export(
        net, (torch.zeros(net.example),), path, input_names=["x"], output_names=["y", "z"], opset_version=OPSET,
        dynamo=False,
    )  # fmt: skip
    samples.mkdir()
    draws = np.random.default_rng(seed)
    for i in range(3):
        np.savez(samples / f"{i}.npz", x=draws.normal(size=net.example).astype(np.float32))
    x = draws.normal(size=net.example).astype(np.float32)
    compile_model(path, target="host", output=folder / "float.edge")
    with load(folder / "float.edge") as compiled:
        found = compiled.run({"x": x})
    nudged = [(x * (1 + NUDGE * draws.uniform(-1, 1, x.shape))).astype(np.float32) for _ in range(NUDGES)]
    outputs = [net(torch.from_numpy(v)) for v in (x, *nudged)]
    outputs.append(net.double()(torch.from_numpy(x).double()))
    for name, single, *others in zip(("y", "z"), *outputs, strict=True):
        own = max(_share(other.numpy(), single.numpy()) for other in others)
        problem = _difference(found[name], single.numpy(), max(TOLERANCE, 4 * own))
        if problem:
            return f"float {name}: {problem}"
    compile_model(path, target="host", output=folder / "int8.edge", int8=True, calibrate=samples)
    expected = run_graph(build_graph(path, int8=True, calibrate=samples), {"x": x})
    with load(folder / "int8.edge") as compiled:
        found = compiled.run({"x": x})
    for name, wanted in expected.items():
        problem = _difference(found[name], wanted, FLOAT_PARTS)
        if problem:
            return f"int8 {name}: {problem}"
    return ""


def _difference(found: Array, want: Array, tolerance: float) -> str:
    if (found.shape, found.dtype) != (want.shape, want.dtype):
        return f"{found.dtype}{list(found.shape)} instead of {want.dtype}{list(want.shape)}"
    error = _share(found, want)
    return "" if error <= tolerance else f"differs by {error:.1e} of its range, where {tolerance:.1e} is allowed"


def _share(found: Array, want: Array) -> float:
    """The largest difference in shares of the range."""
    return float(np.abs(found - want).max() / max(float(np.ptp(want)), 1e-3))


def run(seeds: Sequence[int], jobs: int) -> dict[int, str]:
    """Seed -> what is wrong, for those of which something is."""
    results = run_jobs(judge, seeds, jobs, SECONDS)
    shown = track(results, "random networks", total=len(seeds), console=Console(stderr=True))
    return {seed: str(result) for seed, result in shown if isinstance(result, Died) or result}


def main(arguments: Sequence[str]) -> int:
    """Print what is wrong, and how many networks were tried."""
    parser = argparse.ArgumentParser(prog="python -m edgec.benchmarks.random_torch", description=main.__doc__)
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--count", type=int, default=SEEDS, help="how many seeds")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="processes; default: one per CPU")
    options = parser.parse_args(arguments)
    wrong = run(range(options.first, options.first + options.count), options.jobs)
    for seed, problem in sorted(wrong.items()):
        print(f"seed {seed}: {problem}")
    print(f"{options.count} networks, {len(wrong)} wrong")
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
