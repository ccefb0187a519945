"""Who shares memory with whom: the cases in which sharing would change results, and those in which it must happen."""

from pathlib import Path

import numpy as np
import pytest

from edgec.compiler.ir.expr import Expr, In, call, relu
from edgec.compiler.ir.graph import Array, Attr, Graph, Node, Value, constant
from edgec.compiler.ir.registry import lookup
from edgec.compiler.ir.types import TensorType
from edgec.compiler.lower.lower import Lowered, lower
from edgec.compiler.lower.plan import Space
from edgec.targets.registry import find
from edgec.tests.compiler.lower.running import check

SHAPE = (1, 4, 8, 16)
"""Channels last, of whole vectors."""

ADD: Expr = call("add", In(0), In(1))


class Net:
    """A float graph in the making."""

    def __init__(self, *shapes: tuple[int, ...]) -> None:
        self.rng = np.random.default_rng(0)
        self.inputs = [Value(f"x{i}", TensorType(shape, "float32")) for i, shape in enumerate(shapes)]
        self.graph = Graph("g", list(self.inputs), [])

    def emit(self, op: str, *inputs: Value, extents: tuple[int, ...] = (), **attrs: Attr) -> Value:
        number = len(self.graph.nodes)
        node = Node(op, list(inputs), [Value(f"v{number}", TensorType(extents, "float32"))], attrs, f"{op}{number}")
        (node.output.type,) = lookup(op).infer(node)
        self.graph.nodes.append(node)
        return node.output

    def conv(self, x: Value, kernel: int = 3) -> Value:
        """As many channels as before, on a plane of the same size."""
        channels, pad = x.type.shape[3], kernel // 2
        w = constant(f"w{len(self.graph.nodes)}", self.normal(channels, channels, kernel, kernel))
        return self.emit("conv2d", x, w, pads=(pad,) * 4, layout="NHWC")

    def relu(self, x: Value) -> Value:
        return self.emit("map", x, expr=relu(In(0)))

    def add(self, x: Value, y: Value) -> Value:
        return self.emit("map", x, y, expr=ADD)

    def normal(self, *shape: int) -> Array:
        return self.rng.normal(size=shape).astype(np.float32)

    def lowered(self, *outputs: Value) -> Lowered:
        self.graph.outputs = list(outputs)
        return lower(self.graph, find("arm64-neon"))

    def check(self, folder: Path, *outputs: Value) -> None:
        self.graph.outputs = list(outputs)
        inputs = {v.name: self.normal(*v.type.shape) for v in self.inputs}
        for threads in (1, 2):
            check(self.graph, inputs, folder, threads=threads)


def names(lowered: Lowered) -> list[str]:
    return [step.name for step in lowered.plan.steps]


def test_a_map_runs_in_place() -> None:
    net = Net(SHAPE)
    v = net.conv(net.relu(net.conv(net.inputs[0])))
    lowered = net.lowered(net.conv(v))
    map_step = next(s for s in lowered.plan.steps if s.kernel.startswith("map"))
    x, y = (o for o in map_step.operands if o.space == Space.ARENA)
    assert x == y


def written_over(lowered: Lowered) -> list[int]:
    """The inputs of the only map whose memory is that of its output."""
    *inputs, y = next(s for s in lowered.plan.steps if s.kernel.startswith("map")).operands
    return [i for i, x in enumerate(inputs) if x == y]


def test_a_map_runs_in_place_of_what_its_other_inputs_were_computed_from(tmp_path: Path) -> None:
    net = Net(SHAPE)
    v = net.conv(net.inputs[0])
    gate = net.conv(net.emit("reduce", v, kind="mean", axes=(1, 2), keepdims=True), 1)
    y = net.conv(net.add(v, gate))
    assert written_over(net.lowered(y)) == [0]
    net.check(tmp_path, y)


def test_what_has_padding_for_another_reader_is_not_overwritten() -> None:
    net = Net(SHAPE)
    v = net.conv(net.inputs[0])
    assert written_over(net.lowered(net.conv(net.add(v, net.conv(v))))) == [1]


def test_what_an_unrelated_node_reads_is_not_overwritten(tmp_path: Path) -> None:
    net = Net(SHAPE)
    v = net.conv(net.inputs[0])
    outputs = net.conv(v, 1), net.conv(net.add(v, net.emit("reduce", v, kind="mean", axes=(1, 2), keepdims=True)))
    assert written_over(net.lowered(*outputs)) == []
    net.check(tmp_path, *outputs)


