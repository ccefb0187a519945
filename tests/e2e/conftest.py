"""Models of the zoo, compiled once a session and run in every way that there is."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest

from edgec.benchmarks import zoo
from edgec.benchmarks.options import target_of
from edgec.compiler.bundle.reader import Bundle, open_bundle
from edgec.compiler.driver import compile_model
from edgec.compiler.importer import import_onnx, load_model
from edgec.compiler.ir.graph import Graph
from edgec.compiler.ops.reference import run_graph
from edgec.compiler.quantize import open_samples, post_training_quantization
from edgec.passes.pipeline import FLOAT, LATE, run_pipeline
from edgec.runtimes.devices import RunOptions, open_device

Array = np.ndarray[Any, Any]
Outputs = dict[str, Array]

Form = Literal["float", "fp16", "int8", "qdq"]
"""As it is; in float16; quantized by edgec; quantized already, by ONNX Runtime."""

CALIBRATION_SAMPLES = 8
TEST_SAMPLES_START = 100

SMALLER: Mapping[str, zoo.Shapes] = {
    "resnet18": {"x": (1, 3, 96, 96)},
    "resnet50": {"x": (1, 3, 64, 64)},
}
"""Inputs for models that take any: emulated runs of the full size would take minutes."""


@dataclass(frozen=True, eq=False)
class Case:
    """A model of the zoo as the tests use it, and what they do with it."""

    model: zoo.Model
    shapes: zoo.Shapes
    folder: Path

    def samples(self, count: int = 3) -> list[zoo.Feeds]:
        """Inputs that no calibration has seen."""
        return self.model.samples(count, self.shapes, start=TEST_SAMPLES_START)

    @cache  # noqa: B019 - as long-lived as the session
    def calibration(self) -> Path:
        """The folder of samples for --calibrate."""
        return zoo.write_samples(self.model.samples(CALIBRATION_SAMPLES, self.shapes), self.folder / "samples")

    def onnx(self, form: Form) -> Path:
        """The file that is compiled."""
        return zoo.quantized(self.model.name) if form == "qdq" else self.model.load()

    @cache  # noqa: B019
    def bundle(self, target: str, form: Form) -> Bundle:
        """The compiled model."""
        path = self.folder / f"{target}-{form}.edge"
        options: dict[str, Any] = {"int8": True, "calibrate": self.calibration()} if form == "int8" else {}
        options |= {"fp16": True} if form == "fp16" else {}
        compile_model(self.onnx(form), target=target, shapes=self.shapes, output=path, verify=True, **options)
        return open_bundle(path)

    @cache  # noqa: B019
    def graph(self, form: Form) -> Graph:
        """The graph that is compiled, made step by step."""
        graph = import_onnx(self.onnx(form), self.shapes)
        run_pipeline(graph, FLOAT)
        if form == "int8":
            inputs = [(v.name, v.type) for v in graph.inputs]
            samples = list(open_samples(self.calibration(), inputs))
            post_training_quantization(graph, load_model(self.onnx(form)), samples)
        run_pipeline(graph, LATE)
        return graph

    def reference(self, feeds: zoo.Feeds, form: Form) -> Outputs:
        """What numpy says: the specification."""
        return run_graph(self.graph(form), feeds)

    def run(self, device: str, form: Form, feeds: zoo.Feeds, threads: int = 1) -> Outputs:
        """What the compiled code says on a device."""
        bundle = self.bundle(target_of(device), form)
        manifest, options = bundle.manifest, RunOptions(threads=threads, guard=True)
        return open_device(device).run(bundle.path, manifest.inputs, manifest.outputs, feeds, None, options).outputs


@pytest.fixture(scope="session")
def case(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Case]:
    """Name of a model -> its case; the same for all tests of a process."""

    @cache
    def make(name: str) -> Case:
        model = zoo.MODELS[name]
        return Case(model, SMALLER.get(name, model.shapes), tmp_path_factory.mktemp(name))

    return make


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """`name` runs over the zoo; all tests of a model go to one process, which compiles it once."""
    if "name" in metafunc.fixturenames:
        names = [pytest.param(name, marks=pytest.mark.xdist_group(name)) for name in zoo.MODELS]
        metafunc.parametrize("name", names)
