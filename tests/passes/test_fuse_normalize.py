from collections.abc import Callable

import numpy as np
import pytest

from edgec.compiler.ir.graph import Graph
from edgec.compiler.ir.parser import parse_graph
from edgec.passes import fuse_normalize

HEAD = "graph @g(%x: float32[2,5,8]) -> (%y) {\n"
CENTERED = """
%m: float32[2,5,1] = reduce(%x) {kind="mean", axes=(2,)}
%d: float32[2,5,8] = map(%x, %m) {expr=sub(%0, %1)}
%s: float32[2,5,8] = map(%d) {expr=mul(%0, %0)}
%v: float32[2,5,1] = reduce(%s) {kind="mean", axes=(2,)}
"""
RATE = "%e: float32[2,5,1] = map(%v) {expr=add(%0, 1e-05)}\n%r: float32[2,5,1] = map(%e) {expr=sqrt(%0)}\n"
AFFINE = "%g: float32[2,5,8] = map(%n, %w) {expr=mul(%0, %1)}\n%y: float32[2,5,8] = map(%b, %g) {expr=add(%0, %1)}\n"


def test_layer_normalization(golden: Callable[..., Graph]) -> None:
    constants = "const %w: float32[8] = @w\nconst %b: float32[1,8] = @b\n"
    quotient = "%n: float32[2,5,8] = map(%d, %r) {expr=div(%0, %1)}\n"
    after = """
    graph @g(%x: float32[2,5,8]) -> (%y) {
      const %w: float32[8] = @w
      const %b_1: float32[8] = @b_1
      %y: float32[2,5,8] = normalize(%x, %w, %b_1) {axis=2, epsilon=1e-05}
    }
    """
    golden(fuse_normalize.run, HEAD + constants + CENTERED + RATE + quotient + AFFINE + "}", after, cleanup=True)


def test_rms_normalization(golden: Callable[..., Graph]) -> None:
    before = """
    graph @g(%x: float32[2,5,8]) -> (%y) {
      const %w: float32[8] = @w
      %s: float32[2,5,8] = map(%x) {expr=mul(%0, %0)}
      %v: float32[2,5,1] = reduce(%s) {kind="mean", axes=(2,)}
      %r: float32[2,5,1] = map(%v) {expr=div(1.0, sqrt(add(%0, 1e-06)))}
      %n: float32[2,5,8] = map(%r, %x) {expr=mul(%0, %1)}
      %y: float32[2,5,8] = map(%w, %n) {expr=mul(%0, %1)}
    }
    """
    after = """
    graph @g(%x: float32[2,5,8]) -> (%y) {
      const %w: float32[8] = @w
      %y: float32[2,5,8] = normalize(%x, %w) {axis=2, epsilon=1e-06, rms=True}
    }
    """
    golden(fuse_normalize.run, before, after, cleanup=True)


def test_what_is_read_twice_stays(golden: Callable[..., Graph]) -> None:
    """The scaled value is an output too: only the core becomes one node."""
    head = "graph @g(%x: float32[2,5,8]) -> (%y, %n) {\n"
    constants = "const %w: float32[8] = @w\nconst %b: float32[1,8] = @b\n"
    quotient = "%n: float32[2,5,8] = map(%d, %r) {expr=div(%0, %1)}\n"
    after = f"{head}{constants}%n: float32[2,5,8] = normalize(%x) {{axis=2, epsilon=1e-05, rms=False}}\n{AFFINE}}}"
    golden(fuse_normalize.run, head + constants + CENTERED + RATE + quotient + AFFINE + "}", after, cleanup=True)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("axes=(2,)", "axes=(1,)"),
        ("sub(%0, %1)", "add(%0, %1)"),
        ("mul(%0, %0)", "mul(%0, 2.0)"),
        ("div(%0, %1)", "mul(%0, %1)"),
        ("add(%0, 1e-05)", "add(%0, %0)"),
    ],
)
def test_what_is_no_normalization(old: str, new: str) -> None:
    """One part is another; a sum instead of the difference leaves an RMS normalization."""
    text = HEAD + CENTERED + RATE + "%y: float32[2,5,8] = map(%d, %r) {expr=div(%0, %1)}\n}"
    changed = text.replace(old, new)
    if old == "axes=(2,)":
        changed = changed.replace("[2,5,1]", "[2,1,8]")
    graph = parse_graph(changed)
    assert fuse_normalize.run(graph) == (new == "add(%0, %1)")
    assert [n.attrs["rms"] for n in graph.nodes if n.op == "normalize"] == [True] * (new == "add(%0, %1)")


def test_numbers(golden: Callable[..., Graph]) -> None:
    """Scale of another shape than that of the normalized dimensions stays outside."""
    constants = "const %w: float32[5,1] = @w\n"
    body = CENTERED + RATE + "%n: float32[2,5,8] = map(%d, %r) {expr=div(%0, %1)}\n"
    tail = "%y: float32[2,5,8] = map(%n, %w) {expr=mul(%0, %1)}\n}"
    after = f"{HEAD}{constants}%n: float32[2,5,8] = normalize(%x) {{axis=2, epsilon=1e-05, rms=False}}\n{tail}"
    golden(fuse_normalize.run, HEAD + constants + body + tail, after, {"w": np.ones((5, 1), np.float32)}, cleanup=True)
