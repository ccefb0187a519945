"""Convolutions by Winograd's algorithm, from lowering to the machine."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgec.compiler.driver import build_graph
from edgec.compiler.ir.attributes import ints_attr
from edgec.compiler.ir.extent import symbol
from edgec.compiler.ir.graph import Array, Attr, Graph
from edgec.compiler.ir.parser import parse_graph
from edgec.compiler.ir.types import TensorType
from edgec.compiler.kernels.convolutions.winograd_transforms import Form
from edgec.compiler.lower import room
from edgec.compiler.lower.buffers import allocate
from edgec.compiler.lower.context import Context
from edgec.compiler.lower.layout import Layout
from edgec.compiler.lower.lower import lower
from edgec.compiler.lower.nodes import conv
from edgec.compiler.lower.nodes.winograd import tiling
from edgec.compiler.ops.reference import run_graph
from edgec.compiler.quantize import use_halves
from edgec.targets.registry import find
from edgec.tests.compiler.kernels.convolutions.contractions import Case, graph_of

from ..running import BASE, DOTPROD, HOST, IN_ORDER, MATRIX, RISCV, check, run


def case(
    x: Sequence[int], outputs: int, pads: Sequence[int] = (1, 1, 1, 1), residual: bool = False, stride: int = 1
) -> Case:
    """x: [n, h, w, C]. With a residual, ReLU before it and clamps behind it."""
    attrs: dict[str, Attr] = {"pads": tuple(pads), "strides": (stride, stride), "layout": "NHWC"}
    return Case("conv2d", tuple(x), (outputs, x[3], 3, 3), 0, attrs, residual=residual, activation=int(residual))


def cases(stride: int) -> list[Case]:
    """Of planes of so many times the size, for the same tiles."""

    def of(n: int, h: int, w: int, depth: int) -> tuple[int, ...]:
        return n, h * stride, w * stride, depth

    return [
        case(of(1, 8, 12, 16), 16, stride=stride),  # whole tiles
        case(of(1, 5, 7, 16), 16, residual=True, stride=stride),  # tiles that are moved back, both ways
        case(of(1, 7, 7, 20), 32, pads=(0, 0, 0, 0), stride=stride),
        case(of(1, 13, 10, 37), 40, pads=(2, 0, 1, 2), residual=True, stride=stride),  # not whole vectors
        case(of(3, 9, 11, 24), 24, residual=True, stride=stride),
        case(of(1, 33, 29, 64), 48, stride=stride),  # several parts
    ]


HALF = [(HOST, None), (BASE, None), (DOTPROD, None), (DOTPROD, "fullfp16_inorder")]


SMALL, LARGE, STRIDED = Form(2), Form(4), Form(2, 2)
NAMES = {SMALL: "2", LARGE: "4", STRIDED: "2s2"}


@pytest.fixture(params=NAMES, ids=NAMES.get)
def form(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Form:
    """All convolutions are computed by tiles of this form, also those for which that takes longer."""
    assert isinstance(request.param, Form)
    monkeypatch.setattr(conv, "winograd_form", lambda *_: request.param)
    return request.param


def forms(graph: Graph, target: str = "host") -> set[str]:
    """The form of tiles of each of the steps that compute convolutions; "": not by tiles."""
    steps = [step.kernel for step in lower(graph, find(target)).plan.steps if step.macs]
    return {kernel.partition("winograd")[2].partition("_")[0] for kernel in steps}


@pytest.mark.parametrize("threads", [1, 3])
def test_host(threads: int, form: Form, tmp_path: Path) -> None:
    graph, inputs = graph_of(cases(form.stride), int8=False)
    assert forms(graph) == {NAMES[form]}
    check(graph, inputs, tmp_path, HOST, threads)


@pytest.mark.parametrize(
    ("device", "variant"), [(BASE, None), (DOTPROD, None), (DOTPROD, IN_ORDER), (MATRIX, None), (RISCV, None)]
)
def test_same_bytes(device: str, variant: str | None, form: Form, tmp_path: Path) -> None:
    """On every target, by any number of threads."""
    graph, inputs = graph_of(cases(form.stride)[1:5], int8=False)
    assert forms(graph) == {NAMES[form]}
    here, there = run(graph, inputs, tmp_path, HOST), run(graph, inputs, tmp_path, device, 3, variant)
    for name, found in there.items():
        np.testing.assert_array_equal(found.view(np.int32), here[name].view(np.int32), err_msg=name)


@pytest.mark.parametrize(
    ("depth", "most", "want"),
    # 441 KiB of weights; 576; these without room, or with room for copies only, which the algorithm then has not
    [(56, 64 << 20, 56), (64, 64 << 20, 100), (64, 0, 50), (64, 4_152_000, 50)],
)
def test_parts_are_larger_where_weights_come_from_memory(depth: int, most: int, want: int) -> None:
    y = allocate(TensorType((1, 56, 56, depth), "float32"))
    c = Context(find("arm64-neon"), Layout(), room=room.Room(2 << 20, most))
    assert tiling(c, LARGE, y, depth).together == want


def test_clamps_share_code(form: Form, tmp_path: Path) -> None:
    """Nothing, ReLU and a clip; ReLU and nothing behind a residual."""
    of = case((1, 16, 16, 16), 16, stride=form.stride)
    clamped = [replace(of, activation=number, seed=number) for number in range(3)]
    clamped += [replace(clamped[number], residual=True) for number in (0, 0)]
    graph, inputs = graph_of(clamped, int8=False)
    graph.nodes[-1].attrs["residual_activation"] = None
    assert forms(graph) == {NAMES[form]}
    assert len([name for name in lower(graph, find("host")).kernels if "winograd" in name]) == 2
    check(graph, inputs, tmp_path, HOST)


@pytest.mark.parametrize("form", [SMALL, STRIDED], indirect=True, ids=NAMES.get)
@pytest.mark.parametrize("half", [False, True])
def test_exact_where_nothing_is_rounded(half: bool, form: Form, tmp_path: Path) -> None:
    """Small integers and their quarters, which are all that tiles of 2 x 2 make of small integers."""
    rng, most = np.random.default_rng(3), 1 if half else 8
    w = rng.integers(-most, most + 1, (24, 40, 3, 3)).astype(np.float32)
    b = rng.integers(-99, 99, 24).astype(np.float32)
    sizes = "1, 9, 8, 24" if form == SMALL else "1, 5, 4, 24"
    text = f"""graph @g(%x: float32[1, 9, 8, 40]) -> (%y) {{
      const %w: float32[24, 40, 3, 3] = @w
      const %b: float32[24] = @b
      %y: float32[{sizes}] = conv2d(%x, %w, %b)
        {{pads=(1, 1, 1, 1), strides=({form.stride}, {form.stride}), layout="NHWC"}}
    }}"""
    graph = parse_graph(text, {"w": w, "b": b})
    x = rng.integers(-most, most + 1, (1, 9, 8, 40)).astype(np.float32)
    if half:
        use_halves(graph)
    want = run_graph(graph, {"x": x})["y"]
    for device, variant in HALF if half else HALF[:1]:
        np.testing.assert_array_equal(run(graph, {"x": x}, tmp_path, device, variant=variant)["y"], want)


def model(path: Path, x: Sequence[str | int], channels: tuple[int, int], stride: int) -> Path:
    """Two convolutions and a ReLU between them, as ONNX has them."""
    rng, (depth, outputs) = np.random.default_rng(0), channels
    weights = {
        "w": rng.normal(size=(outputs, depth, 3, 3)) / np.sqrt(9 * depth), "b": rng.normal(size=outputs),
        "v": rng.normal(size=(depth, outputs, 3, 3)) / np.sqrt(9 * outputs),
    }  # fmt: skip
    graph = helper.make_graph(
        [
            helper.make_node("Conv", ["x", "w", "b"], ["h"], pads=[1, 1, 1, 1], strides=[stride, stride]),
            helper.make_node("Relu", ["h"], ["a"]),
            helper.make_node("Conv", ["a", "v"], ["y"], pads=[1, 1, 1, 1], strides=[stride, stride]),
        ],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, x)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(array.astype(np.float32), name) for name, array in weights.items()],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), str(path))
    return path


def expected(path: Path, x: Array) -> Array:
    """What ONNX Runtime computes."""
    return np.asarray(ort.InferenceSession(str(path), providers=["CPUExecutionProvider"]).run(None, {"x": x})[0])


def test_as_close_to_onnx_runtime_as_the_direct_form(form: Form, tmp_path: Path) -> None:
    """1e-5 of the range, a tenth of what models are allowed."""
    extent = 14 * form.stride
    x = np.random.default_rng(1).normal(size=(1, 256, extent, extent)).astype(np.float32)
    path = model(tmp_path / "m.onnx", x.shape, (256, 128), form.stride)
    graph, want = build_graph(path), expected(path, x)
    assert forms(graph) == {NAMES[form]}
    np.testing.assert_allclose(run(graph, {"x": x}, tmp_path)["y"], want, rtol=0, atol=1e-5 * np.ptp(want))


def test_a_range_of_shapes(form: Form, tmp_path: Path) -> None:
    """The same code for all planes of a range, and the same bytes as for one of them alone."""
    least = 4 if form.stride == 1 else 7
    path = model(tmp_path / "m.onnx", ["n", 24, "h", "w"], (24, 32), form.stride)
    shape = symbol("N", 1, 3), 24, symbol("H", least, 30), symbol("W", least + 1, 41)
    graph = build_graph(path, shapes={"x": shape})
    assert forms(graph) == {NAMES[form]}
    for i, size in enumerate(((1, least, least + 1), (3, 30, 41), (2, 11, 18))):
        x = np.random.default_rng(i).normal(size=(size[0], 24, *size[1:])).astype(np.float32)
        found, want = run(graph, {"x": x}, tmp_path, threads=2)["y"], expected(path, x)
        np.testing.assert_allclose(found, want, rtol=0, atol=1e-5 * np.ptp(want))
        alone = build_graph(path, shapes={"x": x.shape})
        (folder := tmp_path / str(i)).mkdir()
        np.testing.assert_array_equal(run(alone, {"x": x}, folder)["y"], found)


def plain(x: Sequence[int], outputs: int, **attrs: Attr) -> Case:
    """Without padding."""
    return Case("conv2d", tuple(x), (outputs, x[3], 3, 3), 0, {"layout": "NHWC", **attrs})


@pytest.mark.parametrize(
    ("of", "want"),
    [
        (case((1, 56, 56, 64), 64), LARGE), (case((1, 28, 28, 128), 128), LARGE), (case((1, 80, 160, 96), 24), LARGE),
        (case((1, 14, 14, 256), 256), SMALL),
        (case((1, 20, 20, 96), 96), SMALL),  # as fast as the larger ones, with half the weights
        (case((1, 7, 7, 512), 512), None),  # reading the weights takes too long
        (case((1, 30, 30, 352), 352), SMALL), (case((1, 30, 30, 520), 520), None),  # they take too much memory
        (case((1, 56, 56, 128), 128, stride=2), STRIDED), (case((1, 28, 28, 256), 256, stride=2), STRIDED),
        (case((1, 14, 14, 512), 512, stride=2), None),
        (case((1, 80, 80, 32), 64, stride=2), None),  # transforming numbers takes as long
        (case((1, 20, 20, 48), 48), LARGE), (case((1, 10, 10, 96), 24), None),  # too little to gain
        (case((1, 100, 100, 15), 64), None), (case((1, 100, 100, 64), 15), None),
        (plain((1, 3, 1000, 64), 64), None), (plain((1, 4, 1000, 64), 64), SMALL),
        (plain((1, 6, 1000, 64), 64), LARGE), (plain((1, 4, 1000, 64), 64, strides=(2, 2)), None),
        (plain((1, 5, 1001, 64), 64, strides=(2, 2)), STRIDED), (plain((1, 60, 60, 64), 64, strides=(1, 2)), None),
        (plain((1, 60, 60, 64), 64, dilations=(1, 2)), None),
        (replace(plain((1, 60, 60, 64), 64), computed=True), None),
        (replace(plain((1, 60, 60, 64), 64), w=(64, 64, 3, 5)), None),
    ],
)  # fmt: skip
def test_choice(of: Case, want: Form | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "SMALL", 1 << 30)
    graph = graph_of([of], int8=False)[0]
    assert forms(graph) == forms(graph, "arm64-neon") == {NAMES.get(want, "")}


def test_a_plan_does_not_grow_by_scratch_memory() -> None:
    alone, among_larger = case((1, 56, 56, 64), 192), case((1, 160, 160, 96), 16)
    assert forms(graph_of([alone], int8=False)[0], "arm64-neon") == {""}
    assert "4" in forms(graph_of([alone, among_larger], int8=False)[0], "arm64-neon")


@pytest.mark.parametrize("form", [SMALL, STRIDED], indirect=True, ids=NAMES.get)
@pytest.mark.parametrize(("device", "variant"), HALF)
def test_float16(device: str, variant: str | None, form: Form, tmp_path: Path) -> None:
    """Results have at most these roundings by half a unit of a part of the sums that there are: data is transformed in
    two additions and weights are rounded once, products are added up, and transformed back in four additions; bias,
    residual, two clamps and storing follow. Where sums are float32, what waits in memory is rounded no more often."""
    graph, inputs = graph_of(cases(form.stride), int8=False)
    bounds = {}
    for node in graph.nodes:
        x, w, bias, *rest = (np.abs(inputs[v.name] if v.data is None else v.data) for v in node.inputs)
        (top, left, bottom, right), depth = ints_attr(node, "pads"), w.shape[1]
        extents = node.output.type.shape[1:3]
        size = sizes(form, np.pad(x, ((0, 0), (top, bottom), (left, right), (0, 0))), w, extents) + bias + sum(rest)
        roundings = 2 + 1 + min(depth, 40 + depth // 25) + 1 + 4 + 5
        bounds[node.output.name] = roundings * (size * 2**-11 + 16 * 2**-24)
    use_halves(graph)
    assert forms(graph) == {NAMES[form]}
    expected = run_graph(graph, inputs)
    for name, found in run(graph, inputs, tmp_path, device, 3, variant).items():
        assert (np.abs(found - expected[name]) <= bounds[name]).all(), name


def sizes(form: Form, x: Array, w: Array, extents: Sequence[int]) -> Array:
    """Of what a pixel's sums add up, at most, in the tiles of 2 x 2 that it may be in: [n, oh, ow, O] of the sizes of
    padded x [n, h, w, C] and w [O, C, 3, 3]."""
    if form == SMALL:
        of_data = np.array([[1, 0, 1, 0], [0, 1, 1, 0], [0, 1, 1, 0], [0, 1, 0, 1]])
        of_weights = np.array([[1, 0, 0], [0.5, 0.5, 0.5], [0.5, 0.5, 0.5], [0, 0, 1]])
        of_results = np.array([[1, 1, 1, 0], [0, 1, 1, 1]])
    else:
        of_data = np.array([[1, 0, 1, 0, 0], [0, 0, 1, 0, 0], [0, 0, 1, 0, 1], [0, 1, 0, 0, 0], [0, 0, 0, 1, 0]])
        of_weights = np.array([[1, 0, 0], [1, 0, 1], [0, 0, 1], [0, 1, 0], [0, 1, 0]])
        of_results = np.array([[1, 1, 0, 1, 0], [0, 1, 1, 0, 1]])
    windows = np.lib.stride_tricks.sliding_window_view(x, (form.span, form.span), axis=(1, 2))
    windows = windows[:, :: form.stride, :: form.stride]  # [n, oh - 1, ow - 1, C, span, span]
    data = np.einsum("ik,nyxckl,jl->nyxcij", of_data, windows, of_data, optimize=True)
    weights = np.einsum("ik,ockl,jl->ocij", of_weights, w, of_weights, optimize=True)
    sums = np.einsum("nyxcij,ocij->nyxoij", data, weights, optimize=True)
    tiles = np.einsum("ik,nyxokl,jl->nyxoij", of_results, sums, of_results, optimize=True)
    rows, columns = (extent - 1 for extent in extents)
    found = np.zeros((len(x), rows + 1, columns + 1, len(w)))
    for i, j in np.ndindex(2, 2):
        part = found[:, i : i + rows, j : j + columns]
        np.maximum(part, tiles[:, :rows, :columns, :, i, j], out=part)
    return found


def test_float16_takes_small_tiles() -> None:
    (graph, _), (narrow, _) = (graph_of([case((1, 56, 56, depth), 64)], int8=False) for depth in (64, 15))
    assert forms(use_halves(graph), "arm64-neon") == {"2"} and forms(use_halves(narrow), "arm64-neon") == {""}


def test_int8_is_computed_exactly() -> None:
    assert forms(graph_of([case((1, 30, 30, 96), 96)], int8=False)[0]) == {"4"}
    assert forms(graph_of([case((1, 30, 30, 96), 96)], int8=True)[0]) == {""}
