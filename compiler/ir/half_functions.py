"""Elementary functions in float16 arithmetic, for sums that are float16; those of float32 are in `elementary.py`.

The error is less than 4 * 2^-11 |x|: that of four operations on the argument.
"""

from collections.abc import Callable, Mapping, Sequence

from .expr import Call, Expr
from .vectors import Value, Vectors


def gelu(v: Vectors, x: Value) -> Value:
    """x * P(X <= x) of a normal X."""
    return _times_share(v, x, 4.5, _NORMAL)


def silu(v: Vectors, x: Value) -> Value:
    """x / (1 + e^-x)."""
    return _times_share(v, x, 10.0, _LOGISTIC)


_NORMAL = [0.84082, -0.16626, -0.0552063, 0.0101624, 0.0019474, -0.000356436]
_LOGISTIC = [0.84082, -0.104065, -0.0237885, 0.00776672, -0.000801563, 2.91467e-05]
"""Fourth roots of P(X <= -t), for t in [0, 4.5] and [0, 10]; few terms serve, as they are smooth."""


def _times_share(v: Vectors, x: Value, end: float, root: Sequence[float]) -> Value:
    """x P(X <= x) = max(x, 0) - t P(X <= -t) of t = |x|, or of `end` behind it: there that is next to nothing."""
    t = v.keep(v.at_most(v.magnitude(x), end))
    fourth = v.keep(v.paired_polynomial(t, root))
    square = v.keep(fourth * fourth)
    return v.keep(v.fma(-v.rounded(square * square), t, v.call("maximum", x, v.like(x, 0.0))))


FUNCTIONS: Mapping[str, Callable[[Vectors, Value], Value]] = {f.__name__: f for f in (gelu, silu)}
"""The name that expressions know it by, once `joined`, -> the function of `Vectors` and float16 operands."""

LEAST = -1.0
"""What results of `FUNCTIONS` are above."""


def joined(expr: Expr) -> Expr:
    """`expr` with `silu(x)` in place of x * sigmoid(x)."""
    if not isinstance(expr, Call):
        return expr
    args = tuple(map(joined, expr.args))
    for x, other in (args, args[::-1]) if expr.fn == "mul" else ():
        if other == Call("sigmoid", (x,)):
            return Call("silu", (x,))
    return Call(expr.fn, args, expr.dtype)
