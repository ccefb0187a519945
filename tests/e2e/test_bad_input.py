"""Untrusted models and bundles through the command line: a right result, or one clear line and exit code 2.

Two thousand seeded mutations: bits, cuts, and edits that keep the file well-formed but make it absurd.
"""

import json
import random
import shutil
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from typer.testing import CliRunner, Result

import edgec
from edgec.benchmarks.oracle import onnx_runtime
from edgec.compiler.bundle.reader import open_bundle
from edgec.compiler.cli import console
from edgec.compiler.cli.app import app
from edgec.compiler.driver import compile_model
from edgec.runtimes.devices import open_device
from edgec.tests.compiler.importer import test_nested_mutations as nested

pytestmark = pytest.mark.slow

TIMEOUT_S = 10
MODEL_SEEDS = range(250)
BUNDLE_SEEDS = range(250)
NESTED_SEEDS = range(1500)
GROUPS = 10

Mutation = Callable[[random.Random, onnx.ModelProto], None]


def _tiny_model() -> onnx.ModelProto:
    """A convolution, a residual sum, pooling and a classifier, small enough to compile in no time."""
    rng = np.random.default_rng(7)

    def weight(name: str, *shape: int) -> TensorProto:
        return numpy_helper.from_array((rng.standard_normal(shape) / 4).astype(np.float32), name)

    nodes = [
        helper.make_node("Conv", ["x", "w0", "b0"], ["c0"], name="conv0", pads=[1, 1, 1, 1], strides=[2, 2]),
        helper.make_node("Relu", ["c0"], ["r0"], name="relu0"),
        helper.make_node("Conv", ["r0", "w1"], ["c1"], name="conv1", pads=[1, 1, 1, 1], group=8),
        helper.make_node("Add", ["c1", "r0"], ["s"], name="sum"),
        helper.make_node("GlobalAveragePool", ["s"], ["p"], name="pool"),
        helper.make_node("Reshape", ["p", "shape"], ["f"], name="flatten"),
        helper.make_node("Gemm", ["f", "w2", "b2"], ["g"], name="fc", transB=1),
        helper.make_node("Softmax", ["g"], ["y"], name="softmax", axis=1),
    ]
    initializers = [
        weight("w0", 8, 3, 3, 3), weight("b0", 8), weight("w1", 8, 1, 3, 3), weight("w2", 10, 8), weight("b2", 10),
        numpy_helper.from_array(np.array([1, 8], np.int64), "shape"),
    ]  # fmt: skip
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, 16, 16])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 10])],
        initializers,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def _absurd_extent(rng: random.Random) -> int:
    return rng.choice([0, -1, 1, 2, 7, 2**20, 2**31 - 1, 2**31, 2**40, 2**62, -(2**63)])


def _change_input_shape(rng: random.Random, model: onnx.ModelProto) -> None:
    rng.choice(model.graph.input[0].type.tensor_type.shape.dim).dim_value = _absurd_extent(rng)


def _change_weight_shape(rng: random.Random, model: onnx.ModelProto) -> None:
    tensor = rng.choice(model.graph.initializer)
    tensor.dims[rng.randrange(len(tensor.dims))] = _absurd_extent(rng)


def _change_weight_type(rng: random.Random, model: onnx.ModelProto) -> None:
    rng.choice(model.graph.initializer).data_type = rng.randrange(-1, 30)


def _poison_weights(rng: random.Random, model: onnx.ModelProto) -> None:
    tensor = rng.choice([i for i in model.graph.initializer if i.data_type == TensorProto.FLOAT])
    array = numpy_helper.to_array(tensor).copy()
    array.flat[rng.randrange(array.size)] = rng.choice([np.nan, np.inf, -np.inf, 1e38, 1e-45])
    tensor.CopyFrom(numpy_helper.from_array(array, tensor.name))


def _rewire(rng: random.Random, model: onnx.ModelProto) -> None:
    """An input of one node becomes some other tensor: wrong types, cycles, use before definition."""
    names = [o for n in model.graph.node for o in n.output] + ["x", "w0", "shape", "", "nowhere"]
    node = rng.choice(model.graph.node)
    node.input[rng.randrange(len(node.input))] = rng.choice(names)


def _rename_output(rng: random.Random, model: onnx.ModelProto) -> None:
    rng.choice(model.graph.node).output[0] = rng.choice(["x", "y", "c0", "", "w0"])


def _change_attribute(rng: random.Random, model: onnx.ModelProto) -> None:
    node = rng.choice([n for n in model.graph.node if n.attribute])
    attribute = rng.choice(node.attribute)
    if attribute.type == onnx.AttributeProto.INTS:
        attribute.ints[rng.randrange(len(attribute.ints))] = _absurd_extent(rng)
    else:
        attribute.i = _absurd_extent(rng)


def _drop_or_mistype_attribute(rng: random.Random, model: onnx.ModelProto) -> None:
    node = rng.choice([n for n in model.graph.node if n.attribute])
    if rng.random() < 0.5:
        node.attribute.pop()
    else:
        node.attribute[0].type = rng.randrange(15)


