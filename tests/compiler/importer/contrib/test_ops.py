"""ONNX Runtime's contributed ops, compiled, against ONNX Runtime's own kernels on random data."""

import pytest

from edgec.tests.compiler.importer.contrib import group_query, quantized, transformers  # noqa: F401  (their families)
from edgec.tests.compiler.importer.contrib.nodes import FAMILIES, Draw, check


@pytest.mark.parametrize("family", FAMILIES)
def test_on_the_host(family, tmp_path) -> None:
    check(FAMILIES[family](Draw()), tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES)
def test_as_arm64_code(family, tmp_path) -> None:
    check(FAMILIES[family](Draw()), tmp_path, "qemu:cortex-a76")
