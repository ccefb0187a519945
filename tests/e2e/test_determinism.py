"""The same model gives the same bundle, byte for byte, and the second compile is quick."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edgec.benchmarks import zoo

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("determinism")]


def _compile(folder: Path, cache: Path, samples: Path, seed: str) -> dict[str, bytes]:
    """Compile in a process of its own, from another place, with other hash seeds and an empty cache."""
    folder.mkdir()
    environment = {**os.environ, "EDGEC_CACHE_DIR": str(cache), "PYTHONHASHSEED": seed}
    model = str(zoo.MODELS["ppocr_cls"].load())
    command = [sys.executable, "-m", "edgec", "compile", model, "--int8", "--calibrate", str(samples)]
    command += ["--shape", "x=1,3,48,192", "-o", "m.edge"]
    subprocess.run(command, cwd=folder, env=environment, check=True, capture_output=True)
    return {p.name: p.read_bytes() for p in sorted((folder / "m.edge").iterdir())}


def test_two_machines_would_write_the_same_bytes(tmp_path: Path, record_property: Callable[[str, Any], None]) -> None:
    samples = zoo.write_samples(zoo.MODELS["ppocr_cls"].samples(4), tmp_path / "samples")
    times, bundles = [], []
    for i, cache in enumerate(("one", "two", "two")):
        started = time.perf_counter()
        bundles.append(_compile(tmp_path / str(i), tmp_path / cache, samples, str(i)))
        times.append(time.perf_counter() - started)
    assert bundles[0] == bundles[1] == bundles[2]
    record_property("seconds, cold", times[:2])
    record_property("seconds, nothing changed", times[2])
    assert times[2] < times[1]
