"""Recurrent layers and control flow as torch exports them, on this machine and as arm64 code, against ONNX Runtime."""

from pathlib import Path

import numpy as np
import onnxruntime as ort
import pytest
import torch
from torch import nn

from edgec.compiler.bundle.load import load
from edgec.compiler.bundle.reader import open_bundle
from edgec.compiler.driver import build_graph, compile_model
from edgec.compiler.ir.extent import symbol
from edgec.compiler.ir.graph import Array, Graph
from edgec.compiler.ops.reference import run_graph
from edgec.runtimes.devices import RunOptions, open_device
from edgec.tests.compiler.lower.running import BASE, DOTPROD, HOST, run

pytestmark = pytest.mark.slow

TOLERANCE = 1e-4
"""Of an output's range."""


class Recurrent(nn.Module):
    """A recurrent layer and a linear one."""

    def __init__(self, kind, **arguments):
        super().__init__()
        self.layer = getattr(nn, kind)(16, 24, batch_first=True, **arguments)
        self.head = nn.Linear(24 * (2 if arguments.get("bidirectional") else 1), 5)

    def forward(self, x):
        return self.head(self.layer(x)[0])


class Scanned(nn.Module):
    """A cell of torch operations, scanned over time."""

    def __init__(self):
        super().__init__()
        self.cell = nn.Linear(16, 16)

    def forward(self, x):
        from torch._higher_order_ops.scan import scan

        def step(h, x):
            h = torch.tanh(self.cell(h) + x)
            return h, h * 2.0

        return scan(step, torch.zeros_like(x[0]), x, dim=0)


class While(nn.Module):
    """A loop whose end the data decide."""

    def __init__(self):
        super().__init__()
        self.cell = nn.Linear(16, 16)

    def forward(self, x):
        def goes_on(i, h):
            return (i < 20) & (h.abs().max() < 50.0)

        return torch.while_loop(goes_on, lambda i, h: (i + 1, self.cell(h) + h * 1.5), (torch.tensor(0), x))


class Branch(nn.Module):
    """Two layers, of which the data select one."""

    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(16, 16), nn.Linear(16, 16)

    def forward(self, x):
        return torch.cond(x.sum() > 0, lambda x: torch.relu(self.a(x)), lambda x: self.b(x).tanh(), (x,))


@torch.jit.script
def damped(x):
    h = torch.zeros_like(x[0])
    for i in range(x.size(0)):
        h = torch.tanh(h * 0.5 + x[i])
        if bool(h.sum() > 0):  # noqa: SIM108 - the exporter knows statements
            h = h * 0.9
        else:
            h = h + 0.1
    return h


class Scripted(nn.Module):
    """A loop with a branch in it, in TorchScript."""

    def __init__(self):
        super().__init__()
        self.head = nn.Linear(16, 16)

    def forward(self, x):
        return damped(self.head(x))


SEQUENCE, ROWS = (1, 40, 16), (40, 16)
MODELS = {
    "gru": (lambda: Recurrent("GRU"), SEQUENCE, False),
    "gru by dynamo": (lambda: Recurrent("GRU"), SEQUENCE, True),
    "two bidirectional lstms": (lambda: Recurrent("LSTM", num_layers=2, bidirectional=True), SEQUENCE, False),
    "a short lstm": (lambda: Recurrent("LSTM"), (1, 3, 16), False),
    "rnn": (lambda: Recurrent("RNN"), SEQUENCE, False),
    "a batch of grus": (lambda: Recurrent("GRU"), (3, 40, 16), False),
    "scan": (Scanned, (40, 2, 16), True),
    "while": (While, (2, 16), True),
    "cond": (Branch, (4, 16), True),
    "script": (Scripted, ROWS, False),
}
LOOPS = {"gru": 1, "gru by dynamo": 1, "two bidirectional lstms": 4, "a short lstm": 0, "rnn": 1, "a batch of grus": 1,
         "scan": 1, "while": 1, "cond": 0, "script": 1}  # fmt: skip


def quantized(kind: str, batch: int, steps: int, folder: Path) -> tuple[Path, Graph, dict[str, Array]]:
    """The ONNX file of a torch layer, its int8 graph, and an input, on which it was calibrated."""
    torch.manual_seed(0)
    path, shape = folder / "model.onnx", (batch, steps, 16)
    torch.onnx.export(Recurrent(kind).eval(), (torch.randn(shape),), path, dynamo=False, input_names=["x"])
    (folder / "samples").mkdir()
    x = np.random.default_rng(2).standard_normal(shape).astype(np.float32)
    np.save(folder / "samples" / "x.npy", x)
    graph = build_graph(path, int8=True, calibrate=folder / "samples", calibration="minmax", verify=True)
    return path, graph, {"x": x}