def test_what_has_other_names_is_not_overwritten(tmp_path: Path) -> None:
    net = Net(SHAPE)
    v = net.conv(net.inputs[0])
    flat = net.emit("reshape", v, shape=(1, 1, 32, 16))
    mean = net.emit("reduce", net.conv(flat, 1), kind="mean", axes=(1, 2), keepdims=True)
    outputs = net.conv(net.add(v, mean)), net.conv(flat, 1)
    assert written_over(net.lowered(*outputs)) == []
    net.check(tmp_path, *outputs)


def test_a_value_that_is_read_again_is_not_overwritten(tmp_path: Path) -> None:
    net = Net(SHAPE)
    v = net.conv(net.inputs[0])
    net.check(tmp_path, net.conv(net.add(net.relu(v), v)))


def test_rows_that_are_no_whole_vectors_are_not_overwritten(tmp_path: Path) -> None:
    """A plane is a whole number of vectors, but a row of one pixel is not: what is repeated per channel walks those."""
    net = Net((1, 4, 8, 24))
    v = net.add(net.conv(net.inputs[0], 1), constant("c", net.normal(24)))
    net.check(tmp_path, net.conv(v, 1))


def test_nor_are_rows_that_another_operand_splits(tmp_path: Path) -> None:
    """The operand that is read lies in a concat's buffer, with other channels between its pixels."""
    net = Net((1, 4, 8, 24))
    a, b = net.conv(net.inputs[0], 1), net.conv(net.inputs[0], 1)
    whole = net.emit("concat", b, net.relu(net.inputs[0]), axis=3)
    net.check(tmp_path, net.conv(net.add(a, b), 1), net.conv(whole, 1))


def test_a_part_of_an_overwritten_concat_that_is_read_again(tmp_path: Path) -> None:
    net = Net(SHAPE)
    a, b = net.conv(net.inputs[0]), net.conv(net.inputs[0])
    whole = net.relu(net.emit("concat", a, b, axis=3))
    later = net.conv(net.add(a, a))
    net.check(tmp_path, net.conv(whole), later)


def test_a_concat_of_concats_is_free() -> None:
    net = Net(SHAPE)
    a, b, c = (net.conv(net.inputs[0]) for _ in range(3))
    inner = net.emit("concat", a, b, axis=3)
    lowered = net.lowered(net.emit("max_pool2d", net.emit("concat", inner, c, axis=3), kernel=(2, 2), layout="NHWC"))
    assert not any(name.startswith("concat") for name in names(lowered))


def test_a_concat_that_is_an_output_is_written_in_place(tmp_path: Path) -> None:
    net = Net(SHAPE)
    y = net.emit("concat", net.conv(net.inputs[0]), net.conv(net.inputs[0], 1), axis=3)
    assert not any(name.startswith("concat") for name in names(net.lowered(y)))
    net.check(tmp_path, y)


def test_a_concat_of_inputs_constants_and_one_value_twice(tmp_path: Path) -> None:
    net = Net(SHAPE, SHAPE)
    c, v = constant("c", net.normal(*SHAPE)), net.conv(net.inputs[1])
    net.check(tmp_path, net.conv(net.emit("concat", net.inputs[0], c, v, v, axis=3)))


def test_a_deep_chain_of_concats() -> None:
    net = Net((1, 2, 2, 1))
    whole = net.conv(net.inputs[0], 1)
    for _ in range(1500):
        whole = net.emit("concat", whole, net.relu(net.inputs[0]), axis=3)
    assert net.lowered(net.relu(whole)).plan.arena_size > 0


def test_outputs_that_are_inputs_constants_and_each_other(tmp_path: Path) -> None:
    net = Net(SHAPE)
    v = net.conv(net.inputs[0])
    reshaped = net.emit("reshape", v, shape=(32, 16))
    w = net.conv(v)
    again = net.emit("reshape", net.inputs[0], shape=(16, 32))
    net.check(tmp_path, net.inputs[0], constant("c", net.normal(2, 3)), v, reshaped, w, again)


def test_one_value_as_two_outputs(tmp_path: Path) -> None:
    net = Net(SHAPE)
    v = net.conv(net.inputs[0])
    lowered = net.lowered(v, v)
    written = {o.index for s in lowered.plan.steps for o in s.operands if o.space == Space.OUTPUT}
    assert written == {0, 1}


def test_an_output_that_is_read_with_padding(tmp_path: Path) -> None:
    net = Net(SHAPE)
    v = net.conv(net.inputs[0])
    lowered = net.lowered(v, net.conv(v))
    assert [name for name in names(lowered) if name.endswith("/copy")] == ["conv2d0/copy", "conv2d1/copy"]
    net.check(tmp_path, v, net.graph.nodes[-1].output)


