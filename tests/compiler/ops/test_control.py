"""If, Loop and Scan against ONNX Runtime; what the import decides leaves no region."""

import numpy as np
import onnx
import onnx.parser
import pytest

from edgec import EdgeError
from edgec.compiler.importer import import_onnx
from edgec.compiler.ir.graph import Graph
from edgec.compiler.ir.parser import parse_graph
from edgec.compiler.ir.text import named_constants, print_graph
from edgec.compiler.ir.verify import verify
from edgec.compiler.ops.reference import run_graph
from edgec.passes.pipeline import FLOAT, LATE, run_pipeline


def model(text, opset=17):
    return onnx.parser.parse_model(f'<ir_version: 8, opset_import: ["" : {opset}]>\n{text}')


@pytest.fixture
def check(onnxruntime):
    """check(model, *feeds): the imported graph, whose results, before and after all passes, are ONNX Runtime's."""
    return lambda proto, *feeds: _checked(onnxruntime, proto, feeds)


def _checked(onnxruntime, proto, feeds) -> Graph:
    graph = import_onnx(proto)
    verify(graph)
    text = print_graph(graph)
    assert print_graph(parse_graph(text, named_constants(graph))) == text
    run_pipeline(optimized := parse_graph(text, named_constants(graph)), FLOAT, verify=True)
    run_pipeline(optimized, LATE, verify=True)
    for feed in feeds:
        expected = onnxruntime(proto, feed)
        for program in (graph, optimized):
            for got, want in zip(run_graph(program, feed).values(), expected, strict=True):
                assert (got.shape, got.dtype) == (want.shape, want.dtype)
                np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-6)
    return graph


def refused(proto):
    with pytest.raises(EdgeError) as error:
        import_onnx(proto)
    return str(error.value)


def ops(graph):
    return [node.op for part in graph.graphs() for node in part.nodes]


X = np.random.default_rng(0).standard_normal((3, 4)).astype(np.float32)

BRANCHES = """
    then_branch = t () => (float[3,4] a) { k = Constant<value = float {2.0}>() a = Mul(x, k) },
    else_branch = e () => (float[3,4] a) { b = Neg(h) a = Add(b, w) }
"""
WEIGHTS = "<float[4] w = {1.0, 2.0, 3.0, 4.0}>"


def test_if_at_run_time_captures_what_it_reads(check):
    proto = model(f"""
        g (float[3,4] x, bool c) => (float[3,4] y) {WEIGHTS} {{
            h = Relu(x)
            y = If(c) <{BRANCHES}>
        }}""")
    graph = check(proto, {"x": X, "c": np.array(True)}, {"x": X, "c": np.array(False)})
    assert ops(graph).count("if") == 1
    (node,) = (n for n in graph.nodes if n.op == "if")
    assert [v.name for v in node.inputs] == ["c", "x", "h"]  # the weights are read as they are


def test_if_of_shapes_takes_one_branch(check):
    proto = model(f"""
        g (float[3,4] x) => (float[3,4] y) {WEIGHTS} {{
            h = Relu(x)
            s = Size(x)
            twelve = Constant<value = int64 {{12}}>()
            c = Equal(s, twelve)
            y = If(c) <{BRANCHES}>
        }}""")
    assert ops(check(proto, {"x": X})) == ["map"]  # and the other branch's part is gone with it


def test_branches_may_return_what_is_around_them(check):
    proto = model("""
        g (float[3,4] x, bool c) => (float[3,4] y, float[3,4] z) {
            y, z = If(c) <
                then_branch = t () => (float[3,4] a, float[3,4] b) { a = Identity(x) b = Identity(x) },
                else_branch = e () => (float[3,4] a, float[3,4] b) { a = Abs(x) b = Neg(x) }
            >
        }""")
    check(proto, {"x": X, "c": np.array(True)}, {"x": X, "c": np.array(False)})


def test_nested_branches(check):
    proto = model("""
        g (float[3,4] x, bool c, bool d) => (float[3,4] y) {
            h = Relu(x)
            y = If(c) <
                then_branch = t () => (float[3,4] a) {
                    m = Neg(x)
                    a = If(d) <
                        then_branch = tt () => (float[3,4] q) { q = Add(h, m) },
                        else_branch = te () => (float[3,4] q) { q = Abs(x) }
                    >
                },
                else_branch = e () => (float[3,4] a) { a = Sqrt(h) }
            >
        }""")
    flags = [np.array(v) for v in (False, True)]
    check(proto, *({"x": X, "c": c, "d": d} for c in flags for d in flags))


