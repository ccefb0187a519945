"""Already quantized models, made by ONNX Runtime's own static quantizer: what users bring from other tools."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import onnx

Array = np.ndarray[Any, Any]
Codes = Literal["int8", "uint8"]

OPSET = 17


def quantize(
    model: Path,
    samples: Sequence[Mapping[str, Array]],
    path: Path,
    *,
    activations: Codes = "int8",
    weights: Codes = "int8",
    per_channel: bool = True,
    symmetric_weights: bool = True,
    operators: bool = False,
) -> None:
    """Write a quantized form of `model`, min-max on `samples`: QDQ, or with `operators` QLinear ops.

    uint8 activations come with weights of 7 bits: with more ONNX Runtime's sums saturate on AVX2 machines.
    Intermediate files lie beside `path`, which is to be in a temporary folder.
    """
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class Reader(CalibrationDataReader):  # type: ignore[misc]
        """Hands ONNX Runtime one sample after another."""

        def __init__(self) -> None:
            self._left: Iterator[Mapping[str, Array]] = iter(samples)

        def get_next(self) -> Mapping[str, Array] | None:
            """The next feeds; None after the last."""
            return next(self._left, None)

    kinds = {"int8": QuantType.QInt8, "uint8": QuantType.QUInt8}
    newer, folded = path.with_name("newer.onnx"), path.with_name("folded.onnx")
    onnx.save(_converted(onnx.load(model)), newer)
    quant_pre_process(str(newer), str(folded), skip_symbolic_shape=True)
    quantize_static(
        str(folded), str(path), Reader(), quant_format=QuantFormat.QOperator if operators else QuantFormat.QDQ,
        per_channel=per_channel, activation_type=kinds[activations], weight_type=kinds[weights],
        reduce_range=activations == "uint8", extra_options={} if symmetric_weights else {"WeightSymmetric": False},
    )  # fmt: skip


def _converted(model: onnx.ModelProto) -> onnx.ModelProto:
    """At least the opset that per-channel QuantizeLinear needs."""
    if next(o.version for o in model.opset_import if o.domain in ("", "ai.onnx")) >= OPSET:
        return model
    return onnx.version_converter.convert_version(model, OPSET)
