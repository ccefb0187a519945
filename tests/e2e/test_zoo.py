"""Every model of the zoo, float, float16 and int8, on this machine and on emulated arm64 ones."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from edgec.benchmarks.oracle import onnx_runtime
from edgec.compiler.ir.cost import live_bytes

pytestmark = pytest.mark.slow

Cases = Callable[[str], Any]

FLOAT_TOLERANCE = 1e-4
"""Of the output's range."""

HALF_COSINE = 0.998
"""Between float16 and float32: some fifty layers, each rounded by up to 2^-11 of sums of hundreds of products, whose
errors add up like random ones, are an angle of 2^-11 * sqrt(50 * 300) = 0.06 at the most."""

MACHINES = ("local", "qemu:cortex-a53", "qemu:cortex-a76", "qemu:max")
"""x86-64 or this machine's NEON; Armv8.0; dotprod; i8mm and everything else that the emulator knows."""


def test_float_agrees_with_onnx_runtime_everywhere(case: Cases, name: str) -> None:
    this = case(name)
    infer = onnx_runtime(this.model.load())
    first, *others = this.samples(3)
    for device in ("local", "qemu:cortex-a53", "qemu:cortex-a76"):
        _assert_close(this.run(device, "float", first, threads=2), infer(first))
    for feeds in others:
        _assert_close(this.run("local", "float", feeds), infer(feeds))


@pytest.mark.parametrize("device", ["local", "qemu:cortex-a53", "qemu:cortex-a76"])
def test_float16_resembles_float(case: Cases, name: str, device: str) -> None:
    """On cores that compute in float16 (Cortex-A76), and on others."""
    this = case(name)
    (feeds,) = this.samples(1)
    expected = onnx_runtime(this.model.load())(feeds)
    for output, y in this.run(device, "fp16", feeds, threads=2).items():
        a, b = (v.ravel().astype(np.float64) for v in (y, expected[output]))
        assert a @ b >= HALF_COSINE * np.linalg.norm(a) * np.linalg.norm(b), output


def test_int8_gives_the_same_bytes_everywhere(case: Cases, name: str) -> None:
    """The numpy reference is the specification; no machine, instruction set or number of threads changes a byte."""
    this = case(name)
    for i, feeds in enumerate(this.samples(3)):
        expected = this.reference(feeds, "int8")
        for j, device in enumerate(MACHINES):
            for threads in (1, 2) if i == 0 or device == "local" else (1 + (i + j) % 2,):
                found = this.run(device, "int8", feeds, threads)
                assert _differing(found, expected) == 0, f"{device}, {threads} threads, input {i}"


def test_a_model_that_came_quantized_gives_the_same_bytes(case: Cases, name: str) -> None:
    this = case(name)
    first, *others = this.samples(3)
    expected = this.reference(first, "qdq")
    for device in ("local", "qemu:cortex-a53", "qemu:cortex-a76"):
        assert _differing(this.run(device, "qdq", first, threads=2), expected) == 0, device
    for feeds in others:
        assert _differing(this.run("local", "qdq", feeds), this.reference(feeds, "qdq")) == 0


def test_int8_resembles_float(case: Cases, name: str) -> None:
    """Loose on purpose: random weights have no margin between classes. The demo measures real tasks."""
    this = case(name)
    infer = onnx_runtime(this.model.load())
    for feeds in this.samples(3):
        expected = infer(feeds)
        for output, y in this.run("local", "int8", feeds).items():
            assert np.corrcoef(y.ravel(), expected[output].ravel())[0, 1] > 0.9


def test_the_memory_plan_is_within_a_tenth_of_the_least_possible(case: Cases, name: str) -> None:
    this = case(name)
    for form in ("int8", "float"):
        arena = this.bundle("arm64-neon", form).manifest.memory.arena
        assert arena <= 1.1 * live_bytes(this.graph(form)), form


def _assert_close(found: dict[str, Any], expected: dict[str, Any]) -> None:
    assert found.keys() == expected.keys()
    for name, y in expected.items():
        assert found[name].shape == y.shape and found[name].dtype == y.dtype
        assert np.abs(found[name] - y).max() <= FLOAT_TOLERANCE * np.ptp(y)


def _differing(found: dict[str, Any], expected: dict[str, Any]) -> int:
    assert found.keys() == expected.keys()
    assert all(found[n].shape == y.shape and found[n].dtype == y.dtype for n, y in expected.items())
    pairs = ((found[n], y) for n, y in expected.items())
    return sum(int((a.reshape(-1).view(np.uint8) != b.reshape(-1).view(np.uint8)).sum()) for a, b in pairs)
