"""Real models compiled once for a range of shapes, run at several of them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import onnx
import pytest

from edgec.benchmarks import zoo
from edgec.benchmarks.fetch import cached, wheel_file
from edgec.benchmarks.images import rendered_line
from edgec.benchmarks.oracle import onnx_runtime
from edgec.compiler.bundle.reader import Bundle, open_bundle
from edgec.compiler.driver import build_graph, compile_model
from edgec.compiler.ir.extent import Symbol, symbol
from edgec.compiler.ir.graph import Graph
from edgec.compiler.ir.specialize import bound, specialized
from edgec.compiler.ops.reference import run_graph
from edgec.runtimes.devices import RunOptions, open_device
from edgec.tests.compiler.lower import running

pytestmark = pytest.mark.slow

FLOAT_TOLERANCE = 1e-4
"""Of the output's range."""

RECOGNISER = zoo.Model(
    "ppocr_rec", "Apache-2.0",
    lambda: wheel_file(
        "rapidocr-onnxruntime", "1.4.4", "rapidocr_onnxruntime/models/ch_PP-OCRv4_rec_infer.onnx",
        "48fc40f24f6d2a207a2b1091d3437eb3cc3eb6b676dc3ef9c37384005483683b",
    ),
    {"x": (1, 3, 48, 320)}, rendered_line, zoo.HALF, zoo.HALF,
)  # fmt: skip


def _with_free_batch(name: str) -> zoo.Model:
    """A model that was exported for batches of one, with that declaration withdrawn."""
    model = zoo.MODELS[name]

    def make(path: Path) -> None:
        proto = onnx.load(model.load())
        for value in (*proto.graph.input, *proto.graph.output):
            value.type.tensor_type.shape.dim[0].dim_param = "batch"
        onnx.save(proto, str(path))

    return replace(model, load=lambda: cached(f"free_batch/{model.load().name}", make))


@dataclass(frozen=True)
class Ranged:
    """A model, the range that it is compiled for, and shapes in it."""

    model: zoo.Model
    range: tuple[int, ...]
    shapes: Sequence[tuple[int, ...]]

    @property
    def name(self) -> str:
        """The model's input."""
        return next(iter(self.model.shapes))

    def feed(self, shape: tuple[int, ...], start: int = 100) -> zoo.Feeds:
        """A batch of pictures that no calibration has seen."""
        rows = self.model.samples(shape[0], {self.name: (1, *shape[1:])}, start)
        return {self.name: np.concatenate([row[self.name] for row in rows])}


RANGES = [
    Ranged(RECOGNISER, (1, 3, 48, symbol("W", 32, 640, 8)), [(1, 3, 48, 96), (1, 3, 48, 320), (1, 3, 48, 640)]),
    Ranged(
        zoo.MODELS["ppocr_det"], (1, 3, symbol("H", 320, 640, 32), symbol("W", 320, 640, 32)),
        [(1, 3, 320, 640), (1, 3, 448, 352), (1, 3, 640, 640)],
    ),
    Ranged(zoo.MODELS["ppocr_cls"], (symbol("N", 1, 6), 3, 48, 192), [(1, 3, 48, 192), (6, 3, 48, 192)]),
    Ranged(_with_free_batch("mobilenet_v2"), (symbol("N", 1, 4), 3, 224, 224), [(1, 3, 224, 224), (3, 3, 224, 224)]),
]  # fmt: skip


@pytest.mark.parametrize("case", RANGES, ids=lambda case: case.model.name)
def test_float_agrees_with_onnx_runtime(case: Ranged, tmp_path: Path) -> None:
    infer = onnx_runtime(case.model.load())
    for device in ("local", "qemu:cortex-a76"):
        bundle = compiled(case, "host" if device == "local" else "arm64-neon", tmp_path)
        for shape in case.shapes if device == "local" else case.shapes[:1]:
            feed = case.feed(shape)
            for name, y in infer(feed).items():
                found = run(bundle, device, feed)[name]
                assert found.shape == y.shape
                assert np.abs(found - y).max() <= FLOAT_TOLERANCE * np.ptp(y), f"{shape} on {device}"


@pytest.mark.parametrize("case", RANGES, ids=lambda case: case.model.name)
def test_int8_gives_the_bytes_of_the_static_model(case: Ranged, tmp_path: Path) -> None:
    """The reference, the plan for that shape alone, and the plan for all of them, here and on arm64."""
    samples = tmp_path / "samples"
    zoo.write_samples([case.feed(shape, start=8 * i) for i, shape in enumerate(case.shapes)], samples)
    graph = build_graph(case.model.load(), int8=True, calibrate=samples, shapes={case.name: case.range})
    bundles = {
        device: compiled(case, target, tmp_path, samples)
        for device, target in (("local", "host"), ("qemu:cortex-a76", "arm64-neon"))
    }
    for number, shape in enumerate(case.shapes):
        feed = case.feed(shape)
        folder = tmp_path / f"static{number}"
        folder.mkdir()
        expected = run_graph(graph, feed)
        results = [run(bundles["local"], "local", feed), running.run(static(graph, feed), feed, folder)]
        if not number:
            results.append(run(bundles["qemu:cortex-a76"], "qemu:cortex-a76", feed))
        for found in results:
            for name, y in expected.items():
                np.testing.assert_array_equal(found[name], y, err_msg=f"{name} at {shape}")


def compiled(case: Ranged, target: str, folder: Path, samples: Path | None = None) -> Bundle:
    path = folder / f"{target}-{'int8' if samples else 'float'}.edge"
    shapes = {case.name: case.range}
    compile_model(case.model.load(), target=target, shapes=shapes, output=path, int8=bool(samples), calibrate=samples)
    return open_bundle(path)


def run(bundle: Bundle, device: str, feed: zoo.Feeds) -> dict[str, zoo.Array]:
    manifest, options = bundle.manifest, RunOptions(threads=2, guard=True, timeout=300)
    return open_device(device).run(bundle.path, manifest.inputs, manifest.outputs, feed, None, options).outputs


def static(graph: Graph, feed: zoo.Feeds) -> Graph:
    """The graph for the shapes of `feed` alone."""
    values: dict[Symbol, int] = {}
    assert all(bound(v.type, feed[v.name].shape, values) for v in graph.inputs)
    return specialized(graph, values)
