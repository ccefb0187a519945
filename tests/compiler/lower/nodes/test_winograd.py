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


def case(x: Sequence[int], outputs: int, pads: Sequence[int] = (1, 1, 1, 1), residual: bool = False) -> Case:
    """x: [n, h, w, C]. With a residual, ReLU before it and clamps behind it."""
    attrs: dict[str, Attr] = {"pads": tuple(pads), "layout": "NHWC"}
    return Case("conv2d", tuple(x), (outputs, x[3], 3, 3), 0, attrs, residual=residual, activation=int(residual))


CASES = [
    case((1, 8, 12, 16), 16),  # whole tiles
    case((1, 5, 7, 16), 16, residual=True),  # tiles that are moved back, both ways
    case((1, 6, 6, 20), 32, pads=(0, 0, 0, 0)),
    case((1, 13, 10, 37), 40, pads=(2, 0, 1, 2), residual=True),  # channels that are not whole vectors
    case((3, 9, 11, 24), 24, residual=True),
    case((1, 33, 29, 64), 48),  # several parts
]


HALF = [(HOST, None), (BASE, None), (DOTPROD, None), (DOTPROD, "fullfp16_inorder")]


@pytest.fixture(params=[2, 4])
def side(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """All convolutions are computed by tiles of this side, also those for which that takes longer."""
    monkeypatch.setattr(conv, "winograd_side", lambda *_: request.param)
    return int(request.param)


def sides(graph: Graph, target: str = "host") -> set[int]:
    """Pixels of a tile's side in each of the steps that compute convolutions; 0: not by tiles."""
    steps = [step.kernel for step in lower(graph, find(target)).plan.steps if step.macs]
    return {int(kernel.partition("winograd")[2][:1] or 0) for kernel in steps}


@pytest.mark.parametrize("threads", [1, 3])
def test_host(threads: int, side: int, tmp_path: Path) -> None:
    graph, inputs = graph_of(CASES, int8=False)
    assert sides(graph) == {side}
    check(graph, inputs, tmp_path, HOST, threads)


@pytest.mark.parametrize(
    ("device", "variant"), [(BASE, None), (DOTPROD, None), (DOTPROD, IN_ORDER), (MATRIX, None), (RISCV, None)]
)
def test_same_bytes(device: str, variant: str | None, side: int, tmp_path: Path) -> None:
    """On every target, by any number of threads."""
    graph, inputs = graph_of(CASES[1:5], int8=False)
    assert sides(graph) == {side}
    here, there = run(graph, inputs, tmp_path, HOST), run(graph, inputs, tmp_path, device, 3, variant)
    for name, found in there.items():
        np.testing.assert_array_equal(found.view(np.int32), here[name].view(np.int32), err_msg=name)


@pytest.mark.parametrize(
    ("depth", "most", "want"),
    # 441 KiB of weights; 576; these without room, or with room for copies only, which the algorithm then has not
    [(56, 64 << 20, 56), (64, 64 << 20, 100), (64, 0, 52), (64, 4_152_000, 52)],
)
def test_parts_are_larger_where_weights_come_from_memory(depth: int, most: int, want: int) -> None:
    y = allocate(TensorType((1, 56, 56, depth), "float32"))
    c = Context(find("arm64-neon"), Layout(), room=room.Room(2 << 20, most))
    assert tiling(c, 4, y, depth).together == want


def test_clamps_share_code(side: int, tmp_path: Path) -> None:
    """Nothing, ReLU and a clip; ReLU and nothing behind a residual."""
    cases = [replace(case((1, 8, 8, 16), 16), activation=number, seed=number) for number in range(3)]
    cases += [replace(cases[number], residual=True) for number in (0, 0)]
    graph, inputs = graph_of(cases, int8=False)
    graph.nodes[-1].attrs["residual_activation"] = None
    assert sides(graph) == {side}
    assert len([name for name in lower(graph, find("host")).kernels if "winograd" in name]) == 2
    check(graph, inputs, tmp_path, HOST)


@pytest.mark.parametrize("half", [False, True])
def test_exact_where_nothing_is_rounded(half: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Small integers and their quarters, which are all that tiles of 2 x 2 make of small integers."""
    monkeypatch.setattr(conv, "winograd_side", lambda *_: 2)
    rng, most = np.random.default_rng(3), 1 if half else 8
    w = rng.integers(-most, most + 1, (24, 40, 3, 3)).astype(np.float32)
    b = rng.integers(-99, 99, 24).astype(np.float32)
    text = """graph @g(%x: float32[1, 9, 8, 40]) -> (%y) {
      const %w: float32[24, 40, 3, 3] = @w
      const %b: float32[24] = @b
      %y: float32[1, 9, 8, 24] = conv2d(%x, %w, %b) {pads=(1, 1, 1, 1), layout="NHWC"}
    }"""
    graph = parse_graph(text, {"w": w, "b": b})
    x = rng.integers(-most, most + 1, (1, 9, 8, 40)).astype(np.float32)
    if half:
        use_halves(graph)
    want = run_graph(graph, {"x": x})["y"]
    for device, variant in HALF if half else HALF[:1]:
        np.testing.assert_array_equal(run(graph, {"x": x}, tmp_path, device, variant=variant)["y"], want)


def model(path: Path, x: Sequence[str | int], channels: tuple[int, int], seed: int) -> Path:
    """Two convolutions and a ReLU between them, as ONNX has them."""
    rng, (depth, outputs) = np.random.default_rng(seed), channels
    weights = {
        "w": rng.normal(size=(outputs, depth, 3, 3)) / np.sqrt(9 * depth), "b": rng.normal(size=outputs),
        "v": rng.normal(size=(depth, outputs, 3, 3)) / np.sqrt(9 * outputs),
    }  # fmt: skip
    graph = helper.make_graph(
        [
            helper.make_node("Conv", ["x", "w", "b"], ["h"], pads=[1, 1, 1, 1]),
            helper.make_node("Relu", ["h"], ["a"]),
            helper.make_node("Conv", ["a", "v"], ["y"], pads=[1, 1, 1, 1]),
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


def test_as_close_to_onnx_runtime_as_the_direct_form(side: int, tmp_path: Path) -> None:
    """1e-5 of the range, a tenth of what models are allowed."""
    x = np.random.default_rng(1).normal(size=(1, 256, 14, 14)).astype(np.float32)
    path = model(tmp_path / "m.onnx", x.shape, (256, 128), side)
    graph, want = build_graph(path), expected(path, x)
    assert sides(graph) == {side}
    np.testing.assert_allclose(run(graph, {"x": x}, tmp_path)["y"], want, rtol=0, atol=1e-5 * np.ptp(want))


def test_a_range_of_shapes(side: int, tmp_path: Path) -> None:
    """The same code for all planes of a range, and the same bytes as for one of them alone."""
    path = model(tmp_path / "m.onnx", ["n", 24, "h", "w"], (24, 32), 0)
    shape = symbol("N", 1, 3), 24, symbol("H", 4, 30), symbol("W", 5, 41)
    graph = build_graph(path, shapes={"x": shape})
    assert sides(graph) == {side}
    for i, size in enumerate(((1, 4, 5), (3, 30, 41), (2, 11, 18))):
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
        (case((1, 56, 56, 64), 64), 4), (case((1, 28, 28, 128), 128), 4), (case((1, 80, 160, 96), 24), 4),
        (case((1, 14, 14, 256), 256), 2),
        (case((1, 20, 20, 96), 96), 2),  # as fast as 4, with half the weights
        (case((1, 7, 7, 512), 512), 0),  # reading the weights takes too long
        (case((1, 30, 30, 352), 352), 2), (case((1, 30, 30, 520), 520), 0),  # they take too much memory
        (case((1, 10, 10, 96), 24), 0),  # too little to gain
        (case((1, 100, 100, 15), 64), 0), (case((1, 100, 100, 64), 15), 0),
        (plain((1, 3, 1000, 64), 64), 0), (plain((1, 4, 1000, 64), 64), 2), (plain((1, 6, 1000, 64), 64), 4),
        (plain((1, 60, 60, 64), 64, strides=(2, 2)), 0), (plain((1, 60, 60, 64), 64, dilations=(1, 2)), 0),
        (replace(plain((1, 60, 60, 64), 64), computed=True), 0),
        (replace(plain((1, 60, 60, 64), 64), w=(64, 64, 3, 5)), 0),
    ],
)  # fmt: skip
def test_choice(of: Case, want: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "SMALL", 1 << 30)
    graph = graph_of([of], int8=False)[0]
    assert sides(graph) == sides(graph, "arm64-neon") == {want}


def test_a_plan_does_not_grow_by_scratch_memory() -> None:
    alone, among_larger = case((1, 56, 56, 64), 192), case((1, 160, 160, 96), 16)
    assert sides(graph_of([alone], int8=False)[0], "arm64-neon") == {0}
    assert 4 in sides(graph_of([alone, among_larger], int8=False)[0], "arm64-neon")


@pytest.mark.parametrize(("device", "variant"), HALF)
def test_float16(device: str, variant: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Results have at most these roundings by half a unit of a part of the sums that there are: data is transformed in
    two additions and weights are rounded once, products are added up, and transformed back in four additions; bias,
    residual, two clamps and storing follow. Where sums are float32, what waits in memory is rounded no more often."""
    monkeypatch.setattr(conv, "winograd_side", lambda *_: 2)
    graph, inputs = graph_of(CASES, int8=False)
    bounds = {}
    for node in graph.nodes:
        x, w, bias, *rest = (np.abs(inputs[v.name] if v.data is None else v.data) for v in node.inputs)
        (top, left, bottom, right), depth = ints_attr(node, "pads"), w.shape[1]
        size = sizes(np.pad(x, ((0, 0), (top, bottom), (left, right), (0, 0))), w) + bias + sum(rest)
        roundings = 2 + 1 + min(depth, 40 + depth // 25) + 1 + 4 + 5
        bounds[node.output.name] = roundings * (size * 2**-11 + 16 * 2**-24)
    use_halves(graph)
    assert sides(graph) == {2}
    expected = run_graph(graph, inputs)
    for name, found in run(graph, inputs, tmp_path, device, 3, variant).items():
        assert (np.abs(found - expected[name]) <= bounds[name]).all(), name


def sizes(x: Array, w: Array) -> Array:
    """Of what a pixel's sums add up, at most, in the tiles of 2 x 2 that it may be in: [n, oh, ow, O] of the sizes of
    padded x [n, h, w, C] and w [O, C, 3, 3]."""
    of_data = np.array([[1, 0, 1, 0], [0, 1, 1, 0], [0, 1, 1, 0], [0, 1, 0, 1]])
    of_weights = np.array([[1, 0, 0], [0.5, 0.5, 0.5], [0.5, 0.5, 0.5], [0, 0, 1]])
    of_results = np.array([[1, 1, 1, 0], [0, 1, 1, 1]])
    windows = np.lib.stride_tricks.sliding_window_view(x, (4, 4), axis=(1, 2))  # [n, h - 3, w - 3, C, 4, 4]
    data = np.einsum("ik,nyxckl,jl->nyxcij", of_data, windows, of_data, optimize=True)
    weights = np.einsum("ik,ockl,jl->ocij", of_weights, w, of_weights, optimize=True)
    sums = np.einsum("nyxcij,ocij->nyxoij", data, weights, optimize=True)
    tiles = np.einsum("ik,nyxokl,jl->nyxoij", of_results, sums, of_results, optimize=True)
    count, rows, columns, outputs = tiles.shape[:4]
    found = np.zeros((count, rows + 1, columns + 1, outputs))
    for i, j in np.ndindex(2, 2):
        part = found[:, i : i + rows, j : j + columns]
        np.maximum(part, tiles[..., i, j], out=part)
    return found


def test_float16_takes_small_tiles() -> None:
    (graph, _), (narrow, _) = (graph_of([case((1, 56, 56, depth), 64)], int8=False) for depth in (64, 15))
    assert sides(use_halves(graph), "arm64-neon") == {2} and sides(use_halves(narrow), "arm64-neon") == {0}


def test_int8_is_computed_exactly() -> None:
    assert sides(graph_of([case((1, 30, 30, 96), 96)], int8=False)[0]) == {4}
    assert sides(graph_of([case((1, 30, 30, 96), 96)], int8=True)[0]) == {0}
