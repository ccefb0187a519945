"""Seeded mutations of a model with loops, branches, scans and functions: an import that verifies, or one EdgeError."""

from collections.abc import Iterator

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from edgec.compiler.importer import import_onnx
from edgec.compiler.ir.verify import verify
from edgec.tests.compiler.importer.test_mutations import HOSTILE, imports_or_refuses, mutated_bytes

TEXT = """
<ir_version: 9, opset_import: ["": 20, "mine": 1]>
g (float[3,4] x, bool yes, float[3,4] z) => (float[3,4] y, float[5,3,4] every, float[4] last)
<int64 turns = {5}, bool go = {1}>
{
    a = mine.Outer<slope = 0.25>(x, z)
    b = If(yes) <
        then_branch = t () => (float[3,4] tb) { tb = mine.Inner(a) },
        else_branch = e () => (float[3,4] eb) { s = Shape(a) r = Reshape(z, s) eb = Sub(a, r) }>
    c, every = Loop(turns, go, b) <
        body = l (int64 i, bool k, float[3,4] s) => (bool k2, float[3,4] s2, float[3,4] kept) {
            k2 = Identity(k)  f = Cast<to = 1>(i)  d = Add(s, f)  s2 = Tanh(d)  kept = Mul(s2, x)
        }>
    n = Constant<value = float[4] {0, 0, 0, 0}>()
    last, rows = Scan(n, c) <num_scan_inputs = 1,
        body = m (float[4] p, float[4] v) => (float[4] q, float[4] w) { q = Add(p, v) w = Neg(q) }>
    y = Add(rows, c)
}
<domain: "mine", opset_import: ["": 20, "mine": 1]>
Inner (p) => (q) { t = Exp(p) u = Neg(t) q = Softmax<axis = -1>(u) }
<domain: "mine", opset_import: ["": 20, "mine": 1]>
Outer <slope> (p, q) => (r) { t = LeakyRelu<alpha: float = @slope>(p) u = mine.Inner(t) r = Add(u, q) }
"""


def seed_model() -> onnx.ModelProto:
    return onnx.parser.parse_model(TEXT)


def all_nodes(nodes) -> Iterator[onnx.NodeProto]:
    for node in nodes:
        yield node
        for attribute in node.attribute:
            yield from all_nodes(attribute.g.node)


def mutate(model: onnx.ModelProto, rng: np.random.Generator) -> None:
    """Change one thing, anywhere: what a node reads, computes or is; an attribute; a trip count; a function."""
    nodes = list(all_nodes([*model.graph.node, *(n for f in model.functions for n in f.node)]))
    node = nodes[rng.integers(len(nodes))]
    names = [n for other in nodes for n in (*other.input, *other.output)] + ["", "nobody"]
    kind = rng.integers(9)
    if kind == 0 and node.input:
        node.input[rng.integers(len(node.input))] = str(rng.choice(names))
    elif kind == 1 and node.output:
        node.output[rng.integers(len(node.output))] = str(rng.choice(names))
    elif kind == 2:
        other = nodes[rng.integers(len(nodes))]
        node.op_type, node.domain = other.op_type, other.domain
    elif kind == 3 and node.attribute:
        attribute = node.attribute[rng.integers(len(node.attribute))]
        attribute.type, attribute.i = int(rng.integers(0, 15)), int(rng.choice(HOSTILE))
    elif kind == 4:
        count = np.array([rng.choice(HOSTILE)], np.int64)
        model.graph.initializer[0].CopyFrom(numpy_helper.from_array(count.reshape(()), "turns"))
    elif kind == 5:
        function = model.functions[rng.integers(2)]
        field = function.input if rng.integers(2) else function.output
        field[rng.integers(len(field))] = str(rng.choice(names))
    elif kind == 6:
        model.functions[rng.integers(2)].name = str(rng.choice(["Inner", "Outer", "Relu", ""]))
    elif kind == 7 and node.attribute:
        del node.attribute[rng.integers(len(node.attribute))]
    else:
        node.input.append(str(rng.choice(names)))


def test_the_seed_is_good() -> None:
    verify(import_onnx(seed_model()))


@pytest.mark.parametrize("seed", range(40))
def test_mutated_structure(seed) -> None:
    rng, outcomes = np.random.default_rng(seed), []
    for _ in range(20):
        model = seed_model()
        for _ in range(rng.integers(1, 4)):
            mutate(model, rng)
        outcomes.append(imports_or_refuses(model))
    assert "refused" in outcomes


@pytest.mark.parametrize("seed", range(20))
def test_mutated_bytes(seed, tmp_path) -> None:
    rng, data = np.random.default_rng(seed), seed_model().SerializeToString()
    for _ in range(20):
        path = tmp_path / "m.onnx"
        path.write_bytes(mutated_bytes(data, rng))
        imports_or_refuses(path)
