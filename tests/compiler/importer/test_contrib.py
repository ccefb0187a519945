"""ONNX Runtime's contributed ops against ONNX Runtime's own kernels, on random data."""

from math import erf

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import helper, numpy_helper

from edgec import EdgeError
from edgec.compiler.bundle.reader import open_bundle
from edgec.compiler.driver import compile_model
from edgec.compiler.importer import import_onnx
from edgec.compiler.ir.extent import symbol
from edgec.compiler.ops.reference import run_graph
from edgec.runtimes.devices import RunOptions, open_device

B, S, H, N = 2, 5, 16, 4
TOLERANCE = 2e-5


def rng():
    return np.random.default_rng(11)


def normal(*shape, scale=1.0):
    return (RNG.normal(size=shape) * scale).astype(np.float32)


RNG = rng()


def f(*values):
    return np.array(values[0] if len(values) == 1 else values, np.float32)


def whole(dtype, low, high, *shape):
    return RNG.integers(low, high, shape).astype(dtype)


def build(op, inputs, outputs=1, constants=(), domain="com.microsoft", **attributes):
    """A model of one node, and what to feed it. `inputs`: arrays, None for one left out. Those numbered in `constants`
    are initializers."""
    names = [f"i{k}" if a is not None else "" for k, a in enumerate(inputs)]
    node = helper.make_node(op, names, [f"o{k}" for k in range(outputs)], domain=domain, name="node", **attributes)
    infos, tensors, feeds = [], [], {}
    for k, (name, a) in enumerate(zip(names, inputs, strict=True)):
        if a is None:
            continue
        a = np.asarray(a)
        if k in constants:
            tensors.append(numpy_helper.from_array(a, name))
        else:
            infos.append(helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(a.dtype), a.shape))
            feeds[name] = a
    results = [onnx.ValueInfoProto(name=f"o{k}") for k in range(outputs)]
    model = helper.make_model(
        helper.make_graph([node], "g", infos, results, tensors),
        opset_imports=[helper.make_opsetid("", 20), helper.make_opsetid("com.microsoft", 1)],
        ir_version=9,
    )
    return model, feeds


def session_of(model):
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 3
    options.intra_op_num_threads = 1  # more threads share the batch of a DynamicQuantizeLSTM, whose ranges differ then
    return ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def agree(path, session, feeds):
    """The program in the bundle `path` gives what ONNX Runtime gives."""
    bundle = open_bundle(path)
    inputs, outputs, options = bundle.manifest.inputs, bundle.manifest.outputs, RunOptions(guard=True, timeout=60)
    feed = {v.name: feeds[v.name] for v in inputs}
    found = open_device("local").run(path, inputs, outputs, feed, None, options).outputs
    for result, want in zip(session.get_outputs(), session.run(None, feeds), strict=True):
        np.testing.assert_allclose(found[result.name], want, rtol=0, atol=TOLERANCE * np.abs(want).max())


def check(*node, **more):
    """What `build` makes of the arguments gives what ONNX Runtime gives."""
    model, feeds = build(*node, **more)
    session = session_of(model)
    wanted = session.run(None, feeds)
    elements = [helper.np_dtype_to_tensor_dtype(w.dtype) for w in wanted]
    for result, element in zip(model.graph.output, elements, strict=True):
        result.type.tensor_type.elem_type = element
    found = list(run_graph(import_onnx(model), feeds).values())
    for got, want in zip(found, wanted, strict=True):
        assert (got.dtype, got.shape) == (want.dtype, want.shape)
        bound = TOLERANCE * max(1.0, float(np.abs(want.astype(np.float64)).max(initial=0)))
        np.testing.assert_allclose(got, want, rtol=0, atol=bound if want.dtype.kind == "f" else 0)


def test_activations() -> None:
    x = normal(3, H, scale=3)
    check("Gelu", [x])
    check("BiasGelu", [x, normal(H)])
    check("FastGelu", [x])
    check("FastGelu", [x, normal(H)])
    check("QuickGelu", [x])
    check("QuickGelu", [x], alpha=0.5)


