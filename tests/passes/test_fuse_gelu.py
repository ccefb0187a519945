"""GELU, however models spell it, and what only looks like it."""

from collections.abc import Callable

import pytest

from edgec.compiler.ir.graph import Graph
from edgec.passes import fuse_gelu

HEAD = "graph @g(%x: float32[3,50]) -> (%y) {\n"
GELU = HEAD + "%y: float32[3,50] = map(%x) {expr=gelu(%0)}\n}"

Golden = Callable[..., Graph]


def maps(*lines: str) -> str:
    """A graph of maps: `y(x, s) expr`."""
    found = [line.partition(" ") for line in lines]
    parts = [(name.partition("(")[0], name.partition("(")[2][:-1].split(","), expr) for name, _, expr in found]
    nodes = [f"%{name}: float32[3,50] = map({', '.join('%' + i for i in of)}) {{expr={e}}}" for name, of, e in parts]
    return HEAD + "\n".join(nodes) + "\n}"


SCALED = "d(x) div(%0, 1.4142135381698608)"
SHARE = (SCALED, "e(d) erf(%0)", "s(e) add(%0, 1.0)")
SPELLED = {
    "torch": (*SHARE, "p(x,s) mul(%0, %1)", "y(p) mul(%0, 0.5)"),
    "half first": ("h(x) mul(%0, 0.5)", *SHARE, "y(s,h) mul(%0, %1)"),
    "half of the share": (*SHARE, "h(s) mul(%0, 0.5)", "y(x,h) mul(%0, %1)"),
    "quotients": ("d(x) mul(0.70710677, %0)", "e(d) add(1.0, erf(%0))", "p(e,x) mul(%0, %1)",
                  "y(p) mul(1.0, div(%0, 2.0))"),
    "one map": ("y(x) mul(mul(%0, 0.5), add(erf(div(%0, 1.4142135381698608)), 1.0))",),
}  # fmt: skip


@pytest.mark.parametrize("name", SPELLED)
def test_gelu(golden: Golden, name: str) -> None:
    golden(fuse_gelu.run, maps(*SPELLED[name]), GELU, cleanup=True)


def test_of_what_other_maps_compute(golden: Golden) -> None:
    """What it is the function of may have other readers, and makers."""
    head = "graph @g(%a: float32[3,50], %b: float32[50]) -> (%y, %x) {\n"
    head += "%x: float32[3,50] = map(%a, %b) {expr=add(%0, %1)}\n"
    rest = maps(*SPELLED["torch"]).removeprefix(HEAD)
    golden(fuse_gelu.run, head + rest, head + GELU.removeprefix(HEAD), cleanup=True)


OTHERS = {
    "another scale": ("d(x) div(%0, 1.5)", *SHARE[1:], "p(x,s) mul(%0, %1)", "y(p) mul(%0, 0.5)"),
    "without a half": (*SHARE, "y(x,s) mul(%0, %1)"),
    "another sum": (*SHARE[:2], "s(e) add(%0, 2.0)", "p(x,s) mul(%0, %1)", "y(p) mul(%0, 0.5)"),
    "a square": (*SHARE, "q(x,x) mul(%0, %1)", "p(q,s) mul(%0, %1)", "y(p) mul(%0, 0.5)"),
    "tanh": (SCALED, "e(d) tanh(%0)", "s(e) add(%0, 1.0)", "p(x,s) mul(%0, %1)", "y(p) mul(%0, 0.5)"),
    "of two tensors": (*SHARE, "w(x) exp(%0)", "p(w,s) mul(%0, %1)", "y(p) mul(%0, 0.5)"),
}  # fmt: skip


@pytest.mark.parametrize("name", OTHERS)
def test_others_stay(golden: Golden, name: str) -> None:
    golden(fuse_gelu.run, maps(*OTHERS[name]), maps(*OTHERS[name]))