def test_branches_of_different_shapes_are_refused():
    proto = model("""
        g (float[3,4] x, bool c) => (float[N,M] y) {
            y = If(c) <
                then_branch = t () => (float[3,4] a) { a = Abs(x) },
                else_branch = e () => (float[4,3] a) { a = Transpose(x) }
            >
        }""")
    assert "float32[3, 4] and float32[4, 3]" in refused(proto) and "--const" in refused(proto)


def loop(trips, condition, body="s2 = Add(s, x) ", out="d = Identity(c)", head=""):
    return model(f"""
        g (float[3,4] x{head}) => (float[3,4] y, float[K,3,4] z) {{
            n = Constant<value = int64 {{{trips}}}>()
            {condition}
            y, z = Loop(n, go, x) <
                body = b (int64 i, bool c, float[3,4] s) => (bool d, float[3,4] s2, float[3,4] e) {{
                    f = Cast<to = 1>(i)
                    {body}
                    e = Mul(s2, f)
                    {out}
                }}
            >
        }}""")


GO = "go = Constant<value = bool {1}>()"


def test_short_loops_are_written_out_and_long_ones_loop(check):
    assert "loop" not in ops(check(loop(5, GO), {"x": X}))
    long = check(loop(500, GO), {"x": X / 100})
    assert ops(long).count("loop") == 1 and ops(long).count("scatter") == 1
    assert long.outputs[1].type.shape == (500, 3, 4)


def test_loops_without_a_turn(check):
    check(loop(0, GO), {"x": X})
    check(loop(500, "go = Constant<value = bool {0}>()"), {"x": X})


def test_loop_until_a_computed_condition(check):
    text = """
        g (float[3,4] x, int64 m) => (float[3,4] y, int64 steps) {
            go = Constant<value = bool {1}>()
            zero = Constant<value = int64 {0}>()
            y, steps = Loop(M, go, x, zero) <
                body = b (int64 i, bool c, float[3,4] s, int64 k) => (bool d, float[3,4] s2, int64 k2) {
                    s2 = Add(s, s)
                    one = Constant<value = int64 {1}>()
                    k2 = Add(k, one)
                    peak = ReduceMax<keepdims = 0>(s2)
                    limit = Constant<value = float {1000.0}>()
                    d = Less(peak, limit)
                }
            >
        }"""
    counted, endless = model(text.replace("M", "m", 1)), model(text.replace("M", "", 1))
    assert ops(check(counted, *({"x": X, "m": np.array(m)} for m in (0, 3, 100)))).count("loop") == 1
    check(endless, {"x": X, "m": np.array(0)})


def test_what_a_loop_collects_until_a_computed_condition_is_as_long_as_it_ran(onnxruntime):
    out = "p = ReduceMax<keepdims = 0>(s2) k = Constant<value = float {9.0}>() d = Less(p, k)"
    proto = loop(50, GO, out=out)
    del proto.graph.output[1].type.tensor_type.shape.dim[:]
    proto.graph.output[1].type.tensor_type.ClearField("shape")
    graph = import_onnx(proto)
    verify(graph)
    for scale in (0.5, 2.0, 100.0):
        feed = {"x": X * np.float32(scale)}
        for got, want in zip(run_graph(graph, feed).values(), onnxruntime(proto, feed), strict=True):
            assert got.shape == want.shape
            np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-6)


def test_states_may_change_places(check):
    proto = model("""
        g (float[3,4] x, int64 m) => (float[3,4] y, float[3,4] z) {
            h = Neg(x)
            y, z = Loop(m, , x, h) <
                body = b (int64 i, bool c, float[3,4] p, float[3,4] q) => (bool c, float[3,4] q, float[3,4] p) { }
            >
        }""")
    check(proto, *({"x": X, "m": np.array(m)} for m in (0, 1, 2)))


def test_a_state_that_grows_is_written_out(check):
    proto = model("""
        g (float[3,4] x) => (float[N,4] y) {
            n = Constant<value = int64 {40}>()
            y = Loop(n, , x) <
                body = b (int64 i, bool c, float[N,4] s) => (bool c, float[M,4] t) { t = Concat<axis = 0>(s, x) }
            >
        }""")
    assert check(proto, {"x": X}).outputs[0].type.shape == (123, 4)
    grows = model(onnx.printer.to_text(proto.graph).replace("{40}", "{1000000}"))
    assert "states of one type" in refused(grows)