def _change_op(rng: random.Random, model: onnx.ModelProto) -> None:
    ops = ["Sin", "Loop", "If", "Relu", "Conv", "Add", "LSTM", "", "Reshape", "Concat", "MaxPool"]
    rng.choice(model.graph.node).op_type = rng.choice(ops)


def _shuffle_nodes(rng: random.Random, model: onnx.ModelProto) -> None:
    nodes = list(model.graph.node)
    rng.shuffle(nodes)
    del model.graph.node[:]
    model.graph.node.extend(nodes)


def _change_target_shape(rng: random.Random, model: onnx.ModelProto) -> None:
    """The Reshape asks for something huge, negative or impossible."""
    shape = np.array([_absurd_extent(rng) for _ in range(rng.randrange(1, 9))], np.int64)
    model.graph.initializer[-1].CopyFrom(numpy_helper.from_array(shape, "shape"))


def _huge_count(rng: random.Random, model: onnx.ModelProto) -> None:
    """Thousands of outputs, inputs or nodes."""
    kind = rng.randrange(3)
    for i in range(20_000):
        if kind == 0:
            model.graph.output.append(helper.make_tensor_value_info(f"y{i}", TensorProto.FLOAT, [1]))
        elif kind == 1:
            model.graph.node.append(helper.make_node("Sin", [f"z{i - 1}" if i else "y"], [f"z{i}"]))
        else:
            model.graph.node[3].input.append("r0")


def _change_opset(rng: random.Random, model: onnx.ModelProto) -> None:
    model.opset_import[0].version = rng.choice([-1, 0, 1, 6, 99, 2**40])


def _external_data(rng: random.Random, model: onnx.ModelProto) -> None:
    """Weights that are said to lie elsewhere."""
    tensor = model.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    place = rng.choice(["/etc/passwd", "../../../etc/passwd", "missing.bin", "", ".", "model.onnx", "a\0b"])
    for key, value in {"location": place, "offset": str(_absurd_extent(rng)), "length": "999999999999"}.items():
        tensor.external_data.add(key=key, value=value)


STRUCTURAL: tuple[Mutation, ...] = (
    _change_input_shape, _change_weight_shape, _change_weight_type, _poison_weights, _rewire, _rename_output,
    _change_attribute, _drop_or_mistype_attribute, _change_op, _shuffle_nodes, _change_target_shape, _huge_count,
    _change_opset, _external_data,
)  # fmt: skip


def _mutated_model(seed: int) -> bytes:
    rng = random.Random(seed)
    model = _tiny_model()
    if seed % 3:
        STRUCTURAL[seed % len(STRUCTURAL)](rng, model)
        return bytes(model.SerializeToString())
    return _damaged(rng, model.SerializeToString())


def _damaged(rng: random.Random, data: bytes) -> bytes:
    """Bits flipped, a piece cut out, the end cut off, or noise put in."""
    changed = bytearray(data)
    kind = rng.randrange(4)
    if kind == 0 and changed:
        for _ in range(rng.choice([1, 1, 3, 50])):
            changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
    elif kind == 1:
        del changed[rng.randrange(len(changed) + 1) :]
    elif kind == 2:
        start = rng.randrange(len(changed) + 1)
        del changed[start : start + rng.choice([1, 4, 100])]
    else:
        start = rng.randrange(len(changed) + 1)
        changed[start:start] = rng.randbytes(rng.choice([1, 8, 1000]))
    return bytes(changed)


@contextmanager
def _time_limit() -> Iterator[None]:
    def expired(*_: object) -> None:
        raise AssertionError(f"took longer than {TIMEOUT_S} s")

    before = signal.signal(signal.SIGALRM, expired)
    signal.alarm(TIMEOUT_S)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def _edgec(*arguments: object) -> Result:
    console.settings = console.Settings()
    with _time_limit():
        return CliRunner().invoke(app, [str(a) for a in arguments])


def _assert_refused(done: Result, what: str) -> None:
    assert done.exit_code == 2, f"{what}: {done.output} {done.exception!r}"
    assert done.stderr.startswith("error: ") and done.stderr.count("\n") == 1, f"{what}: {done.stderr}"
    assert done.stdout == ""


@pytest.mark.parametrize("group", range(GROUPS))
def test_mutated_models(group: int, tmp_path: Path) -> None:
    for seed in MODEL_SEEDS[group::GROUPS]:
        path, bundle = tmp_path / "model.onnx", tmp_path / "model.edge"
        path.write_bytes(_mutated_model(seed))
        done = _edgec("compile", path, "--target", "host", "-o", bundle)
        if done.exit_code == 0:
            _assert_right(path, bundle, seed)
            shutil.rmtree(bundle)
        else:
            _assert_refused(done, f"model {seed}")
        assert [p.name for p in tmp_path.iterdir()] == ["model.onnx"], f"model {seed} left something behind"


