"""A decoder with a cache as onnxruntime-genai's builder writes it, in float32 and with weights of 4 bits."""

from pathlib import Path

import numpy as np
import pytest

from edgec.benchmarks.oracle import onnx_runtime
from edgec.compiler.bundle.reader import open_bundle
from edgec.compiler.driver import compile_model
from edgec.runtimes.devices import RunOptions, open_device
from edgec.tests.e2e.decoder_net import decoder_feeds, write_decoder

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("rows", [1, 3])
@pytest.mark.parametrize("bits", [0, 4])
@pytest.mark.parametrize(("device", "target"), [("local", "host"), ("qemu:cortex-a76", "arm64-neon")])
def test_tokens_after_a_past(tmp_path: Path, device: str, target: str, bits: int, rows: int) -> None:
    model, bundle, feeds = tmp_path / "decoder.onnx", tmp_path / "m.edge", decoder_feeds(rows, past=5)
    write_decoder(model, bits)
    compile_model(model, target=target, output=bundle, shapes={k: v.shape for k, v in feeds.items()})
    manifest = open_bundle(bundle).manifest
    given = {v.name: feeds[v.name] for v in manifest.inputs}
    found = open_device(device).run(bundle, manifest.inputs, manifest.outputs, given, None, RunOptions(guard=True))
    for name, wanted in onnx_runtime(model, optimize=False)(feeds).items():
        assert np.abs(found.outputs[name] - wanted).max() <= 1e-4 * np.ptp(wanted), name