def test_loops_without_end_are_refused():
    assert "nothing ends it" in refused(loop(2**40, GO))
    computed = loop(2**62, GO, out="p = ReduceMax<keepdims = 0>(e) k = Constant<value = float {9.0}>() d = Less(p, k)")
    assert "how many turns" in refused(computed)


def test_graphs_nested_too_deep_are_refused():
    inner = "a = Abs(x)"
    for level in range(12):
        inner = f"""a = If(c) <then_branch = t{level} () => (float[3,4] a) {{ {inner} }},
                                else_branch = e{level} () => (float[3,4] a) {{ a = Neg(x) }}>"""
    assert "nests graphs" in refused(model(f"g (float[3,4] x, bool c) => (float[3,4] a) {{ {inner} }}"))


def test_nested_loops_that_multiply_end_in_an_error_or_a_loop():
    """Eight levels of loops, none of which is long."""
    inner = "t = Add(s, x)"
    for level in range(7):
        inner = f"""k{level} = Constant<value = int64 {{10}}>()
            t = Loop(k{level}, , s) <
                body = b{level} (int64 i{level}, bool c, float[3,4] s) => (bool c, float[3,4] t) {{ {inner} }}>"""
    proto = model(f"g (float[3,4] s) => (float[3,4] t) {{ x = Abs(s) {inner} }}")
    try:
        assert len(ops(import_onnx(proto))) < 2**17
    except EdgeError as error:
        assert "unrolled" in str(error)


SCAN = """
    body = b (float[4] s, float[4] p, float[4] q) => (float[4] t, float[4] u, float[4] v) {{
        m = Mul(s, q) t = Add(p, m) u = Tanh(t) v = Neg(p)
    }}, num_scan_inputs = 2
"""


@pytest.mark.parametrize("length", [3, 60])
@pytest.mark.parametrize("attributes", ["", ", scan_input_directions = [1, 0], scan_output_directions = [0, 1]"])
def test_scan(check, length, attributes):
    proto = model(f"""
        g (float[4] s, float[{length},4] p, float[{length},4] q)
        => (float[4] t, float[{length},4] u, float[{length},4] v) {{
            t, u, v = Scan<{SCAN.format()}{attributes}>(s, p, q)
        }}""")
    rng = np.random.default_rng(1)
    feed = {n: rng.standard_normal(s).astype(np.float32) * 0.5 for n, s in
            (("s", (4,)), ("p", (length, 4)), ("q", (length, 4)))}  # fmt: skip
    assert ("loop" in ops(check(proto, feed))) == (length == 60)


def test_scan_along_other_axes(check):
    proto = model(f"""
        g (float[4] s, float[4,60] p, float[60,4] q) => (float[4] t, float[4,60] u, float[60,4] v) {{
            t, u, v = Scan<{SCAN.format()}, scan_input_axes = [1, 0], scan_output_axes = [-1, 0]>(s, p, q)
        }}""")
    rng = np.random.default_rng(1)
    check(proto, {n: rng.standard_normal(s).astype(np.float32) * 0.5 for n, s in
                  (("s", (4,)), ("p", (4, 60)), ("q", (60, 4)))})  # fmt: skip


def test_scan_of_opset_8_goes_through_a_batch(check):
    proto = model(
        """
        g (float[2,4] s, float[2,5,4] p) => (float[2,4] t, float[2,5,4] u) {
            t, u = Scan<num_scan_inputs = 1, body = b (float[4] s, float[4] p) => (float[4] t, float[4] u) {
                t = Add(s, p) u = Tanh(t) }>(, s, p)
        }""",
        opset=8,
    )
    rng = np.random.default_rng(1)
    check(proto, {"s": rng.standard_normal((2, 4)).astype(np.float32),
                  "p": rng.standard_normal((2, 5, 4)).astype(np.float32)})  # fmt: skip


def test_unsupported_ops_inside_are_named_unless_their_branch_is_dropped():
    text = """
        g (float[3,4] x) => (float[3,4] y) {
            go = Constant<value = bool {GO}>()
            y = If(go) <
                then_branch = t () => (float[3,4] a) { a = Abs(x) },
                else_branch = e () => (float[3,4] a) { a = NoSuchOp(x) }
            >
        }"""
    assert ops(import_onnx(model(text.replace("GO", "1")))) == ["map"]
    assert "NoSuchOp" in refused(model(text.replace("GO", "0")))
