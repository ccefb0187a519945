"""Real models with all kinds of inputs: float against ONNX Runtime, int8 with the same bytes everywhere."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgec.benchmarks import real
from edgec.benchmarks.oracle import onnx_runtime
from edgec.benchmarks.zoo import write_samples
from edgec.compiler.bundle.reader import open_bundle
from edgec.compiler.driver import build_graph, compile_model
from edgec.compiler.ops.reference import run_graph
from edgec.compiler.quantize import RowProducts
from edgec.runtimes.devices import RunOptions, open_device

pytestmark = pytest.mark.slow

TOLERANCE = 1e-4
"""Of the output's range."""

INT8 = ("ppocr_rec_160", "basic_pitch", "magika", "minilm", "mtcnn_pnet", "mtcnn_rnet", "mtcnn_onet")


@pytest.mark.parametrize("device", ["local", "qemu:cortex-a76"])
@pytest.mark.parametrize("model", real.MODELS)
def test_float_agrees_with_onnx_runtime(model: str, device: str) -> None:
    assert real.compare(real.MODELS[model], device, 3 if device == "local" else 1).error <= TOLERANCE


@pytest.mark.parametrize("model", INT8)
def test_int8_gives_the_same_bytes_everywhere(model: str, tmp_path: Path) -> None:
    this = real.MODELS[model]
    feeds = this.feeds(100)
    options: dict[str, Any] = {
        "int8": True,
        "calibrate": write_samples([this.feeds(i) for i in range(4)], tmp_path / "samples"),
        "shapes": {name: array.shape for name, array in feeds.items()},
    }
    expected = run_graph(build_graph(this.load(), **options), feeds)
    emulated = ("qemu:cortex-a53", "qemu:cortex-a76", "qemu:max")
    for target, device in (("host", "local"), *(("arm64-neon", device) for device in emulated)):
        path = tmp_path / f"{target}.edge"
        if not path.exists():
            compile_model(this.load(), target=target, output=path, **options)
        manifest = open_bundle(path).manifest
        found = open_device(device).run(
            path, manifest.inputs, manifest.outputs, feeds, None, RunOptions(threads=2, guard=True)
        )
        for output, want in expected.items():
            np.testing.assert_array_equal(found.outputs[output], want, err_msg=f"{output} on {device}")


def test_int8_sentences_keep_their_meaning(tmp_path: Path) -> None:
    """Embeddings of sentences, half of which calibrated nothing, are close to ONNX Runtime's, and so are the
    similarities of all pairs: they have the same order."""
    this, path = real.MODELS["minilm"], tmp_path / "minilm.edge"
    feeds = [this.feeds(i) for i in range(len(real.SENTENCES))]
    chosen: list[RowProducts] = []
    manifest = compile_model(
        this.load(),
        target="host",
        int8=True,
        calibrate=write_samples(feeds[:2], tmp_path / "samples"),
        shapes={name: array.shape for name, array in feeds[0].items()},
        output=path,
        chosen=chosen.append,
    )
    infer, device = onnx_runtime(this.load()), open_device("local")
    exact = unit(np.concatenate([infer(x)["embedding"] for x in feeds]))
    runs = (device.run(path, manifest.inputs, manifest.outputs, x).outputs for x in feeds)
    found = unit(np.concatenate([outputs["embedding"] for outputs in runs]))
    assert (exact * found).sum(axis=1).min() >= 0.99
    pairs = np.triu_indices(len(feeds), 1)
    np.testing.assert_array_equal(np.argsort((found @ found.T)[pairs]), np.argsort((exact @ exact.T)[pairs]))
    assert len(chosen[0].rows) == 36  # six in each of six layers
    assert "'/Softmax" in chosen[0].reason  # its mask is the largest float32


def unit(rows: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True))


def test_the_tokenizer_makes_what_bert_expects() -> None:
    """The example of BERT's own tokenizer, accents, and a word that is unknown."""
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "un", "##aff", "##able", "!", "cafe"]
    vocabulary = {word: i for i, word in enumerate(words)}
    tokens, mask = real.encoded("Unaffable! Café qqq", vocabulary)
    assert tokens[0, :9].tolist() == [2, 4, 5, 6, 7, 8, 1, 3, 0]
    assert mask[0].tolist() == [1] * 8 + [0] * 24