def test_bias_split_gelu() -> None:
    """ONNX Runtime has no kernel for it on a CPU."""
    x, bias = normal(B, S, 2 * H), normal(2 * H)
    model, feeds = build("BiasSplitGelu", [x, bias])
    model.graph.output[0].type.tensor_type.elem_type = onnx.TensorProto.FLOAT
    (found,) = run_graph(import_onnx(model), feeds).values()
    left, right = np.split((x + bias).astype(np.float64), 2, axis=-1)
    np.testing.assert_allclose(found, left * right * (1 + np.vectorize(erf)(right / 2**0.5)) / 2, atol=TOLERANCE)


@pytest.mark.parametrize("rows", [1, 2, 3, 4])
def test_inverse(rows) -> None:
    check("Inverse", [normal(B, 3, rows, rows) + 2 * np.eye(rows, dtype=np.float32)])
    check("Inverse", [normal(rows, rows)])


@pytest.mark.parametrize("skip", [(B, S, H), (1, S, H), (S, H)])
def test_skip_normalizations(skip) -> None:
    x, gamma, beta, bias = normal(B, S, H), normal(H), normal(H), normal(H)
    for optional in ([], [beta], [beta, bias], [None, bias]):
        check("SkipLayerNormalization", [x, normal(*skip), gamma, *optional], epsilon=1e-3)
    check("SkipSimplifiedLayerNormalization", [x, normal(*skip), gamma], epsilon=1e-3)
    check("SkipSimplifiedLayerNormalization", [x, normal(*skip), gamma, bias])


def test_simplified_layer_normalization_is_in_the_standard_domain() -> None:
    check("SimplifiedLayerNormalization", [normal(B, S, H), normal(H)], domain="", epsilon=1e-3, axis=-1)


@pytest.mark.parametrize("segments", [True, False])
@pytest.mark.parametrize("mask", [True, False])
def test_embed_layer_normalization(segments, mask) -> None:
    inputs = [
        whole(np.int32, 0, 30, B, S), whole(np.int32, 0, 2, B, S) if segments else None,
        normal(30, H), normal(9, H), normal(2, H) if segments else None, normal(H), normal(H),
        (np.arange(S) < np.array([[3], [5]])).astype(np.int32) if mask else None,
    ]  # fmt: skip
    check("EmbedLayerNormalization", inputs if mask else inputs[:-1], outputs=2)
    if not mask:
        check("EmbedLayerNormalization", [*inputs, whole(np.int32, 0, 9, B, S)], outputs=2)


MASKS = {
    "none": None,
    "keys": np.array([[1, 1, 1, 0, 0], [1, 1, 1, 1, 1]], np.int32),
    "lengths": np.array([3, 5], np.int32),
    "rows": RNG.integers(0, 2, (B, S, S)).astype(np.int32) | np.eye(S, dtype=np.int32),
}


@pytest.mark.parametrize("causal", [0, 1])
@pytest.mark.parametrize("mask", MASKS)
def test_packed_attention(mask, causal) -> None:
    inputs = [normal(B, S, H), normal(H, 3 * H, scale=0.3), normal(3 * H), MASKS[mask]]
    check("Attention", inputs if mask != "none" else inputs[:3], num_heads=N, unidirectional=causal)


