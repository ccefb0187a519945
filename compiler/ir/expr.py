"""Scalar expressions: what a `map` op computes per element, and what an epilogue's activation is.

An expression is a tree of `In` (the i-th input's element), `Const` and `Call`. It prints as
`min(max(%0, 0.0), 6.0)` and parses back to the same tree. Arithmetic is done in the dtype of the operands
(`cast<dtype>(x)` converts); `evaluate` is the specification, one IEEE operation per node, in tree order.
A tree is at most `MAX_DEPTH` calls deep, so that code may recurse over it.
"""

import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .types import DTYPES

MAX_DEPTH = 200
"""Calls on the longest way from the root to a leaf; more is a ValueError when the tree is built."""

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class In:
    """Element of the map's input number `index`."""

    index: int


@dataclass(frozen=True)
class Const:
    """A literal. Its dtype is that of the operand it meets: it is *weak*, as Python scalars are in numpy 2."""

    value: float | int | bool

    def __post_init__(self) -> None:
        if isinstance(self.value, np.generic):  # its repr would not parse, and its dtype would not be weak
            object.__setattr__(self, "value", self.value.item())


@dataclass(frozen=True)
class Call:
    """`fn(*args)`; `fn` is a key of `FUNCTIONS`, or `cast` with the target in `dtype`."""

    fn: str
    args: tuple["Expr", ...]
    dtype: str = ""
    depth: int = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        depth = 1 + max((a.depth for a in self.args if isinstance(a, Call)), default=0)
        if depth > MAX_DEPTH:
            raise ValueError(f"an expression is at most {MAX_DEPTH} calls deep")
        object.__setattr__(self, "depth", depth)


Expr = In | Const | Call


def _erf(x: Array) -> Array:
    """erf by Abramowitz-Stegun is too coarse for a reference, so: math.erf per element (float64)."""
    x = np.asarray(x)
    return np.asarray(np.vectorize(math.erf, otypes=[np.float64])(x.astype(np.float64)), x.dtype)


def _rounded(fn: Callable[..., Array]) -> Callable[..., Array]:
    """`fn` computed in float64 and rounded once to the operands' dtype.

    numpy's float32 exp, log, tanh and power differ in the last bit between CPUs; int8 tables must not.
    """

    def compute(*args: Any) -> Array:
        dtype = np.result_type(*args)
        if dtype.kind != "f":
            return np.asarray(fn(*args))
        return np.asarray(fn(*(np.asarray(a, np.float64) for a in args)), dtype)

    return compute


def _is_integer(*args: Any) -> bool:
    return np.result_type(*args).kind in "iu"


def _div(a: Array, b: Array) -> Array:
    """IEEE division; integers truncate towards zero, as in C and ONNX, and the quotient by 0 is 0."""
    if not _is_integer(a, b):
        return np.asarray(np.divide(a, b))
    q = np.floor_divide(a, b)
    return np.asarray(np.where(np.equal(b, 0), q.dtype.type(0), q + ((q < 0) & (q * b != a)).astype(q.dtype)))


_EXPONENT_BITS = 16


def _pow(a: Array, b: Array) -> Array:
    """Of integers modulo the type's range. An exponent counts as at most 2^16 - 1, or the type's largest number; with
    a negative one 1 / a^|b| is rounded to zero, and 0 where a is 0."""
    if not _is_integer(a, b):
        return _rounded(np.power)(a, b)
    dtype = np.result_type(a, b)
    a, b = np.asarray(a, dtype), np.asarray(b, dtype)
    largest = dtype.type(min(2**_EXPONENT_BITS - 1, np.iinfo(dtype).max))
    size = np.abs(b)
    result = np.power(a, np.where((size > largest) | (size < 0), largest, size))
    return np.asarray(np.where((b >= 0) | (a == 1) | (a == -1), result, dtype.type(0)))


