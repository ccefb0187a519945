"""A transformer encoder that torch exports: attention between computed tensors, in float and in int8 throughout."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
import pytest
import torch

from edgec.compiler.driver import build_graph, compile_model
from edgec.compiler.ops.reference import run_graph
from edgec.runtimes.devices import RunOptions, open_device

pytestmark = pytest.mark.slow

Array = np.ndarray[Any, Any]
WORDS, LENGTH, WIDTH, HEADS = 100, 24, 64, 4
DEVICES = {"host": ("local",), "arm64-neon": ("qemu:cortex-a53", "qemu:cortex-a76", "qemu:max")}


class Layer(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.query, self.key, self.value, self.out = (torch.nn.Linear(WIDTH, WIDTH) for _ in range(4))
        self.up, self.down = torch.nn.Linear(WIDTH, 4 * WIDTH), torch.nn.Linear(4 * WIDTH, WIDTH)
        self.norms = torch.nn.ModuleList(torch.nn.LayerNorm(WIDTH) for _ in range(2))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        n = len(x)
        heads = [m(x).view(n, LENGTH, HEADS, -1).transpose(1, 2) for m in (self.query, self.key, self.value)]
        scores = torch.softmax(heads[0] @ heads[1].transpose(-1, -2) / (WIDTH // HEADS) ** 0.5, -1)
        x = self.norms[0](x + self.out((scores @ heads[2]).transpose(1, 2).reshape(n, LENGTH, WIDTH)))
        return self.norms[1](x + self.down(torch.nn.functional.gelu(self.up(x))))


class Encoder(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.words, self.places = torch.nn.Embedding(WORDS, WIDTH), torch.nn.Embedding(LENGTH, WIDTH)
        self.norm, self.layers = torch.nn.LayerNorm(WIDTH), torch.nn.Sequential(Layer(), Layer())

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        x = self.norm(self.words(ids) + self.places(torch.arange(LENGTH))[None])
        return self.layers(x).mean(1)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`encoder.onnx`, samples for calibration, and bundles as tests make them."""
    folder = tmp_path_factory.mktemp("encoder")
    torch.manual_seed(2026)
    torch.onnx.export(
        Encoder().eval(), (sentence(0)["ids"],), folder / "encoder.onnx", input_names=["ids"], output_names=["y"],
        opset_version=17, dynamo=False,
    )  # fmt: skip
    (folder / "samples").mkdir()
    for seed in range(16):
        np.savez(folder / "samples" / f"{seed}.npz", ids=sentence(100 + seed)["ids"].numpy())
    return folder


def sentence(seed: int) -> dict[str, torch.Tensor]:
    return {"ids": torch.from_numpy(np.random.default_rng(seed).integers(0, WORDS, (1, LENGTH)))}


def run(folder: Path, target: str, device: str, feeds: Mapping[str, Array], threads: int, *, int8: bool) -> Array:
    bundle = folder / f"{target}-{'int8' if int8 else 'float'}.edge"
    samples = folder / "samples" if int8 else None
    made = compile_model(folder / "encoder.onnx", target=target, int8=int8, calibrate=samples, output=bundle)
    options = RunOptions(threads=threads, guard=True, timeout=120)
    return open_device(device).run(bundle, made.inputs, made.outputs, feeds, None, options).outputs["y"]


def torchs(folder: Path, feeds: Mapping[str, Array]) -> Array:
    session = ort.InferenceSession(folder / "encoder.onnx", providers=["CPUExecutionProvider"])
    return np.asarray(session.run(None, dict(feeds))[0])


@pytest.mark.parametrize("target", DEVICES)
def test_float(folder: Path, target: str) -> None:
    feeds = {"ids": sentence(1)["ids"].numpy()}
    want = torchs(folder, feeds)
    for device in DEVICES[target]:
        np.testing.assert_allclose(run(folder, target, device, feeds, 2, int8=False), want, atol=1e-5 * np.ptp(want))


def test_everything_is_int8(folder: Path) -> None:
    graph = build_graph(folder / "encoder.onnx", int8=True, calibrate=folder / "samples", verify=True)
    real = [n for n in graph.nodes if n.output.type.dtype == "float32"]
    assert [n.op for n in real] == ["map"]  # the output's dequantization
    products = [n for n in graph.nodes if n.op == "matmul"]
    assert len(products) == 16 and sum(not n.inputs[1].is_const for n in products) == 4


@pytest.mark.parametrize("target", DEVICES)
def test_int8_gives_the_same_bytes_everywhere(folder: Path, target: str) -> None:
    graph = build_graph(folder / "encoder.onnx", int8=True, calibrate=folder / "samples")
    feeds = {"ids": sentence(2)["ids"].numpy()}
    want = run_graph(graph, feeds)["y"]
    for device in DEVICES[target]:
        for threads in (1, 2):
            np.testing.assert_array_equal(run(folder, target, device, feeds, threads, int8=True), want)


def test_int8_resembles_float(folder: Path) -> None:
    for seed in range(10, 15):
        feeds = {"ids": sentence(seed)["ids"].numpy()}
        got, want = run(folder, "host", "local", feeds, 1, int8=True)[0], torchs(folder, feeds)[0]
        assert got @ want / np.linalg.norm(got) / np.linalg.norm(want) > 0.99