def test_packed_attention_with_more_operands() -> None:
    inputs = [normal(B, S, H), normal(H, 3 * H, scale=0.3), normal(3 * H)]
    check("Attention", [*inputs, None, None, normal(B, N, S, S)], num_heads=N, scale=0.7)
    past = normal(2, B, N, 3, H // N)
    for queries in (1, S):
        check("Attention", [inputs[0][:, :queries], *inputs[1:], None, past], outputs=2, num_heads=N, unidirectional=1)
    uneven = [normal(B, S, H), normal(H, 5 * 8, scale=0.3), normal(5 * 8)]
    check("Attention", uneven, num_heads=N, qkv_hidden_sizes=[16, 16, 8])


def test_multi_head_attention() -> None:
    q, k, v = normal(B, S, H), normal(B, 7, H), normal(B, 7, H)
    check("MultiHeadAttention", [q, k, v], num_heads=N)
    check("MultiHeadAttention", [q, k, v, normal(3 * H)], num_heads=N, scale=0.3)
    kept = (np.arange(7) < np.array([[4], [7]])).astype(np.int32)
    check("MultiHeadAttention", [q, k, v, None, kept, normal(B, N, S, 7)], num_heads=N)
    check("MultiHeadAttention", [q, k[:, :S], v[:, :S]], num_heads=N, unidirectional=1)
    past = [normal(B, N, 3, H // N), normal(B, N, 3, H // N)]
    for causal in (0, 1):
        for mask in (None, (np.arange(3 + S) < np.array([[6], [8]])).astype(np.int32)):
            inputs = [q, k[:, :S], v[:, :S], None, mask, None, *past]
            check("MultiHeadAttention", inputs, outputs=3, num_heads=N, unidirectional=causal)


GROUPS, SIZE, PLACES = 2, 16, 24
"""Of GroupQueryAttention: heads of keys, elements of a head, places that rotation knows."""


def group_query(
    past, lengths, total, *, queries=1, packed=False, rotary=False, known=True, bias=False, use=check, **more
):
    """`use` a GroupQueryAttention whose past has `past` rows; its total length is constant if `known`."""
    batch = len(lengths)
    widths = [heads * SIZE for heads in (N, GROUPS, GROUPS)]
    qkv = [normal(batch, queries, sum(widths)), None, None] if packed else [normal(batch, queries, w) for w in widths]
    cache = [normal(batch, GROUPS, past, SIZE) if past else None for _ in range(2)]
    angles = RNG.uniform(0, 6, (PLACES, SIZE // 2))
    turns = [f(np.cos(angles)), f(np.sin(angles))] if rotary else [None, None]
    inputs = [*qkv, *cache, np.array(lengths, np.int32), np.array(total, np.int32), *turns]
    inputs += [None, normal(1, N, queries, total)] if bias else []
    kinds = {"num_heads": N, "kv_num_heads": GROUPS, "do_rotary": int(rotary)} | more
    use("GroupQueryAttention", inputs, outputs=3, constants=(6,) if known else (), **kinds)


@pytest.mark.parametrize(
    ("past", "lengths", "total", "queries"),
    [(0, [2, 2], 3, 3), (6, [2, 2], 3, 3), (6, [3, 5], 6, 1), (3, [3, 3], 4, 1), (4, [2, 4], 5, 1), (4, [6], 7, 3),
     (8, [5], 6, 3)],
)  # fmt: skip
@pytest.mark.parametrize("rotary", [False, True])
def test_group_query_attention(past, lengths, total, queries, rotary) -> None:
    for packed in (False, True):
        group_query(past, lengths, total, queries=queries, packed=packed, rotary=rotary)
    group_query(past, lengths, total, queries=queries, rotary=rotary, local_window_size=2, rotary_interleaved=1)


def test_group_query_attention_with_more_operands() -> None:
    group_query(4, [2, 4], 5, scale=0.3, softcap=2.0)
    group_query(4, [6], 7, queries=3, bias=True)
    group_query(0, [2, 2], 3, queries=3, bias=True, local_window_size=2)
    group_query(4, [2, 4], 5, known=False, rotary=True)
    group_query(0, [2, 2], 3, queries=3, known=False)


def test_group_query_attention_after_any_past(tmp_path) -> None:
    """Compiled once for a past of 0 to 16 rows."""

    def use(*node, **more):
        model, feeds = build(*node, **more)
        caches = [v for v in model.graph.input if v.name in ("i3", "i4")]
        for cache in caches:
            cache.type.tensor_type.shape.dim[2].dim_param = "past"
        session = session_of(model)
        for result in model.graph.output:
            result.type.tensor_type.elem_type = onnx.TensorProto.FLOAT
        ranged = {v.name: (1, GROUPS, symbol("past", 0, 16, 1), SIZE) for v in caches}
        onnx.save(model, str(tmp_path / "model.onnx"))
        compile_model(tmp_path / "model.onnx", target="host", output=tmp_path / "m.edge", shapes=ranged)
        for rows in (4, 0, 9):
            more = {v.name: normal(1, GROUPS, rows, SIZE) for v in caches}
            more |= {"i5": np.array([rows + 2], np.int32), "i6": np.array(rows + 3, np.int32)}
            agree(tmp_path / "m.edge", session, feeds | more)

    group_query(4, [6], 7, queries=3, rotary=True, known=False, use=use)


def test_what_group_query_attention_refuses() -> None:
    def compile(*node, **more):
        import_onnx(build(*node, **more)[0])

    with pytest.raises(EdgeError, match="its total length is 90, for 1 queries and a past of 4 rows"):
        group_query(4, [2, 4], 90, use=compile)
    with pytest.raises(EdgeError, match="it has a head sink"):
        group_query(4, [2, 4], 5, use=compile, smooth_softmax=1)


@pytest.mark.parametrize("interleaved", [0, 1])
def test_rotary_embedding(interleaved) -> None:
    cos, sin = normal(9, 2), normal(9, 2)
    places = whole(np.int64, 0, 9, B, S)
    check("RotaryEmbedding", [normal(B, S, H), places, cos, sin], interleaved=interleaved)
    check("RotaryEmbedding", [normal(B, S, H), np.array([3]), cos, sin], interleaved=interleaved)
    check("RotaryEmbedding", [normal(B, N, S, 4), places, cos, sin], interleaved=interleaved)


def test_quantized_attention() -> None:
    inputs = [
        whole(np.uint8, 0, 256, B, S, H), whole(np.uint8, 0, 256, H, 3 * H), normal(3 * H), f(0.02), f(0.01),
        MASKS["keys"], np.array(120, np.uint8), np.array(130, np.uint8),
    ]  # fmt: skip
    check("QAttention", inputs, constants=(1, 2, 3, 4, 6, 7), num_heads=N)


@pytest.mark.parametrize("kind", [np.uint8, np.int8])
def test_integer_products(kind) -> None:
    low, high = np.iinfo(kind).min, np.iinfo(kind).max
    a, b = whole(np.uint8, 0, 256, S, H), whole(kind, low, high, H, 6)
    zero = np.array(high // 2, kind)
    check("MatMulIntegerToFloat", [a, b, f(0.02), f(0.01), np.array(100, np.uint8), zero, normal(6)], constants=(1, 5))
    check("MatMulIntegerToFloat", [a, b, f(0.02), normal(6)], constants=(1,))
    check("DynamicQuantizeMatMul", [normal(S, H), b, f(0.01)], constants=(1,))
    check("DynamicQuantizeMatMul", [normal(S, H), b, f(0.01), zero, normal(6)], constants=(1, 3))


def recurrent(kind, direction, batch, *, columns, states=False, **more):
    """Inputs and attributes of a DynamicQuantizeLSTM with as many scales as `columns`, or one a direction."""
    hidden, depth, directions = 5, 6, 2 if direction == "bidirectional" else 1
    low, high = np.iinfo(kind).min, np.iinfo(kind).max + 1
    weights = [whole(kind, low, high, directions, k, 4 * hidden) for k in (depth, hidden)]
    shape = (directions, 4 * hidden) if columns else (directions,)
    scales = [f(RNG.uniform(0.004, 0.01, shape)) for _ in range(2)]
    zero = np.full(shape, 0 if kind is np.int8 else 128, kind)
    initial = [normal(directions, batch, hidden) if states else None for _ in range(2)]
    inputs = [normal(4, batch, depth), *weights, normal(directions, 8 * hidden), None, *initial, None]
    inputs += [scales[0], zero, scales[1], zero]
    return inputs, {"hidden_size": hidden, "direction": direction} | more


@pytest.mark.parametrize("kind", [np.uint8, np.int8])
@pytest.mark.parametrize("direction", ["forward", "reverse", "bidirectional"])
def test_dynamic_quantize_lstm(kind, direction) -> None:
    for batch, columns, states in ((1, False, False), (1, True, True), (3, True, False), (3, False, True)):
        inputs, attributes = recurrent(kind, direction, batch, columns=columns, states=states)
        check("DynamicQuantizeLSTM", inputs, outputs=3, constants=(1, 2, 3, 8, 9, 10, 11), **attributes)


@pytest.mark.parametrize("bits", [4, 8])
@pytest.mark.parametrize("zeros", [True, False])
def test_weights_of_few_bits(bits, zeros) -> None:
    k, n, block = 40, 6, 16
    blocks, size = 3, block * bits // 8
    packed = whole(np.uint8, 0, 256, n, blocks, size)
    points = whole(np.uint8, 0, 256, n * ((blocks * bits + 7) // 8)) if zeros else None
    inputs = [normal(S, k), packed, normal(n * blocks), points]
    check(
        "MatMulNBits", inputs if zeros else inputs[:3], constants=(1, 2, 3), K=k, N=n, bits=bits, block_size=block,
        accuracy_level=1,
    )  # fmt: skip


@pytest.mark.parametrize("activation", ["Relu", "LeakyRelu", "Tanh", ""])
def test_fused_gemm(activation) -> None:
    given = {"activation": activation} if activation else {}
    given |= {"activation_alpha": 0.3} if activation == "LeakyRelu" else {}
    if given:
        check("FusedGemm", [normal(H, 3), normal(H, 4), normal(4)], transA=1, alpha=0.5, beta=2.0, **given)


def test_quantized_where() -> None:
    zero = np.array(100, np.uint8)
    sides = [whole(np.uint8, 0, 256, S, H), f(0.02), zero, whole(np.uint8, 0, 256, S, H), f(0.03), zero, f(0.025), zero]
    check("QLinearWhere", [RNG.random((S, H)) < 0.5, *sides], constants=(2, 3, 5, 6, 7, 8))


def test_compiled(tmp_path) -> None:
    inputs, attributes = recurrent(np.int8, "forward", 2, columns=True)
    cases = [
        build("DynamicQuantizeLSTM", inputs, outputs=3, constants=(1, 2, 3, 8, 9, 10, 11), **attributes),
        build("Inverse", [normal(B, 4, 4) + 2 * np.eye(4, dtype=np.float32)]),
    ]
    for number, (model, feeds) in enumerate(cases):
        session = session_of(model)
        for result in model.graph.output:
            result.type.tensor_type.elem_type = onnx.TensorProto.FLOAT
        onnx.save(model, str(tmp_path / "model.onnx"))
        compile_model(tmp_path / "model.onnx", target="host", output=tmp_path / f"{number}.edge")
        agree(tmp_path / f"{number}.edge", session, feeds)


def test_what_is_refused_says_why() -> None:
    with pytest.raises(EdgeError, match="SkipLayerNormalization node 'node': its outputs 1 and 2 are for training"):
        check("SkipLayerNormalization", [normal(B, S, H), normal(B, S, H), normal(H)], outputs=2)
    with pytest.raises(EdgeError, match="attribute 'num_heads' must be a finite number"):
        node = helper.make_node("MultiHeadAttention", ["q", "q", "q"], ["y"], domain="com.microsoft")
        value = helper.make_tensor_value_info
        graph = helper.make_graph([node], "g", [value("q", 1, [B, S, H])], [value("y", 1, None)])
        opsets = [helper.make_opsetid("", 20), helper.make_opsetid("com.microsoft", 1)]
        import_onnx(helper.make_model(graph, opset_imports=opsets, ir_version=9))
