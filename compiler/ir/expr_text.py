"""The printed form of an expression, as `min(max(%0, 0.0), 6.0)`, and its parser. They are inverse."""

import re

from .expr import MAX_DEPTH, Const, Expr, In, call
from .functions import FUNCTIONS


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
