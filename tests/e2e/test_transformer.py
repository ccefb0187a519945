"""A transformer of torch, with layer normalization as one op and in its parts: float near ONNX Runtime, int8 the same
bytes everywhere."""

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest

from edgec.compiler.bundle.reader import open_bundle
from edgec.compiler.driver import build_graph, compile_model
from edgec.compiler.ops.reference import run_graph
from edgec.runtimes.devices import RunOptions, open_device

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.slow

SHAPE = (1, 20, 48)
DEVICES = {"local": "host", "qemu:cortex-a53": "arm64-neon", "qemu:cortex-a76": "arm64-neon"}
PARTS, WHOLE = 14, 17
"""Opsets in which layer normalization is several ops, and one."""


class Block(torch.nn.Module):  # type: ignore[name-defined]
    def __init__(self, width: int = SHAPE[-1], heads: int = 4):
        super().__init__()
        self.heads = heads
        self.norms = torch.nn.ModuleList(torch.nn.LayerNorm(width) for _ in range(2))
        self.projections = torch.nn.ModuleList(torch.nn.Linear(width, width) for _ in range(4))
        self.hidden, self.out = torch.nn.Linear(width, 4 * width), torch.nn.Linear(4 * width, width)

    def forward(self, x):
        count, length, width = x.shape
        y = self.norms[0](x)
        q, k, v = (p(y).view(count, length, self.heads, -1).transpose(1, 2) for p in self.projections[:3])
        weights = torch.softmax(q @ k.transpose(-1, -2) / (width // self.heads) ** 0.5, -1)
        x = x + self.projections[3]((weights @ v).transpose(1, 2).reshape(count, length, width))
        return x + self.out(torch.nn.functional.gelu(self.hidden(self.norms[1](x))))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The model in two opsets, and samples."""
    path = tmp_path_factory.mktemp("transformer")
    torch.manual_seed(0)
    net = torch.nn.Sequential(Block(), Block()).eval()
    with torch.no_grad():
        for module in net.modules():
            if isinstance(module, torch.nn.LayerNorm):
                module.weight.uniform_(0.5, 1.5)
                module.bias.normal_()
    for opset in (PARTS, WHOLE):
        names = {"input_names": ["x"], "output_names": ["y"], "dynamo": False}
        torch.onnx.export(net, (torch.randn(SHAPE),), path / f"{opset}.onnx", opset_version=opset, **names)
    (path / "samples").mkdir()
    for i in range(16):
        np.save(path / "samples" / f"{i}.npy", torch.randn(SHAPE).numpy())
    return path


@pytest.mark.parametrize("opset", [PARTS, WHOLE])
@pytest.mark.parametrize("int8", [False, True])
def test_transformer(folder: Path, opset: int, int8: bool) -> None:
    model = folder / f"{opset}.onnx"
    options: dict[str, Any] = {"int8": True, "calibrate": folder / "samples"} if int8 else {}
    graph = build_graph(model, **options)
    assert sum(n.op == "normalize" for n in graph.nodes) == 4
    x = np.random.default_rng(5).normal(size=SHAPE).astype(np.float32)
    expected = onnxruntime.InferenceSession(model).run(None, {"x": x})[0]
    (reference,) = run_graph(graph, {"x": x}).values()
    for device, target in DEVICES.items():
        bundle = folder / f"{opset}-{target}-{int8}.edge"
        if not bundle.exists():
            compile_model(model, target=target, output=bundle, **options)
        manifest = open_bundle(bundle).manifest
        report = open_device(device).run(bundle, manifest.inputs, manifest.outputs, {"x": x}, None, RunOptions())
        y = report.outputs["y"]
        if int8:
            np.testing.assert_array_equal(y, reference, err_msg=device)
        assert np.abs(y - expected).max() < (0.02 if int8 else 1e-5) * np.ptp(expected), device
