"""Steps computed by bands: what is fused, how much memory it leaves, and the reference's bytes for any split."""

from dataclasses import replace
from math import sqrt
from pathlib import Path

import numpy as np
import pytest

from edgec.compiler.ir.expr import In, call, clip, relu
from edgec.compiler.ir.extent import Extent, Symbol
from edgec.compiler.ir.graph import Array, Attr, Graph, Node, Value, constant
from edgec.compiler.ir.registry import lookup
from edgec.compiler.ir.types import Quant, TensorType
from edgec.compiler.lower import bands
from edgec.compiler.lower.chains import Chain
from edgec.compiler.lower.lower import Lowered, lower
from edgec.targets.registry import find
from edgec.targets.target import Target
from edgec.tests.compiler.lower import running


class Net:
    """A channels-last graph in the making, int8 with the zero point -11 or float32."""

    def __init__(self, height: int, width: int, channels: int, *, int8: bool = True, seed: int = 0) -> None:
        self.rng, self.int8 = np.random.default_rng(seed), int8
        self.x = self.value("x", (1, height, width, channels))
        self.graph = Graph("g", [self.x], [])

    def value(self, name: str, shape: tuple[int, ...], scale: float = 0.02) -> Value:
        return Value(name, TensorType(shape, "int8", Quant.per_tensor(scale, -11)) if self.int8 else _float(shape))

    def emit(self, op: str, inputs: list[Value], attrs: dict[str, Attr], scale: float = 0.02) -> Value:
        number = len(self.graph.nodes)
        node = Node(op, inputs, [self.value(f"v{number}", (), scale)], attrs, f"{op}{number}")
        (node.output.type,) = lookup(op).infer(node)
        if self.int8:
            node.output.type = TensorType(node.output.type.shape, "int8", Quant.per_tensor(scale, -11))
        self.graph.nodes.append(node)
        return node.output

    def conv(
        self, x: Value, outputs: int, kernel: int = 1, stride: int = 1, *, depthwise: bool = False,
        pads: tuple[int, ...] | None = None, residual: Value | None = None,
    ) -> Value:  # fmt: skip
        depth = 1 if depthwise else x.type.shape[3]
        shape = (outputs, depth, kernel, kernel)
        pads = pads or (kernel // 2,) * 4
        attrs: dict[str, Attr] = {"layout": "NHWC", "strides": (stride, stride), "pads": pads}
        attrs |= {
            "groups": outputs if depthwise else 1,
            "activation": clip(In(0), -2.0, 2.0) if self.int8 else relu(In(0)),
        }
        if not self.int8:
            w, bias = self.rng.normal(size=shape) / sqrt(depth * kernel**2), self.rng.normal(size=outputs)
            weights = constant(f"w{len(self.graph.nodes)}", w.astype(np.float32))
            shift = constant(f"b{len(self.graph.nodes)}", bias.astype(np.float32))
            return self.emit("conv2d", [x, weights, shift, *([residual] if residual else [])], attrs)
        codes = self.rng.integers(-127, 128, shape).astype(np.int8)
        scales = tuple(float(s) for s in self.rng.uniform(0.002, 0.01, outputs).astype(np.float32))
        weights = constant(f"w{len(self.graph.nodes)}", codes, Quant(scales, (0,) * outputs, 0))
        shift = constant(f"b{len(self.graph.nodes)}", self.rng.integers(-900, 900, outputs).astype(np.int32))
        if residual:
            attrs["conv_quant"] = Quant.per_tensor(0.03, 5)
        scale = 0.012 * sqrt(depth) * kernel
        return self.emit("conv2d", [x, weights, shift, *([residual] if residual else [])], attrs, scale)

    def done(self, *outputs: Value) -> Graph:
        self.graph.outputs = list(outputs)
        return self.graph

    def input(self) -> dict[str, Array]:
        shape = self.x.type.shape
        if self.x.type.dtype == "int8":
            return {"x": self.rng.integers(-128, 128, shape).astype(np.int8)}
        return {"x": self.rng.normal(size=shape).astype(np.float32)}


def _float(shape: tuple[int, ...]) -> TensorType:
    return TensorType(shape, "float32")


def bottleneck(
    height: int, width: int, channels: int, wide: int, kernel: int = 3, stride: int = 1, *, int8: bool = True,
    expand: int = 1, first: int = 1, residual: bool = False, pads: tuple[int, ...] | None = None,
) -> Net:  # fmt: skip
    """1 x 1 (or `expand` x `expand` with stride `first`), depthwise, 1 x 1, between two others."""
    net = Net(height, width, channels, int8=int8)
    x = net.conv(net.x, channels)
    y = net.conv(x, wide, expand, first)
    y = net.conv(y, wide, kernel, stride, depthwise=True, pads=pads)
    y = net.conv(y, channels, residual=x if residual else None)
    net.done(net.conv(y, channels))
    return net


def heights(monkeypatch: pytest.MonkeyPatch, height: int | None) -> None:
    """All chains are fused, by bands of so many rows."""

    def chosen(chain: Chain, target: Target) -> int | None:
        return height

    monkeypatch.setattr(bands, "band_height", chosen)


def picture(
    height: int, width: int, kernel: int = 3, stride: int = 2, pad: int = 1, *, int8: bool = True, planes: int = 3
) -> Net:
    """A planar picture of floats, laid out as pixels; a convolution of it, a depthwise one, and a 1 x 1."""
    net = Net(height, width, planes, int8=int8)
    net.x = Value("x", _float((1, planes, height, width)))
    net.graph = Graph("g", [net.x], [])
    x = net.emit("map", [net.x], {"expr": In(0)}) if int8 else net.x
    x = net.emit("transpose", [x], {"perm": (0, 2, 3, 1)})
    y = net.conv(x, 16, kernel, stride, pads=(pad,) * 4)
    y = net.conv(y, 16, 3, depthwise=True)
    net.done(net.conv(y, 24))
    return net


def looked_up(height: int, width: int, *, stride: int = 1, pads: tuple[int, ...] | None = None, before: int = 1) -> Net:
    """A bottleneck with `before` tables in front of the depthwise convolution, and one behind it."""
    net = Net(height, width, 8)
    y = net.conv(net.x, 32, 3)
    for _ in range(before):
        y = net.emit("map", [y], {"expr": call("mul", In(0), call("sigmoid", In(0)))})
    y = net.conv(y, 32, 3, stride, depthwise=True, pads=pads)
    y = net.emit("map", [y], {"expr": call("tanh", In(0))})
    net.done(net.conv(y, 24))
    return net


TABLES = {
    "stride1": (looked_up(17, 12), 4, 5),
    "stride2": (looked_up(23, 16, stride=2), 2, 5),
    "two": (looked_up(16, 8, before=2), 4, 6),
    "asymmetric": (looked_up(14, 12, pads=(0, 2, 1, 0)), 4, 5),
    "valid": (looked_up(18, 12, pads=(0, 1, 0, 1)), 2, 5),
    "one_band": (looked_up(6, 4), 8, 5),
}

PICTURES = {
    "stride1": (picture(17, 12, stride=1), 4),
    "stride2": (picture(37, 21), 2),
    "5x5": (picture(24, 40, 5, pad=2), 4),
    "valid": (picture(33, 20, pad=0), 4),
    "two_planes": (picture(30, 17, planes=2), 6),
    "floats": (picture(37, 21, int8=False), 4),
    "floats_5x5": (picture(26, 33, 5, 1, 2, int8=False), 2),
}

CASES = {
    "stride1": (bottleneck(16, 9, 12, 40), 4),
    "stride2": (bottleneck(23, 17, 8, 33, stride=2), 2),
    "residual": (bottleneck(15, 10, 24, 72, residual=True), 4),
    "5x5": (bottleneck(17, 13, 16, 24, 5), 4),
    "5x5s2": (bottleneck(20, 9, 16, 48, 5, 2), 2),
    "asymmetric": (bottleneck(14, 11, 16, 24, pads=(0, 1, 1, 0)), 4),
    "deep_pads": (bottleneck(14, 6, 8, 16, pads=(2, 2, 2, 2)), 6),
    "padding_below": (bottleneck(14, 6, 8, 16, pads=(1, 1, 7, 0)), 2),
    "valid": (bottleneck(18, 7, 8, 16, pads=(0, 0, 0, 0)), 4),
    "first_3x3s2": (bottleneck(33, 21, 3, 16, expand=3, first=2), 4),
    "one_band": (bottleneck(6, 6, 8, 16), 8),
    "wide_rows": (bottleneck(9, 1, 8, 16), 2),
}


def fused(graph: Graph, target: str = "arm64-neon") -> Lowered:
    graph.name = "g"
    return lower(graph, find(target))


@pytest.mark.parametrize("case", CASES)
def test_any_split_gives_the_references_bytes(case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    net, height = CASES[case]
    heights(monkeypatch, height)
    assert [len(b.stages) for b in fused(net.graph, "host").plan.bands] == [3]
    inputs = net.input()
    for threads in (1, 2, 3, 4):
        running.check(net.graph, inputs, tmp_path, threads=threads)


@pytest.mark.parametrize("device, variant", [
    (running.BASE, None), (running.DOTPROD, None), (running.DOTPROD, running.IN_ORDER),
])  # fmt: skip
@pytest.mark.parametrize("case", ["stride1", "stride2", "residual", "5x5", "first_3x3s2", "picture"])
def test_on_arm64(case: str, device: str, variant: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    net, height = PICTURES["stride2"] if case == "picture" else CASES[case]
    heights(monkeypatch, height)
    for threads in (1, 3):
        running.check(net.graph, net.input(), tmp_path, device, threads, variant)


@pytest.mark.parametrize("case", PICTURES)
def test_pictures_are_laid_out_band_by_band(case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    net, height = PICTURES[case]
    inputs, results = net.input(), set()
    for rows in (None, height):
        heights(monkeypatch, rows)
        assert [len(b.stages) for b in fused(net.graph, "host").plan.bands] == ([4] if rows else [])
        for threads in (1, 2, 3):
            (tmp_path / f"{rows}-{threads}").mkdir()
            done = running.run(net.graph, inputs, tmp_path / f"{rows}-{threads}", threads=threads)
            results.add(done[net.graph.outputs[0].name].tobytes())
    assert len(results) == 1
    running.check(net.graph, inputs, tmp_path)


@pytest.mark.parametrize("case", TABLES)
def test_tables_are_looked_up_band_by_band(case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    net, height, steps = TABLES[case]
    heights(monkeypatch, height)
    assert [len(b.stages) for b in fused(net.graph, "host").plan.bands] == [steps]
    for threads in (1, 2, 3):
        running.check(net.graph, net.input(), tmp_path, threads=threads)


@pytest.mark.parametrize("stages", [2, 3])
def test_what_is_looked_up_behind_a_chain_stays_in_memory(
    stages: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A chain ends with the depthwise convolution or, if one follows at once, the 1 x 1; a table is next."""
    heights(monkeypatch, 4)
    net = Net(16, 12, 8)
    first = net.conv(net.x, 32)
    y = net.conv(net.conv(first, 32, 3), 32, 3, depthwise=True)
    y = net.emit("map", [net.conv(y, 32) if stages == 3 else y], {"expr": call("tanh", In(0))})
    graph = net.done(net.conv(y, 32, 3, residual=first))
    assert [len(b.stages) for b in fused(graph, "host").plan.bands] == [stages]
    for threads in (1, 2):
        running.check(graph, net.input(), tmp_path, threads=threads)


@pytest.mark.parametrize("device", [running.BASE, running.DOTPROD])
def test_tables_on_arm64(device: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    net, height, steps = TABLES["stride2"]
    heights(monkeypatch, height)
    assert [len(b.stages) for b in fused(net.graph).plan.bands] == [steps]
    for threads in (1, 3):
        running.check(net.graph, net.input(), tmp_path, device, threads)


def test_tables_whose_rows_end_in_part_of_a_vector_stay_by_themselves(monkeypatch: pytest.MonkeyPatch) -> None:
    """The last vector of a row is aligned to its end, and would be looked up twice."""
    heights(monkeypatch, 4)
    assert fused(looked_up(16, 9).graph, "host").plan.bands == []


def test_what_tables_read_is_in_memory_with_bands_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    net = looked_up(112, 112)
    small = fused(net.graph, "host").plan
    plane = 112 * 112 * 32
    assert small.bands
    assert small.arena_size < plane
    heights(monkeypatch, None)
    assert 2 * plane <= fused(net.graph, "host").plan.arena_size <= 2.2 * plane  # in place: no third one


@pytest.mark.parametrize("stride", [1, 2])
def test_floats_have_the_bytes_of_steps_one_by_one(
    stride: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    net = bottleneck(21, 13, 12, 40, stride=stride, int8=False, residual=stride == 1)
    inputs, results = net.input(), []
    for height in (None, 2, 4):
        heights(monkeypatch, height)
        folder = tmp_path / str(height)
        folder.mkdir()
        running.check(net.graph, inputs, folder, threads=2)
        results.append(running.run(net.graph, inputs, folder)[net.graph.outputs[0].name].tobytes())
    assert results[0] == results[1] == results[2]


def decided(height: int, channels: int, wide: int, stride: int = 1, target: str = "arm64-neon") -> tuple[int, ...]:
    """Number of bands, rows of the wide tensor that a thread holds, bytes of scratch memory for what is handed over;
    nothing: not fused."""
    plan = fused(bottleneck(height, height, channels, wide, stride=stride).graph, target).plan
    copies = (40 + 8) * wide if target == "arm64-neon" else 0  # of rows and a block's weights, for smmla
    return tuple(n for b in plan.bands for n in (b.count, b.stages[0].rows, plan.scratch_size - copies))


@pytest.mark.parametrize("block, expected", [
    ((112, 16, 96, 2), (28, 5, 65088)), ((56, 24, 144), (28, 4, 49152)), ((56, 24, 144, 2), (14, 5, 49280)),
    ((28, 32, 192), (14, 4, 33216)), ((28, 32, 192, 2), (7, 5, 33408)), ((14, 64, 384), (7, 4, 34176)),
    ((14, 96, 576), ()), ((7, 160, 960), ()), ((56, 24, 144, 1, "host"), (10, 8, 114240)),
    ((28, 32, 192, 1, "host"), (14, 4, 33216)), ((28, 32, 128, 1, "host"), ()),
])  # fmt: skip
def test_decisions_for_mobilenet_v2(block: tuple[int, int, int], expected: tuple[int, ...]) -> None:
    assert decided(*block) == expected


@pytest.mark.parametrize("block, expected", [
    ((112, 32, 32, 1), [56]), ((112, 16, 96, 2), [28]), ((56, 24, 144, 1), [28]), ((56, 24, 144, 2), [14]),
    ((28, 32, 192, 1), []), ((28, 32, 192, 2), [7]), ((14, 64, 384, 1), []), ((14, 96, 576, 1), []),
])  # fmt: skip
def test_floats_are_banded_where_the_usual_cache_holds_what_does_not_stay_there(
    block: tuple[int, int, int, int], expected: list[int]
) -> None:
    """The lowest bands; none where they have so few pixels that tiles of products are computed in part."""
    height, channels, wide, stride = block
    net = bottleneck(height, height, channels, wide, stride=stride, int8=False)
    assert [b.count for b in fused(net.graph).plan.bands] == expected
    smallest = replace(find("arm64-neon"), usual_cache=0)
    assert lower(net.graph, smallest).plan.bands == []


@pytest.mark.parametrize("height, tile", [(2, 2), (4, 2), (6, 2)])
def test_a_band_of_a_depthwise_convolution_is_computed_by_tiles(
    height: int, tile: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those that it has by itself: a block of channels goes through rows that stay in the first cache."""
    heights(monkeypatch, height)
    (bands_,) = fused(bottleneck(56, 56, 24, 144, int8=False).graph).plan.bands
    assert [stage.tile for stage in bands_.stages if not stage.width] == [tile]


@pytest.mark.parametrize("width, expected", [(112, 4), (232, 3), (480, 3), (2000, 0)])
def test_a_picture_is_laid_out_before_where_bands_are_too_large_with_it(width: int, expected: int) -> None:
    net = picture(64, width, int8=False)
    assert [len(b.stages) for b in fused(net.graph).plan.bands] == [expected] * bool(expected)


def test_the_wide_tensors_are_not_in_the_arena(monkeypatch: pytest.MonkeyPatch) -> None:
    """56 x 56 x 144 twice takes 900 KB; what is left is 24 channels three times, and the scratch memory."""
    net = bottleneck(56, 56, 24, 144, residual=True)
    plane = 56 * 56 * 24
    small = fused(net.graph)
    assert small.plan.arena_size <= 2 * plane + small.plan.scratch_size + 1024
    assert small.plan.arena_size == small.arena_lower_bound
    assert not [step for step in small.plan.steps if step.kernel.endswith("halo")], (
        "bands fill their padding themselves"
    )
    heights(monkeypatch, None)
    assert fused(net.graph).plan.arena_size >= 2 * 56 * 56 * 144


def stages(graph: Graph) -> list[list[str]]:
    """Names of the steps of each chain that is fused."""
    plan = fused(graph).plan
    return [[plan.steps[b.first + i].name for i in range(len(b.stages))] for b in plan.bands]


def test_what_others_read_too_is_not_fused(monkeypatch: pytest.MonkeyPatch) -> None:
    """As where squeeze and excitation pools the depthwise convolution's result."""
    heights(monkeypatch, 2)
    net = Net(16, 16, 8)
    wide = net.conv(net.x, 32)
    deep = net.conv(wide, 32, 3, depthwise=True)
    out = net.conv(deep, 8)
    assert stages(net.done(out)) == [["conv2d0", "conv2d1", "conv2d2"]]
    assert stages(net.done(out, deep)) == [["conv2d0", "conv2d1"]]
    assert stages(net.done(out, wide)) == [["conv2d1", "conv2d2"]]
    assert stages(net.done(out, wide, deep)) == []
    pooled = net.emit("avg_pool2d", [deep], {"kernel": (16, 16), "layout": "NHWC"})
    assert stages(net.done(out, pooled)) == [["conv2d0", "conv2d1"]]


def test_each_step_is_in_one_chain(monkeypatch: pytest.MonkeyPatch) -> None:
    heights(monkeypatch, 2)
    net = Net(16, 16, 8)
    y = net.conv(net.x, 16)
    for _ in range(2):
        y = net.conv(net.conv(y, 16, 3, depthwise=True), 16)
    assert stages(net.done(y)) == [["conv2d0", "conv2d1", "conv2d2"], ["conv2d3", "conv2d4"]]


@pytest.mark.parametrize("channels, expected", [
    (16, [["conv2d0", "conv2d1", "conv2d2"], ["conv2d3"]]), (24, [["conv2d0", "conv2d1"], ["conv2d2", "conv2d3"]]),
])  # fmt: skip
def test_the_larger_tensor_between_two_depthwise_convolutions_is_handed_over(
    channels: int, expected: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    heights(monkeypatch, 2)
    net = Net(16, 16, 8)
    y = net.conv(net.conv(net.x, 16), 16, 3, depthwise=True)
    y = net.conv(net.conv(y, channels), channels, 3, depthwise=True)
    assert stages(net.done(y)) == [chain for chain in expected if len(chain) > 1]


def test_a_halo_that_is_filled_between_steps_of_a_chain(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    heights(monkeypatch, 4)
    net = Net(18, 10, 16)
    y = net.conv(net.conv(net.conv(net.x, 48), 48, 3, depthwise=True), 16)
    z = net.emit("map", [y], {"expr": call("abs", In(0))})
    graph = net.done(net.conv(y, 16, 3), z)
    assert stages(graph) == [["conv2d0", "conv2d1", "conv2d2"]]
    inputs = net.input()
    for threads in (1, 2):
        running.check(graph, inputs, tmp_path, threads=threads)


def test_ranges_of_shapes_stay_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    heights(monkeypatch, 2)
    net = bottleneck(16, 16, 8, 32)
    width = Extent(16, Symbol("W", 8, 16))
    net.x.type = net.x.type.with_shape((1, 16, width, 8))
    for node in net.graph.nodes:
        (inferred,) = lookup(node.op).infer(node)
        node.output.type = replace(node.output.type, shape=inferred.shape)
    assert fused(net.graph).plan.bands == []
