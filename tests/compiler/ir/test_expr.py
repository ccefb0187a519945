import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgec.compiler.ir.evaluation import evaluate
from edgec.compiler.ir.expr import (
    MAX_DEPTH,
    Const,
    Expr,
    In,
    call,
    clamp_bounds,
    clip,
    hard_swish,
    peel_clamp,
    relu,
    sigmoid,
    substitute,
    walk,
)
from edgec.compiler.ir.expr_dtypes import infer_dtype
from edgec.compiler.ir.expr_text import parse, to_text
from edgec.compiler.ir.functions import FUNCTIONS

LEAVES = (
    st.integers(0, 3).map(In)
    | st.floats(width=32).map(Const)
    | st.integers(-(2**40), 2**40).map(Const)
    | st.booleans().map(Const)
)


def calls(children):
    def of(fn):
        return st.tuples(*[children] * FUNCTIONS[fn][0]).map(lambda args: call(fn, *args))

    casts = st.tuples(children, st.sampled_from(["float32", "int8"])).map(lambda a: call("cast", a[0], dtype=a[1]))
    return casts | st.sampled_from(sorted(FUNCTIONS)).flatmap(of)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.recursive(LEAVES, calls, max_leaves=12))
def test_text_round_trips(expr):
    text = to_text(expr)
    assert to_text(parse(text)) == text
    if not any(isinstance(e, Const) and math.isnan(e.value) for e in walk(expr)):
        assert parse(text) == expr


def test_text():
    assert to_text(clip(In(0), 0.0, 6.0)) == "min(max(%0, 0.0), 6.0)"
    half = call("add", In(1), Const(float(np.float32(0.5))))
    assert to_text(call("cast", half, dtype="int8")) == "cast<int8>(add(%1, 0.5))"
    assert parse(" add( %0 ,-inf) ") == call("add", In(0), -math.inf)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "expected an expression"),
        ("add(%0)", "takes 2 arguments, not 1"),
        ("add(%0, %1", "expected ',' or"),
        ("add(%0, %1))", "unexpected"),
        ("frobnicate(%0)", "unknown function 'frobnicate'"),
        ("x", "unknown name 'x'"),
        ("cast(%0)", "cast, and only cast"),
        ("neg<int8>(%0)", "cast, and only cast"),
        ("neg(" * 300 + "%0" + ")" * 300, f"at most {MAX_DEPTH} calls deep"),
        ("neg(" * 100000, f"at most {MAX_DEPTH} calls deep"),
    ],
)
def test_malformed_text(text, message):
    with pytest.raises(ValueError, match=message):
        parse(text)


def test_depth_is_bounded_when_trees_are_built():
    expr: Expr = In(0)
    for _ in range(MAX_DEPTH):
        expr = call("neg", expr)
    assert parse(to_text(expr)) == expr
    with pytest.raises(ValueError, match="calls deep"):
        call("neg", expr)


@pytest.mark.parametrize(
    ("text", "inputs", "dtype"),
    [
        ("add(%0, 1.5)", ["float32"], "float32"),
        ("add(%0, 1)", ["int8"], "int8"),
        ("mul(%0, div(1.0, 6))", ["float16"], "float16"),
        ("lt(%0, %1)", ["int64", "int64"], "bool"),
        ("where(lt(%0, 0), 1.0, 2.0)", ["int32"], "float32"),
        ("where(%0, 1, %1)", ["bool", "int64"], "int64"),
        ("where(%0, 1, 2)", ["bool"], "int64"),
        ("cast<uint8>(exp(%0))", ["float64"], "uint8"),
        ("and(%0, not(%1))", ["bool", "bool"], "bool"),
        ("cast<float32>(3)", [], "float32"),
        ("add(1, 2.5)", [], "float32"),
        ("sqrt(4)", [], "float32"),
    ],
)
def test_dtypes(text, inputs, dtype):
    expr = parse(text)
    assert infer_dtype(expr, inputs) == dtype
    assert str(evaluate(expr, [np.ones(2, d) for d in inputs]).dtype) == dtype


@pytest.mark.parametrize(
    ("text", "inputs", "message"),
    [
        ("add(%0, %1)", ["float32", "int32"], "must have one dtype"),
        ("add(%0, 0.5)", ["int32"], "float literal"),
        ("add(%0, 300)", ["int8"], "outside the range of int8"),
        ("add(%0, %0)", ["bool"], "does not take bool"),
        ("exp(%0)", ["int32"], "floating point"),
        ("and(%0, %0)", ["float32"], "takes bool"),
        ("where(%0, %0, %0)", ["float32"], "takes bool"),
        ("neg(%3)", ["float32"], "reads input %3"),
        ("cast<complex64>(%0)", ["float32"], "unknown dtype"),
    ],
)
def test_operands_that_do_not_go_together(text, inputs, message):
    with pytest.raises(ValueError, match=message):
        infer_dtype(parse(text), inputs)


def test_values():
    x = np.array([-3.0, -1.0, 0.0, 1.0, 4.0], np.float32)
    np.testing.assert_allclose(evaluate(sigmoid(In(0)), [x]), 1 / (1 + np.exp(-x)), rtol=1e-6)
    np.testing.assert_allclose(evaluate(hard_swish(In(0)), [x]), x * np.clip(x / 6 + 0.5, 0, 1), rtol=1e-6)
    assert evaluate(parse("round(%0)"), [np.array([0.5, 1.5, 2.5, -0.5], np.float32)]).tolist() == [0, 2, 2, 0]
    assert evaluate(parse("div(%0, 2)"), [np.array([-7, 7, -1], np.int32)]).tolist() == [-3, 3, 0]
    assert evaluate(parse("mod(%0, 3)"), [np.array([-7, 7], np.int32)]).tolist() == [-1, 1]


def test_clamps():
    assert clamp_bounds(relu(In(0))) == (0.0, math.inf)
    assert clamp_bounds(clip(In(0), -1.0, 2.0)) == (-1.0, 2.0)
    assert clamp_bounds(parse("max(min(3.0, %0), 1)")) == (1.0, 3.0)
    assert clamp_bounds(In(0)) == (-math.inf, math.inf)
    assert clamp_bounds(parse("max(%0, %1)")) is None
    assert clamp_bounds(parse("max(neg(%0), 0.0)")) is None
    assert peel_clamp(parse("min(add(%0, %1), 6.0)")) == (parse("add(%0, %1)"), -math.inf, 6.0)


def test_substitute():
    assert substitute(parse("add(%0, %1)"), {1: relu(In(2))}) == parse("add(%0, max(%2, 0.0))")
