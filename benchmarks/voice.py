"""Silero's voice activity detectors, out of their wheel, and sound for them: streaming models with state."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from .fetch import wheel_file

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


def speech(frames: int, seed: int = 0) -> Array:
    """`frames` overlapping frames [frames, CONTEXT + HOP] of something like speech: pulses at a wandering pitch through
    three resonances that change several times a second, with breath and pauses."""
    rng = np.random.default_rng(seed)
    count = frames * HOP + CONTEXT
    time = np.arange(count) / RATE
    pitch = 120 + 25 * np.sin(2 * np.pi * 0.7 * time) + rng.normal(0, 2)
    phase = np.cumsum(pitch) / RATE
    source = np.diff(np.floor(phase), prepend=0) + 0.02 * rng.standard_normal(count)
    syllables = np.clip(np.sin(2 * np.pi * 3.1 * time + 0.4) * 1.6, 0, 1) * (np.sin(2 * np.pi * 0.45 * time) > -0.4)
    sound = np.zeros(count)
    for low, high, width in ((300, 800, 80), (900, 2200, 110), (2300, 3000, 160)):
        sound += _resonated(source, rng.uniform(low, high, count // 4000 + 1), width)
    sound = sound * syllables + 0.002 * rng.standard_normal(count)
    sound = (0.5 * sound / np.abs(sound).max()).astype(np.float32)
    return np.stack([sound[i * HOP : i * HOP + HOP + CONTEXT] for i in range(frames)])


def _resonated(source: Array, centres: Array, width: float) -> Array:
    """Two poles at a frequency that changes every quarter of a second."""
    out = np.zeros(len(source) + 2)
    radius = np.exp(-np.pi * width / RATE)
    for i, x in enumerate(source):
        turn = 2 * np.pi * centres[i // 4000] / RATE
        out[i + 2] = x + 2 * radius * np.cos(turn) * out[i + 1] - radius**2 * out[i]
    return out[2:]
