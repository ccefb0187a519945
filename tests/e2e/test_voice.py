"""Silero's voice detectors on speech of espeak-ng, frame by frame, against ONNX Runtime: with states as inputs, and
kept in the session."""

from pathlib import Path

import numpy as np
import onnxruntime as ort
import pytest

from edgec.benchmarks.voice import DETECTORS, Detector, speech
from edgec.compiler.bundle.load import load
from edgec.compiler.bundle.reader import open_bundle
from edgec.compiler.driver import build_graph, compile_model
from edgec.compiler.importer import load_model
from edgec.compiler.importer.support import op_types
from edgec.runtimes.devices import RunOptions, open_device
from edgec.runtimes.python import Model

pytestmark = [pytest.mark.slow, pytest.mark.parametrize("detector", DETECTORS.values(), ids=DETECTORS)]

EMULATED = 16
"""Frames under qemu: a pause and the beginning of a sentence."""
TOLERANCE = 1e-4
"""Of the range of a tensor over all frames."""


def frames(detector: Detector, count: int | None = None) -> list[np.ndarray]:
    """What the model takes, run by run: the first `count` frames, or all."""
    sound = speech().frames[:count]
    return [sound[i : i + detector.frames] for i in range(0, len(sound), detector.frames)]


def expected(detector: Detector, count: int | None = None) -> list[dict[str, np.ndarray]]:
    """ONNX Runtime's outputs, run by run."""
    session = ort.InferenceSession(detector.load(), providers=["CPUExecutionProvider"])
    names = [o.name for o in session.get_outputs()]
    feed = {name: np.array(value[0], np.int64) for name, value in detector.constants.items()}
    feed |= {i.name: np.zeros([d if isinstance(d, int) else 1 for d in i.shape], np.float32)
             for i in session.get_inputs() if i.name in detector.states}  # fmt: skip
    results = []
    for sound in frames(detector, count):
        results.append(dict(zip(names, session.run(None, {**feed, "input": sound}), strict=True)))
        feed |= {name: results[-1][output] for name, output in detector.states.items()}
    return results


def compare(found: list[dict[str, np.ndarray]], wanted: list[dict[str, np.ndarray]]) -> None:
    for name in found[0]:
        got, want = (np.stack([run[name] for run in runs]) for runs in (found, wanted))
        assert got.shape == want.shape and np.ptp(want) > 0.1
        np.testing.assert_allclose(got, want, rtol=0, atol=TOLERANCE * float(np.ptp(want)), err_msg=name)


def bundle(detector: Detector, folder: Path, *, target: str = "host", kept: bool = False) -> Path:
    states = detector.states if kept else {}
    path = folder / f"{target}.edge"
    compile_model(
        detector.load(), target=target, shapes=detector.shapes, constants=detector.constants, states=states,
        output=path, verify=True,
    )  # fmt: skip
    return path


def fed_back(detector: Detector, run, inputs, count: int | None = None) -> list[dict[str, np.ndarray]]:
    """The outputs, run by run, where the user carries the states."""
    feed = {port.name: np.zeros(port.shape, port.dtype) for port in inputs}
    results = []
    for sound in frames(detector, count):
        results.append(run({**feed, "input": sound}))
        feed |= {name: results[-1][output] for name, output in detector.states.items()}
    return results


def test_the_sound_is_speech(detector: Detector) -> None:
    """To ONNX Runtime: in nearly every frame of a sentence, and in hardly one of a pause (it hears an end late)."""
    sound = speech()
    heard = np.concatenate([next(iter(run.values())).reshape(-1) for run in expected(detector)]) > 0.5
    assert len(heard) == len(sound.frames) and sound.sentence.sum() > 150 and sound.pause.sum() > 60
    assert heard[sound.sentence].mean() > 0.9 and heard[sound.pause].mean() < 0.1


def test_nodes_before_and_after(detector: Detector) -> None:
    """At least 60 % fewer where branches are decided."""
    before = len(list(op_types(load_model(detector.load()).proto.graph)))
    graph = build_graph(detector.load(), shapes=detector.shapes, constants=detector.constants, verify=True)
    after = sum(len(part.nodes) for part in graph.graphs())
    print(f"{detector.name}: {before} -> {after}")
    assert not any(node.op == "if" for node in graph.nodes)
    assert after < 116 and (after <= 0.4 * before or before < 100)


def test_states_as_inputs(detector: Detector, tmp_path: Path) -> None:
    with load(bundle(detector, tmp_path)) as model:
        found = fed_back(detector, model.run, model.inputs)
    compare(found, expected(detector))


def test_states_in_the_session_are_the_same_bytes(detector: Detector, tmp_path: Path) -> None:
    with load(bundle(detector, tmp_path)) as model:
        explicit = fed_back(detector, model.run, model.inputs)
    opened = open_bundle(bundle(detector, tmp_path / "kept", kept=True))
    with Model(opened.library_code(), opened.weights) as model, model.session() as session:
        assert [p.name for p in model.inputs] == ["input"]
        for _ in range(2):
            for sound, want in zip(frames(detector), explicit, strict=True):
                found = session.run({"input": sound})
                assert set(want) - set(found) == set(detector.states.values())
                assert all(np.array_equal(found[name], want[name]) for name in found)
            session.reset()


def test_on_arm64(detector: Detector, tmp_path: Path) -> None:
    opened, device = open_bundle(bundle(detector, tmp_path, target="arm64-neon")), open_device("qemu:cortex-a76")
    ports = opened.manifest.inputs, opened.manifest.outputs
    found = fed_back(
        detector, lambda feed: device.run(opened.path, *ports, feed, None, RunOptions()).outputs, ports[0], EMULATED
    )
    compare(found, expected(detector, EMULATED))