def test_one_copy_serves_all_readers() -> None:
    net = Net(SHAPE)
    readers = [net.conv(net.inputs[0], kernel) for kernel in (1, 3, 5)]
    lowered = net.lowered(net.emit("concat", *readers, axis=3))
    assert sum(name.endswith("/copy") for name in names(lowered)) == 1


def test_a_product_is_written_in_the_order_of_its_transpose(tmp_path: Path) -> None:
    net = Net((2, 3, 5, 7), (2, 3, 7, 16))
    product = net.emit("matmul", *net.inputs)
    y = net.relu(net.emit("reshape", net.emit("transpose", product, perm=(0, 2, 1, 3)), shape=(2, 5, 48)))
    swapped = net.emit("transpose", net.emit("matmul", *net.inputs), perm=(1, 0, 2, 3))
    assert not any(name.startswith("transpose") for name in names(net.lowered(y, swapped)))
    net.check(tmp_path, y, swapped)


def test_a_product_that_others_read_is_transposed(tmp_path: Path) -> None:
    net = Net((2, 3, 5, 7), (2, 3, 7, 16))
    product = net.emit("matmul", *net.inputs)
    y, other = net.emit("transpose", product, perm=(0, 2, 1, 3)), net.relu(product)
    columns = net.emit("transpose", net.emit("matmul", *net.inputs), perm=(0, 1, 3, 2))
    found = names(net.lowered(y, other, columns))
    assert [name for name in found if name.startswith("transpose")] == ["transpose1", "transpose4"]
    net.check(tmp_path, y, other, columns)


def test_an_unused_input(tmp_path: Path) -> None:
    net = Net(SHAPE, (2, 3))
    net.check(tmp_path, net.relu(net.inputs[0]))


def test_scalars(tmp_path: Path) -> None:
    net = Net((), SHAPE)
    net.check(tmp_path, net.add(net.relu(net.inputs[0]), net.inputs[0]), net.add(net.inputs[1], net.inputs[0]))


@pytest.mark.parametrize("op", ["softmax", "reduce"])
def test_padding_around_what_cannot_be_written_with_gaps(op: str, tmp_path: Path) -> None:
    net = Net(SHAPE)
    v = net.conv(net.inputs[0])
    v = (
        net.emit("softmax", v, axis=3)
        if op == "softmax"
        else net.emit("reduce", v, kind="max", axes=(3,), keepdims=True)
    )
    net.check(tmp_path, net.conv(v))


def test_padding_around_the_same_bytes_in_another_shape(tmp_path: Path) -> None:
    net = Net(SHAPE)
    v = net.conv(net.inputs[0])
    net.check(tmp_path, net.conv(net.emit("reshape", v, shape=(1, 8, 4, 16))), net.conv(v, 1))


def test_a_small_plane_is_not_padded_to_many_times_its_size(tmp_path: Path) -> None:
    net = Net((1, 2, 64, 16))
    a = net.conv(net.inputs[0], 1)
    y = net.conv(a, 5)
    lowered = net.lowered(net.relu(net.conv(y, 1)))
    assert lowered.plan.arena_size < 2.3 * a.type.nbytes
    net.check(tmp_path, net.graph.outputs[0])


@pytest.mark.parametrize("mode", ["edge", "reflect"])
def test_mirrored_padding(mode: str, tmp_path: Path) -> None:
    net = Net((2, 3, 5, 4))
    v = net.emit("pad", net.relu(net.inputs[0]), pads=(1, 2, 0, 3, 0, 1, 4, 2), mode=mode)
    net.check(tmp_path, v, net.emit("pad", net.inputs[0], pads=(0, 0, 2, 2, 0, 0, 2, 2), mode=mode))


def test_scatter_into_what_it_reads_as_updates(tmp_path: Path) -> None:
    """The data are not overwritten while rows of them are still to be written elsewhere."""
    net = Net((4, 32))
    x = net.relu(net.inputs[0])
    y = net.emit("scatter", x, constant("places", np.array([1, 2, 3, 0])), x)
    net.check(tmp_path, y)


def test_padding_on_all_sides(tmp_path: Path) -> None:
    """Nothing of a row is shared with the next, as it is where a buffer has a halo."""
    net = Net((2, 3, 5, 4))
    net.check(tmp_path, net.emit("pad", net.inputs[0], pads=(0, 1, 2, 0, 0, 2, 1, 0), value=0.5))
