"""What ONNX Runtime's optimizers and quantizers make of networks, compiled."""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest

from edgec import EdgeError
from edgec.benchmarks.oracle import onnx_runtime
from edgec.compiler.bundle.reader import open_bundle
from edgec.compiler.driver import compile_model
from edgec.compiler.importer import import_onnx
from edgec.runtimes.devices import RunOptions, open_device

pytest.importorskip("torch")
from edgec.tests.e2e.exported_nets import HEADS, WIDTH, export, feeds

quantization = pytest.importorskip("onnxruntime.quantization")
pytestmark = pytest.mark.slow

Maker = Callable[[Path, Path, str], None]
"""Writes the second file, made of the first, for the network of a name."""

Level = ort.GraphOptimizationLevel

EXACT, CODES, CODES_16 = 1e-4, 4 / 255, 4 / 65535
"""Bounds, of an output's range. A code that lies half way may be rounded to the other neighbour, which moves those that
are computed from it by a few steps."""


def saved(level: ort.GraphOptimizationLevel, source: Path, path: Path, name: str) -> None:
    """ONNX Runtime's own optimizer, offline."""
    options = ort.SessionOptions()
    options.graph_optimization_level, options.optimized_model_filepath = level, str(path)
    options.log_severity_level = 3
    ort.InferenceSession(str(source), options, providers=["CPUExecutionProvider"])


def fused(source: Path, path: Path, name: str) -> None:
    """onnxruntime.transformers."""
    from onnxruntime.transformers.optimizer import optimize_model

    kind = {"bert": "bert", "gpt": "gpt2", "whisper": "bart"}[name]
    optimize_model(str(source), kind, num_heads=HEADS, hidden_size=WIDTH, opt_level=0).save_model_to_file(str(path))


class Reader(quantization.CalibrationDataReader):  # type: ignore[name-defined]
    """The example, once."""

    def __init__(self, name: str) -> None:
        self._left: Iterator[dict[str, Any]] = iter([{k: v.numpy() for k, v in feeds()[name].items()}])

    def get_next(self) -> dict[str, Any] | None:
        """The next feeds; None after the last."""
        return next(self._left, None)


def static(form: str, signed: bool, source: Path, path: Path, name: str) -> None:
    """`form`: QOperator or QDQ."""
    kind = quantization.QuantType.QInt8 if signed else quantization.QuantType.QUInt8
    quantization.quantize_static(
        str(source), str(path), Reader(name), quant_format=quantization.QuantFormat[form], activation_type=kind,
        weight_type=kind, per_channel=signed and form == "QDQ",
    )  # fmt: skip


def contributed_qdq(activations: str, source: Path, path: Path, name: str) -> None:
    """QuantizeLinear and DequantizeLinear of com.microsoft, which have had 16 bits before ONNX's."""
    kinds = quantization.QuantType
    quantization.quantize_static(
        str(source), str(path), Reader(name), activation_type=kinds[activations], weight_type=kinds.QInt8,
        extra_options={"UseQDQContribOps": True},
    )  # fmt: skip


def dynamic(source: Path, path: Path, name: str) -> None:
    """Ranges of activations are found in each run."""
    known = {"DefaultTensorType": onnx.TensorProto.FLOAT}  # behind ops that shape inference does not know
    quantization.quantize_dynamic(str(source), str(path), extra_options=known)


def few_bits(form: str, bits: int, ops: tuple[str, ...], source: Path, path: Path, name: str) -> None:
    """Weights in blocks of 16."""
    from onnxruntime.quantization.matmul_nbits_quantizer import MatMulNBitsQuantizer

    quantizer = MatMulNBitsQuantizer(
        onnx.load(source), block_size=16, is_symmetric=False, accuracy_level=1, bits=bits, op_types_to_quantize=ops,
        quant_format=quantization.QuantFormat[form],
    )  # fmt: skip
    quantizer.process()
    quantizer.model.save_model_to_file(str(path))


extended, everything = partial(saved, Level.ORT_ENABLE_EXTENDED), partial(saved, Level.ORT_ENABLE_ALL)
qoperator, qdq, signed_qdq = (
    partial(static, "QOperator", False),
    partial(static, "QDQ", False),
    partial(static, "QDQ", True),
)
bits_4, bits_8 = partial(few_bits, "QOperator", 4, ("MatMul", "Gather")), partial(few_bits, "QOperator", 8, ("MatMul",))
qdq_4 = partial(few_bits, "QDQ", 4, ("MatMul",))