@pytest.mark.parametrize("group", range(GROUPS))
def test_mutated_loops_branches_and_functions(group: int, tmp_path: Path) -> None:
    """Compiled, but not run: a loop that never ends does as it says."""
    path, bundle = tmp_path / "model.onnx", tmp_path / "model.edge"
    for seed in NESTED_SEEDS[group::GROUPS]:
        path.write_bytes(_mutated_nested_model(seed))
        done = _edgec("compile", path, "--target", "host", "-o", bundle)
        if done.exit_code == 0:
            open_bundle(bundle)
            shutil.rmtree(bundle)
        else:
            _assert_refused(done, f"nested model {seed}")
        assert [p.name for p in tmp_path.iterdir()] == ["model.onnx"], f"nested model {seed} left something behind"


def _mutated_nested_model(seed: int) -> bytes:
    if seed % 3 == 0:
        return _damaged(random.Random(seed), nested.seed_model().SerializeToString())
    rng, model = np.random.default_rng(seed), nested.seed_model()
    for _ in range(1 + seed % 2):
        nested.mutate(model, rng)
    return bytes(model.SerializeToString())


def _assert_right(model: Path, bundle: Path, seed: int) -> None:
    """What edgec accepts it computes as ONNX Runtime does, where that accepts the model too."""
    manifest = open_bundle(bundle).manifest
    rng = np.random.default_rng(seed)
    feeds = {p.name: rng.standard_normal(p.shape).astype(p.dtype) for p in manifest.inputs}
    try:
        theirs = onnx_runtime(model)(feeds)
    except Exception:  # ONNX Runtime raises many kinds; edgec may be the more liberal of the two
        return
    ours = open_device("local").run(bundle, manifest.inputs, manifest.outputs, feeds).outputs
    for name, expected in theirs.items():
        if not np.isfinite(expected).all():  # from weights that are NaN or infinite; what those give is not promised
            continue
        np.testing.assert_allclose(ours[name], expected, rtol=1e-4, atol=1e-4, err_msg=f"model {seed}")


@pytest.fixture(scope="module", autouse=True)
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundle of the unchanged model. Making it also imports the compiler before any time is taken."""
    folder = tmp_path_factory.mktemp("pristine")
    onnx.save(_tiny_model(), folder / "tiny.onnx")
    compile_model(folder / "tiny.onnx", target="host", output=folder / "tiny.edge")
    return folder / "tiny.edge"


def _mutate_bundle(rng: random.Random, bundle: Path) -> str:
    """Damage one file, take it away, swap two, add one, or edit the manifest; say what was done."""
    names = sorted(p.name for p in bundle.iterdir())
    name = rng.choice(names)
    kind = rng.randrange(6)
    if kind <= 1:
        before = (bundle / name).read_bytes()
        after = before
        while after == before:
            after = _damaged(rng, before)
        (bundle / name).write_bytes(after)
    elif kind == 2:
        (bundle / name).unlink()
    elif kind == 3:
        (bundle / rng.choice(["extra", "libevil.so", ".hidden"])).write_bytes(rng.randbytes(8))
    elif kind == 4:
        other = rng.choice([n for n in names if n != name])
        (bundle / name).write_bytes((bundle / other).read_bytes())
    else:
        _edit_manifest(rng, bundle / "manifest.json")
    return f"{kind} {name}"


def _edit_manifest(rng: random.Random, path: Path) -> None:
    """Put something else where some value stands."""
    document = json.loads(path.read_text())
    places: list[tuple[Any, Any]] = []

    def collect(node: Any) -> None:
        items = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
        for key, value in items:
            places.append((node, key))
            collect(value)

    collect(document)
    node, key = rng.choice(places)
    node[key] = rng.choice([None, 0, -1, 2**31, 2**70, 1e308, "", "../..", "x" * 9999, [], {}, [[]] * 9, True, "int64"])
    path.write_text(json.dumps(document))


@pytest.mark.parametrize("group", range(GROUPS))
def test_mutated_bundles(group: int, pristine: Path, tmp_path: Path) -> None:
    expected = {n: y.tobytes() for n, y in edgec.load(pristine).run(_bundle_feeds(tmp_path)).items()}
    for seed in BUNDLE_SEEDS[group::GROUPS]:
        bundle, out = tmp_path / "m.edge", tmp_path / "out"
        shutil.copytree(pristine, bundle)
        what = f"bundle {seed}: {_mutate_bundle(random.Random(seed), bundle)}"
        done = _edgec("run", bundle, "--input", f"x={tmp_path / 'x.npy'}", "-o", out)
        if done.exit_code == 0:  # an edit of what does not matter, like a step's name
            assert np.load(out / "y.npy").tobytes() == expected["y"], what
            shutil.rmtree(out)
        else:
            _assert_refused(done, what)
            assert not out.exists(), what
        shutil.rmtree(bundle)


def _bundle_feeds(folder: Path) -> dict[str, Any]:
    x = np.random.default_rng(1).standard_normal((1, 3, 16, 16)).astype(np.float32)
    np.save(folder / "x.npy", x)
    return {"x": x}