def _shift(a: Array, b: Array, fn: Callable[..., Array], beyond: Array) -> Array:
    """`fn` where b is one of the bits of the type of a, else `beyond`."""
    dtype = np.result_type(a, b)  # that of the other where one is a literal
    inside = np.greater_equal(b, 0) & np.less(b, dtype.itemsize * 8)
    return np.asarray(np.where(inside, fn(a, np.where(inside, b, 0).astype(dtype)), beyond), dtype)


def _shift_left(a: Array, b: Array) -> Array:
    return _shift(a, b, np.left_shift, np.zeros_like(a))


def _shift_right(a: Array, b: Array) -> Array:
    return _shift(a, b, np.right_shift, np.where(np.less(a, 0), np.invert(np.zeros_like(a)), np.zeros_like(a)))


def convert(x: Array, dtype: str) -> Array:
    """`x` as `dtype`. Floats become integers towards zero; out of range, the nearest that there is; NaN becomes 0."""
    if x.dtype.kind != "f" or np.dtype(dtype).kind not in "iu":
        return x.astype(dtype)
    info = np.iinfo(dtype)
    whole = np.nan_to_num(np.trunc(x.astype(np.float64)), nan=0.0, posinf=np.inf, neginf=-np.inf)
    high = whole >= float(info.max)  # 2^63 - 1 is 2^63 in float64
    bounded = np.where(high, 0.0, np.maximum(whole, float(info.min)))
    return np.asarray(np.where(high, np.array(info.max, dtype), bounded.astype(dtype)))


Functions = Mapping[str, tuple[int, Callable[..., Array]]]

FUNCTIONS: Functions = {
    "add": (2, np.add),
    "sub": (2, np.subtract),
    "mul": (2, np.multiply),
    "div": (2, _div),
    "min": (2, np.minimum),
    "max": (2, np.maximum),
    "pow": (2, _pow),
    "mod": (2, np.fmod),
    "floor_mod": (2, np.mod),
    "neg": (1, np.negative),
    "abs": (1, np.abs),
    "exp": (1, _rounded(np.exp)),
    "log": (1, _rounded(np.log)),
    "sqrt": (1, np.sqrt),
    "tanh": (1, _rounded(np.tanh)),
    "erf": (1, _erf),
    "sin": (1, _rounded(np.sin)),
    "cos": (1, _rounded(np.cos)),
    "tan": (1, _rounded(np.tan)),
    "asin": (1, _rounded(np.arcsin)),
    "acos": (1, _rounded(np.arccos)),
    "atan": (1, _rounded(np.arctan)),
    "sinh": (1, _rounded(np.sinh)),
    "cosh": (1, _rounded(np.cosh)),
    "asinh": (1, _rounded(np.arcsinh)),
    "acosh": (1, _rounded(np.arccosh)),
    "atanh": (1, _rounded(np.arctanh)),
    "floor": (1, np.floor),
    "ceil": (1, np.ceil),
    "round": (1, np.rint),
    "sign": (1, np.sign),
    "isnan": (1, np.isnan),
    "isinf": (1, np.isinf),
    "eq": (2, np.equal),
    "lt": (2, np.less),
    "le": (2, np.less_equal),
    "and": (2, np.logical_and),
    "or": (2, np.logical_or),
    "not": (1, np.logical_not),
    "bit_and": (2, np.bitwise_and),
    "bit_or": (2, np.bitwise_or),
    "bit_xor": (2, np.bitwise_xor),
    "bit_not": (1, np.bitwise_not),
    "shift_left": (2, _shift_left),
    "shift_right": (2, _shift_right),
    "where": (3, np.where),
}
"""name -> (arity, numpy meaning)."""


def call(fn: str, *args: Expr | float | int, dtype: str = "") -> Call:
    """Build a node; Python numbers become constants."""
    wrapped = tuple(a if isinstance(a, In | Const | Call) else Const(a) for a in args)
    arity = 1 if fn == "cast" else FUNCTIONS[fn][0]
    if len(wrapped) != arity:
        raise ValueError(f"{fn} takes {arity} arguments, not {len(wrapped)}")
    return Call(fn, wrapped, dtype)


def relu(x: Expr) -> Expr:
    """max(x, 0)."""
    return call("max", x, 0.0)


