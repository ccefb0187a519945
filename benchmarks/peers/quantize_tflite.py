"""A float .tflite file -> int8, by LiteRT's own quantizer: `static`, or `dynamic` with weights of 8 bits and
activations that are quantized as they come.

    python quantize_tflite.py static|dynamic FLOAT.tflite SAMPLES.npz INT8.tflite

Runs in the Python that has the quantizer. SAMPLES has each input stacked: [samples, 1, 3, height, width] or the like.
"""

import importlib
import sys
from typing import Any

import numpy as np


def main(kind: str, source: str, samples: str, path: str) -> None:
    """See the module."""
    quantizer = importlib.import_module("ai_edge_quantizer.quantizer").Quantizer(source)
    recipe = importlib.import_module("ai_edge_quantizer.recipe")
    if kind == "dynamic":
        quantizer.load_quantization_recipe(recipe.dynamic_wi8_afp32())
        quantizer.quantize().export_model(path)
        return
    interpreter = importlib.import_module("ai_edge_litert.interpreter").Interpreter(source)
    shapes = {port["name"]: tuple(port["shape"]) for port in interpreter.get_input_details()}
    (signature,) = interpreter.get_signature_list()
    quantizer.load_quantization_recipe(recipe.static_wi8_ai8())
    with np.load(samples) as file:
        stacked = {name: _as_wanted(file[name], shapes[name]) for name in file.files}
    count = len(next(iter(stacked.values())))
    feeds = [{name: arrays[i] for name, arrays in stacked.items()} for i in range(count)]
    quantizer.quantize(quantizer.calibrate({signature: feeds})).export_model(path)


def _as_wanted(arrays: np.ndarray[Any, Any], shape: tuple[int, ...]) -> np.ndarray[Any, Any]:
    """Samples of an input, channels last where the model has them so."""
    return arrays if arrays.shape[1:] == shape else arrays.transpose(0, 1, 3, 4, 2)


if __name__ == "__main__":
    main(*sys.argv[1:])
