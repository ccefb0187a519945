"""Models on an emulated riscv64 machine: what numpy and ONNX Runtime say, from any number of threads."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from edgec.benchmarks.oracle import onnx_runtime
from edgec.errors import EdgeError
from edgec.runtimes.devices import EMULATED_CPUS, open_device

Cases = Callable[[str], Any]

RISCV = f"qemu:{EMULATED_CPUS['riscv64']}"

pytestmark = pytest.mark.slow
models = pytest.mark.parametrize(
    "model", [pytest.param(name, marks=pytest.mark.xdist_group(name)) for name in ("ppocr_cls", "mobilenet_v3_small")]
)


@models
def test_int8_gives_the_bytes_of_the_reference(case: Cases, model: str) -> None:
    this = case(model)
    feeds = this.samples(1)[0]
    expected = this.reference(feeds, "int8")
    for threads in (1, 3):
        for name, y in this.run(RISCV, "int8", feeds, threads).items():
            np.testing.assert_array_equal(y, expected[name])


@models
def test_float_agrees_with_onnx_runtime(case: Cases, model: str) -> None:
    this = case(model)
    feeds = this.samples(1)[0]
    expected = onnx_runtime(this.model.load())(feeds)
    for name, y in this.run(RISCV, "float", feeds, threads=2).items():
        assert np.abs(y - expected[name]).max() <= 1e-4 * np.ptp(expected[name])


def test_a_cpu_without_vectors_is_refused(case: Cases) -> None:
    bundle = case("ppocr_cls").bundle("riscv64-rvv", "float")
    manifest = bundle.manifest
    with pytest.raises(EdgeError, match="CPU"):
        open_device("qemu:rv64").run(bundle.path, manifest.inputs, manifest.outputs, {})