def leaky_relu(x: Expr, alpha: float) -> Expr:
    """x where x >= 0, else alpha * x."""
    return call("where", call("lt", x, 0.0), call("mul", x, alpha), x)


def clip(x: Expr, lo: float, hi: float) -> Expr:
    """min(max(x, lo), hi)."""
    return call("min", call("max", x, lo), hi)


def sigmoid(x: Expr) -> Expr:
    """1 / (1 + exp(-x))."""
    return call("div", 1.0, call("add", call("exp", call("neg", x)), 1.0))


def hard_sigmoid(x: Expr, alpha: float, beta: float) -> Expr:
    """min(max(alpha * x + beta, 0), 1)."""
    return clip(call("add", call("mul", x, alpha), beta), 0.0, 1.0)


def hard_swish(x: Expr) -> Expr:
    """x * hard_sigmoid(x, 1/6, 1/2), as in MobileNetV3 (Howard et al., 2019)."""
    return call("mul", x, hard_sigmoid(x, 1.0 / 6.0, 0.5))


def evaluate(expr: Expr, inputs: Sequence[Array], functions: Functions = FUNCTIONS) -> Array:
    """The value of `expr` over broadcast `inputs`; its dtype is `infer_dtype` of theirs. `functions` are as
    `FUNCTIONS`, which are rounded once, or those that kernels compute (`arrays.py`)."""
    value = _evaluate(expr, inputs, functions)
    return (
        value if isinstance(value, np.ndarray) else np.asarray(value, infer_dtype(expr, [str(x.dtype) for x in inputs]))
    )


def _evaluate(expr: Expr, inputs: Sequence[Array], functions: Functions) -> Any:
    """An array, or a Python scalar (which is weak) when no input is read."""
    if isinstance(expr, In):
        return inputs[expr.index]
    if isinstance(expr, Const):
        return expr.value
    args = [_evaluate(a, inputs, functions) for a in expr.args]
    weak = not any(isinstance(a, np.ndarray) for a in args)
    with np.errstate(all="ignore"):
        if expr.fn == "cast":
            return convert(np.asarray(args[0]), expr.dtype)
        if expr.fn == "where" and not weak and not any(isinstance(a, np.ndarray) for a in args[1:]):
            args[1:] = (np.asarray(a, _WEAK_DEFAULT[_kind_of_pair(args[1], args[2])]) for a in args[1:])
        result = functions[expr.fn][1](*args)
    return np.asarray(result).item() if weak else np.asarray(result)


def fold(expr: Expr) -> Expr:
    """`expr` with a literal wherever a call is made of literals alone, so that code computes none."""
    if not isinstance(expr, Call):
        return expr
    args = tuple(fold(a) for a in expr.args)
    folded = Call(expr.fn, args, expr.dtype)
    literal = expr.fn != "cast" and all(isinstance(a, Const) for a in args)
    return Const(_evaluate(folded, [], FUNCTIONS)) if literal else folded


_WEAK_DEFAULT = {"bool": "bool", "int": "int64", "float": "float32"}
"""The dtype that a literal takes where it meets no operand."""

_FLOAT_ONLY = frozenset(
    {
        "exp", "log", "sqrt", "tanh", "erf", "floor", "ceil", "round", "sin", "cos", "tan", "asin", "acos", "atan",
        "sinh", "cosh", "asinh", "acosh", "atanh", "isnan", "isinf",
    }
)  # fmt: skip
_INTEGER_ONLY = frozenset({"bit_and", "bit_or", "bit_xor", "bit_not", "shift_left", "shift_right"})
_PREDICATES = frozenset({"eq", "lt", "le", "isnan", "isinf"})


def _kind_of_pair(a: float, b: float) -> str:
    kinds = {type(a).__name__, type(b).__name__}
    return "float" if "float" in kinds else "int" if "int" in kinds else "bool"