CASES: dict[str, tuple[str, tuple[Maker, ...], set[str], float]] = {
    "bert fused": ("bert", (fused,), {"Attention", "SkipLayerNormalization", "BiasGelu"}, EXACT),
    "gpt fused": ("gpt", (fused,), {"Attention", "EmbedLayerNormalization", "FastGelu"}, EXACT),
    "whisper fused": ("whisper", (fused,), {"Attention", "SkipLayerNormalization", "Gelu"}, EXACT),
    "bert saved": ("bert", (extended,), {"FusedMatMul", "SkipLayerNormalization", "Gelu", "FusedGemm"}, EXACT),
    "gpt saved": ("gpt", (extended,), {"FusedMatMul", "FastGelu"}, EXACT),
    "cnn saved": ("cnn", (extended,), {"FusedConv", "QuickGelu"}, EXACT),
    "bert fused, dynamic": ("bert", (fused, dynamic), {"QAttention"}, EXACT),
    "gpt fused, dynamic": ("gpt", (fused, dynamic), {"QAttention", "EmbedLayerNormalization"}, EXACT),
    "bert dynamic, saved": ("bert", (dynamic, extended), {"DynamicQuantizeMatMul", "MatMulIntegerToFloat"}, EXACT),
    "cnn dynamic": ("cnn", (dynamic,), set(), EXACT),
    "bert QLinear": ("bert", (qoperator,), {"QLinearAdd", "QLinearMul", "QLinearSoftmax", "QGemm"}, CODES),
    "gpt QLinear, saved": ("gpt", (qoperator, extended), {"QLinearConcat"}, CODES),
    "whisper QLinear": ("whisper", (qoperator,), {"QLinearAdd", "QLinearSoftmax"}, CODES),
    "cnn QLinear": ("cnn", (qoperator,), {"QLinearLeakyRelu", "QLinearAveragePool", "QLinearConcat"}, CODES),
    "cnn QLinear, for a machine": ("cnn", (qoperator, everything), {"QLinearConv", "NhwcMaxPool"}, CODES),
    "cnn QDQ": ("cnn", (qdq,), set(), CODES),
    "cnn QDQ, saved": ("cnn", (qdq, extended), {"QLinearSigmoid", "QLinearGlobalAveragePool"}, CODES),
    "cnn signed QDQ, saved": ("cnn", (signed_qdq, extended), {"QLinearLeakyRelu"}, CODES),
    "cnn QDQ of com.microsoft": ("cnn", (partial(contributed_qdq, "QUInt8"),), {"QuantizeLinear"}, CODES),
    "cnn QDQ of 16 bits": ("cnn", (partial(contributed_qdq, "QUInt16"),), {"DequantizeLinear"}, CODES_16),
    "bert QDQ, saved": ("bert", (qdq, extended), {"QLinearAdd", "QGemm"}, CODES),
    "bert 4 bits": ("bert", (bits_4,), {"MatMulNBits", "GatherBlockQuantized"}, EXACT),
    "bert fused, 4 bits": ("bert", (fused, bits_4), {"MatMulNBits", "Attention"}, EXACT),
    "bert 8 bits": ("bert", (bits_8,), {"MatMulNBits"}, EXACT),
    "whisper 4 bits in QDQ": ("whisper", (qdq_4,), set(), EXACT),
}


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The networks as torch exports them."""
    folder = tmp_path_factory.mktemp("exported")
    paths = {name: folder / f"{name}.onnx" for name in feeds()}
    for name, path in paths.items():
        export(name, path)
    return paths


def made(exported: dict[str, Path], name: str, makers: tuple[Maker, ...], folder: Path) -> Path:
    """What the makers, one after another, make of a network."""
    path = exported[name]
    for i, maker in enumerate(makers):
        maker(path, folder / f"{i}.onnx", name)
        path = folder / f"{i}.onnx"
    return path


@pytest.mark.parametrize("case", CASES)
def test_exporter(exported: dict[str, Path], case: str, tmp_path: Path) -> None:
    name, makers, ops, bound = CASES[case]
    path = made(exported, name, makers, tmp_path)
    assert {n.op_type for n in onnx.load(path).graph.node if n.domain == "com.microsoft"} >= ops
    inputs = {k: v.numpy() for k, v in feeds()[name].items()}
    compile_model(path, target="host", output=tmp_path / "m.edge", shapes={k: v.shape for k, v in inputs.items()})
    manifest = open_bundle(tmp_path / "m.edge").manifest
    given = {v.name: inputs[v.name] for v in manifest.inputs}
    options = RunOptions(guard=True, timeout=60)
    found = open_device("local").run(tmp_path / "m.edge", manifest.inputs, manifest.outputs, given, None, options)
    for output, wanted in onnx_runtime(path, optimize=False)(given).items():
        assert np.abs(found.outputs[output] - wanted).max() <= bound * np.ptp(wanted), output


def test_what_is_saved_for_one_machine_says_how_to_save_it(exported: dict[str, Path], tmp_path: Path) -> None:
    with pytest.raises(EdgeError, match="ORT_ENABLE_EXTENDED"):
        import_onnx(made(exported, "cnn", (everything,), tmp_path))
