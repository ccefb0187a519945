"""English speech made by espeak-ng, whose library and data are in a wheel: nothing to install on the machine."""

import ctypes
import platform
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import EdgeError

Array = np.ndarray[Any, Any]

PACKAGE, VERSION = "espeakng-loader", "0.2.4"

WHEELS = {
    "x86_64": "08721baf27d13d461f6be6eed9a65277e70d68234ff484fd8b9897b222cdcb6d",
    "aarch64": "d1e798141b46a050cdb75fcf3c17db969bb2c40394f3f4a48910655d547508b9",
}
"""The wheel's SHA-256 for each machine: it holds code that runs here."""

_SYNCHRONOUS = 2  # AUDIO_OUTPUT_SYNCHRONOUS: samples go to the callback before espeak_Synth returns
_DONT_EXIT = 0x8000  # espeakINITIALIZE_DONT_EXIT: without its data, report instead of ending the process
_CHARACTERS, _UTF8 = 1, 1  # POS_CHARACTER, espeakCHARS_UTF8
_CALLBACK = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_int16), ctypes.c_int, ctypes.c_void_p)


def wheel_sha256() -> str:
    """Of this machine's wheel. EdgeError when there is none."""
    system, machine = platform.system(), platform.machine()
    if system != "Linux" or machine not in WHEELS:
        raise EdgeError(f"espeak-ng is fetched for Linux on {' and '.join(WHEELS)}, not for {system} on {machine}")
    return WHEELS[machine]


def synthesize(package: Path, sentences: Sequence[str]) -> tuple[int, list[Array]]:
    """The samples a second, and each sentence's samples int16 [count]; `package` is the wheel's unpacked folder.

    EdgeError when espeak-ng refuses.
    """
    library = ctypes.CDLL(str(package / "espeakng_loader/libespeak-ng.so"))
    rate = library.espeak_Initialize(_SYNCHRONOUS, 0, str(package / "espeakng_loader").encode(), _DONT_EXIT)
    if rate <= 0 or library.espeak_SetVoiceByName(b"en"):
        raise EdgeError(f"espeak-ng of {PACKAGE} {VERSION} finds no English voice in {package}")
    blocks: list[Array] = []

    def receive(samples: Any, count: int, _events: Any) -> int:
        if samples and count:
            blocks.append(np.ctypeslib.as_array(samples, (count,)).copy())
        return 0

    callback = _CALLBACK(receive)  # has to live as long as the library may call it
    library.espeak_SetSynthCallback(callback)
    try:
        return rate, [_spoken(library, sentence, blocks) for sentence in sentences]
    finally:
        library.espeak_Terminate()


def _spoken(library: ctypes.CDLL, sentence: str, blocks: list[Array]) -> Array:
    blocks.clear()
    text = sentence.encode()
    size = ctypes.c_size_t(len(text) + 1)
    if library.espeak_Synth(text, size, 0, _CHARACTERS, 0, _UTF8, None, None) or not blocks:
        raise EdgeError(f"espeak-ng of {PACKAGE} {VERSION} does not speak {sentence!r}")
    return np.concatenate(blocks)