def infer_dtype(expr: Expr, inputs: Sequence[str]) -> str:
    """The dtype of `expr` over inputs of these dtypes; ValueError when operands do not go together.

    Operands must have one dtype (there is no promotion: `cast` says it); a literal takes the dtype it meets.
    """
    dtype = _infer(expr, inputs)
    return _WEAK_DEFAULT.get(dtype.removeprefix("weak "), dtype) if dtype.startswith("weak ") else dtype


def _infer(expr: Expr, inputs: Sequence[str]) -> str:
    """A dtype, or "weak bool", "weak int", "weak float" for what is made of literals only."""
    if isinstance(expr, In):
        if not 0 <= expr.index < len(inputs):
            raise ValueError(f"the expression reads input %{expr.index}, but there are {len(inputs)} inputs")
        return inputs[expr.index]
    if isinstance(expr, Const):
        return f"weak {type(expr.value).__name__}"
    args = [_infer(a, inputs) for a in expr.args]
    if expr.fn == "cast":
        if expr.dtype not in DTYPES:
            raise ValueError(f"cast to unknown dtype {expr.dtype!r}")
        return expr.dtype
    if expr.fn == "where":
        _require_bool(expr.fn, args[:1])
        joined = _join(expr, args[1:])
        weak = joined.startswith("weak ") and not args[0].startswith("weak ")
        return _WEAK_DEFAULT[joined.removeprefix("weak ")] if weak else joined
    if expr.fn in ("and", "or", "not"):
        _require_bool(expr.fn, args)
        return "weak bool" if all(a.startswith("weak ") for a in args) else "bool"
    joined = _join(expr, args)
    if joined.endswith("bool") and expr.fn not in ("eq", "lt", "le"):
        raise ValueError(f"{expr.fn} does not take bool")
    if expr.fn in _FLOAT_ONLY and "float" not in joined and joined != "weak int":
        raise ValueError(f"{expr.fn} takes a floating point operand, not {joined}")
    if expr.fn in _INTEGER_ONLY and "float" in joined:
        raise ValueError(f"{expr.fn} takes integers, not {joined}")
    if expr.fn in _PREDICATES:
        return "weak bool" if joined.startswith("weak ") else "bool"
    return "weak float" if expr.fn in _FLOAT_ONLY and joined == "weak int" else joined


def _require_bool(fn: str, dtypes: Sequence[str]) -> None:
    for dtype in dtypes:
        if not dtype.endswith("bool"):
            raise ValueError(f"{fn} takes bool, not {dtype}")


def _join(expr: Call, dtypes: Sequence[str]) -> str:
    """The one dtype of operands that meet."""
    strong = sorted({d for d in dtypes if not d.startswith("weak ")})
    weak = {d.removeprefix("weak ") for d in dtypes if d.startswith("weak ")}
    if len(strong) > 1:
        raise ValueError(f"{expr.fn} of {' and '.join(strong)}: operands must have one dtype; cast one of them")
    if not strong:
        return "weak " + ("float" if "float" in weak else "int" if "int" in weak else "bool")
    accepted = {"bool"} if strong[0] == "bool" else {"int", "float"} if "float" in strong[0] else {"int"}
    if weak - accepted:
        raise ValueError(
            f"{expr.fn} of {strong[0]} and a {'/'.join(sorted(weak - accepted))} literal: cast one of them"
        )
    for a in expr.args:
        if "int" in strong[0] and isinstance(a, Const) and not _fits(int(a.value), strong[0]):
            raise ValueError(f"the literal {a.value} is outside the range of {strong[0]}")
    return strong[0]


def _fits(value: int, dtype: str) -> bool:
    info = np.iinfo(dtype)
    return int(info.min) <= value <= int(info.max)


def substitute(expr: Expr, replacements: Mapping[int, Expr]) -> Expr:
    """`expr` with every `In(i)` replaced by `replacements[i]` (inputs not named stay)."""
    if isinstance(expr, In):
        return replacements.get(expr.index, expr)
    if isinstance(expr, Const):
        return expr
    return Call(expr.fn, tuple(substitute(a, replacements) for a in expr.args), expr.dtype)