@pytest.mark.parametrize("steps", [3, 40])
def test_int8_leaves_recurrences_in_float(steps: int, tmp_path: Path) -> None:
    """Written out or looped; the layer after them is an integer one."""
    path, graph, feed = quantized("LSTM", 1, steps, tmp_path)
    computing = [n for part in graph.graphs() for n in part.nodes if n.op in ("map", "matmul")]
    integer = {n.name for n in computing for v in n.inputs if v.type.dtype == "int8"}
    assert any("head" in name for name in integer) and not any("LSTM" in name for name in integer)
    (want,) = ort.InferenceSession(path, providers=["CPUExecutionProvider"]).run(None, feed)
    (got,) = run_graph(graph, feed).values()
    # half a step each of 24 inputs and weights and of the result, which is far from adding up
    np.testing.assert_allclose(got, want, rtol=0, atol=4 / 255 * float(np.ptp(want)))


@pytest.mark.parametrize("device", [HOST, BASE, DOTPROD])
@pytest.mark.parametrize(("kind", "batch", "steps"), [("GRU", 1, 12), ("LSTM", 3, 12), ("RNN", 2, 3)])
def test_float_recurrences_in_int8_have_the_references_bytes(
    kind: str, batch: int, steps: int, device: str, tmp_path: Path
) -> None:
    """The recurrence itself too, which is an output here: no code hides its last bits."""
    _, graph, feed = quantized(kind, batch, steps, tmp_path)
    graph.outputs += [v for n in graph.nodes for v in n.outputs if n.op == "loop" and v.type.rank == 3]
    want = run_graph(graph, feed)
    for name, found in run(graph, feed, tmp_path, device).items():
        np.testing.assert_array_equal(found.view(np.int32), want[name].view(np.int32), err_msg=name)


@pytest.mark.parametrize("kind", ["GRU", "LSTM"])
def test_sequences_of_any_length(kind: str, tmp_path: Path) -> None:
    """One bundle for all; its loops turn as often as the sequence is long."""
    torch.manual_seed(0)
    path, axes = tmp_path / "model.onnx", {"x": {1: "T"}}
    model = Recurrent(kind, bidirectional=True).eval()
    torch.onnx.export(model, (torch.randn(SEQUENCE),), path, dynamo=False, input_names=["x"], dynamic_axes=axes)
    compile_model(path, target="host", shapes={"x": (1, symbol("T", 1, 60), 16)}, output=tmp_path / "model.edge")
    session = ort.InferenceSession(path, providers=["CPUExecutionProvider"])
    rng = np.random.default_rng(1)
    with load(tmp_path / "model.edge") as compiled:
        for length in (1, 2, 17, 60):
            feed = {"x": rng.standard_normal((1, length, 16)).astype(np.float32)}
            (got,), (want,) = compiled.run(feed).values(), session.run(None, feed)
            assert got.shape == want.shape
            np.testing.assert_allclose(got, want, rtol=0, atol=TOLERANCE * float(np.ptp(want)))


@pytest.fixture(scope="module", params=MODELS)
def exported(request, tmp_path_factory):
    """(name, path, shape of its input)."""
    make, shape, dynamo = MODELS[request.param]
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("torch") / "model.onnx"
    torch.onnx.export(make().eval(), (torch.randn(shape),), path, dynamo=dynamo)
    return request.param, path, shape


def test_loops_that_are_left(exported) -> None:
    name, path, _ = exported
    graph = build_graph(path, verify=True)
    assert sum(node.op == "loop" for part in graph.graphs() for node in part.nodes) == LOOPS[name]


@pytest.mark.parametrize(("device", "threads"), [("local", 1), ("local", 2), ("qemu:cortex-a76", 1)])
def test_outputs(exported, tmp_path: Path, device: str, threads: int) -> None:
    name, path, shape = exported
    target = "host" if device == "local" else "arm64-neon"
    compile_model(path, target=target, output=tmp_path / "model.edge")
    bundle = open_bundle(tmp_path / "model.edge")
    manifest = bundle.manifest
    rng = np.random.default_rng(1)
    session = ort.InferenceSession(path, providers=["CPUExecutionProvider"])
    for _ in range(3):
        feed = {manifest.inputs[0].name: rng.standard_normal(shape).astype(np.float32)}
        options = RunOptions(threads=threads, guard=True)
        run = open_device(device).run(bundle.path, manifest.inputs, manifest.outputs, feed, None, options)
        for (output, got), want in zip(run.outputs.items(), session.run(None, feed), strict=True):
            assert (got.shape, got.dtype) == (want.shape, want.dtype)
            bound = TOLERANCE * float(np.ptp(want)) if want.dtype == np.float32 else 0
            np.testing.assert_allclose(got, want, rtol=0, atol=bound, err_msg=f"{output} of {name}")