def walk(expr: Expr) -> Iterator[Expr]:
    """Every node of the tree, parents first."""
    yield expr
    if isinstance(expr, Call):
        for a in expr.args:
            yield from walk(a)


def peel_clamp(expr: Expr) -> tuple[Expr, float, float]:
    """(inner, lo, hi): `expr` is `inner` clamped to [lo, hi] by all the constant min and max calls around it."""
    if not (isinstance(expr, Call) and expr.fn in ("min", "max")):
        return expr, -np.inf, np.inf
    inner, bound = expr.args
    if isinstance(inner, Const):
        inner, bound = bound, inner
    if isinstance(inner, Const) or not isinstance(bound, Const):
        return expr, -np.inf, np.inf
    core, lo, hi = peel_clamp(inner)
    value = float(bound.value)
    return (core, max(lo, value), max(hi, value)) if expr.fn == "max" else (core, min(lo, value), min(hi, value))


def clamp_bounds(expr: Expr) -> tuple[float, float] | None:
    """(lo, hi) if `expr` is the identity on `%0` clamped by constants (relu, relu6, clip ...), else None."""
    core, lo, hi = peel_clamp(expr)
    return (lo, hi) if core == In(0) else None


def to_text(expr: Expr) -> str:
    """`min(max(%0, 0.0), 6.0)`; literals print so that they parse back exactly."""
    if isinstance(expr, In):
        return f"%{expr.index}"
    if isinstance(expr, Const):
        return repr(expr.value)
    head = f"cast<{expr.dtype}>" if expr.fn == "cast" else expr.fn
    return f"{head}({', '.join(to_text(a) for a in expr.args)})"


_TOKEN = re.compile(
    r"\s*(?:%(?P<input>\d{1,9})(?!\w)|(?P<number>[-+]?(?:inf|nan|\d+\.?\d*(?:[eE][-+]?\d+)?)(?!\w))"
    r"|(?P<word>[A-Za-z_]+)(?:<(?P<dtype>\w+)>)?(?P<open>\()?|(?P<punct>[(),]))",
    re.ASCII,
)


def parse(text: str) -> Expr:
    """Inverse of `to_text`. ValueError says at which character the text stops making sense."""
    expr, end = parse_prefix(text, 0)
    if text[end:].strip():
        raise ValueError(f"unexpected {text[end : end + 20]!r} after the expression at character {end}")
    return expr


def parse_prefix(text: str, at: int, depth: int = 0) -> tuple[Expr, int]:
    """The expression that starts at `text[at]`, and the position after it."""
    m = _TOKEN.match(text, at)
    if m is None or m["punct"]:
        raise ValueError(f"expected an expression, found {text[at : at + 20]!r} at character {at}")
    if m["input"]:
        return In(int(m["input"])), m.end()
    if m["number"]:
        return Const(_number(m["number"])), m.end()
    if not m["open"]:
        if m["word"] not in ("True", "False"):
            raise ValueError(f"unknown name {m['word']!r} at character {at}")
        return Const(m["word"] == "True"), m.end()
    if m["word"] != "cast" and m["word"] not in FUNCTIONS:
        raise ValueError(f"unknown function {m['word']!r} at character {at}")
    if (m["word"] == "cast") != bool(m["dtype"]):
        raise ValueError(f"cast, and only cast, takes <dtype>: {m[0]!r} at character {at}")
    if depth >= MAX_DEPTH:
        raise ValueError(f"an expression is at most {MAX_DEPTH} calls deep")
    args: list[Expr] = []
    end = m.end()
    while True:
        arg, end = parse_prefix(text, end, depth + 1)
        args.append(arg)
        sep = _TOKEN.match(text, end)
        if sep is None or sep["punct"] not in (",", ")"):
            raise ValueError(f"expected ',' or ')', found {text[end : end + 20]!r} at character {end}")
        end = sep.end()
        if sep["punct"] == ")":
            return call(m["word"], *args, dtype=m["dtype"] or ""), end


def _number(text: str) -> float | int:
    return float(text) if any(c in text for c in ".eEinf") else int(text)
