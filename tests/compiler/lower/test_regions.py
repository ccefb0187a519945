"""if and loop as programs: bytes of the reference on this machine and as arm64 code."""

import numpy as np
import pytest

import edgec.compiler.ops  # noqa: F401  (fills the op registry)
from edgec.compiler.ir.parser import parse_graph
from edgec.compiler.lower.lower import lower
from edgec.compiler.lower.plan import Control
from edgec.compiler.ops.reference import run_graph
from edgec.errors import EdgeError
from edgec.targets.registry import find
from edgec.tests.compiler.lower.running import DOTPROD, HOST, check
from edgec.tests.compiler.lower.running import run as execute

RNG = np.random.default_rng(0)


def normal(*shape):
    return RNG.standard_normal(shape).astype(np.float32)


def run(text, feeds, folder, constants=None, devices=((HOST, 1), (HOST, 2), (DOTPROD, 1))):
    """The plan, after each of `feeds` gave the reference's results."""
    graph = parse_graph(text, constants)
    for device, threads in devices:
        for feed in feeds:
            check(graph, feed, folder, device, threads)
    return lower(graph, find("arm64-neon")).plan


IF = """
graph @g(%c: bool[], %x: float32[2,16]) -> (%y, %z) {
  const %k: float32[16] = [1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16]
  %h: float32[2,16] = map(%x) {expr=max(%0, 0.0)}
  %y: float32[2,16], %s: float32[2,16] = if(%c, %h, %x) "choice"
    region @then(%a: float32[2,16], %b: float32[2,16]) -> (%t, %u) {
      const %k: float32[16] = [1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16]
      %t: float32[2,16] = map(%a, %k) {expr=add(%0, %1)}
      %m: float32[2,16] = map(%t, %b) {expr=mul(%0, %1)}
      %u: float32[2,16] = map(%m) {expr=neg(%0)}
    }
    region @else(%a: float32[2,16], %b: float32[2,16]) -> (%t, %k) {
      const %k: float32[2,16] = @k
      %t: float32[2,16] = map(%b) {expr=abs(%0)}
    }
  %z: float32[2,16] = map(%s, %h) {expr=add(%0, %1)}
}"""


def test_if(tmp_path):
    feeds = [{"c": np.array(flag), "x": normal(2, 16)} for flag in (True, False)]
    plan = run(IF, feeds, tmp_path, {"k": normal(2, 16)})
    assert [s.control for s in plan.steps if s.control] == [Control.BRANCH, Control.JUMP]


LOOP = """
graph @g(%n: int64[], %c: bool[], %x: float32[2,16], %w: float32[2,16]) -> (%y, %i) {
  const %zero: int64[] = [0]
  %y: float32[2,16], %i: int64[] = loop(%n, %c, %x, %zero, %w) "turns"
    region @body(%t: int64[], %s: float32[2,16], %k: int64[], %v: float32[2,16]) -> (%d, %u, %l) {
      %u: float32[2,16] = map(%s, %v) {expr=add(mul(%0, 1.5), %1)}
      %l: int64[] = map(%k, %t) {expr=add(%0, %1)}
      %p: float32[] = reduce(%u) {kind="max", axes=(0, 1), keepdims=False}
      %d: bool[] = map(%p) {expr=lt(%0, 100.0)}
    }
}"""


def test_loop_until_a_condition_or_a_number_of_turns(tmp_path):
    feeds = [
        {"n": np.array(n, np.int64), "c": np.array(c), "x": normal(2, 16), "w": np.abs(normal(2, 16))}
        for n, c in ((0, True), (1, True), (5, True), (1000, True), (5, False), (-3, True))
    ]
    plan = run(LOOP, feeds, tmp_path)
    names = [s.name for s in plan.steps if not s.control]
    assert names.count("turns/copy") == 3  # what is there before the first turn: each turn works in place


def test_states_that_change_places_go_through_copies(tmp_path):
    text = """
    graph @g(%n: int64[], %x: float32[16], %z: float32[16]) -> (%y, %u) {
      const %go: bool[] = [True]
      %y: float32[16], %u: float32[16] = loop(%n, %go, %x, %z)
        region @body(%t: int64[], %a: float32[16], %b: float32[16]) -> (%go, %p, %q) {
          const %go: bool[] = [True]
          %p: float32[16] = map(%b) {expr=neg(%0)}
          %q: float32[16] = map(%a) {expr=add(%0, 1.0)}
        }
    }"""
    run(text, [{"n": np.array(n, np.int64), "x": normal(16), "z": normal(16)} for n in (0, 1, 2, 5)], tmp_path)


def test_what_is_read_in_every_turn_keeps_its_memory(tmp_path):
    """Values from before the loop whose last reader comes early in the body, and many that want memory after it."""
    text = """
    graph @g(%n: int64[], %x: float32[64]) -> (%y) {
      const %go: bool[] = [True]
      %k: float32[64] = map(%x) {expr=mul(%0, 2.0)}
      %l: float32[64] = map(%x) {expr=mul(%0, 3.0)}
      %y: float32[64] = loop(%n, %go, %x, %k, %l)
        region @body(%t: int64[], %s: float32[64], %k: float32[64], %l: float32[64]) -> (%go, %e) {
          const %go: bool[] = [True]
          %a: float32[64] = map(%s, %k, %l) {expr=add(mul(%0, 0.5), mul(%1, %2))}
          %b: float32[64] = concat(%a2, %a1) {axis=0}
          %c: float32[64] = map(%a, %b) {expr=sub(%0, %1)}
          %e: float32[64] = map(%c, %b) {expr=add(%0, tanh(%1))}
        }
    }""".replace(
        "          %b:",
        """          %a1: float32[24] = slice(%a) {starts=(0,), steps=(1,)}
          %a2: float32[40] = slice(%a) {starts=(24,), steps=(1,)}
          %b:""",
    )
    run(text, [{"n": np.array(n, np.int64), "x": normal(64) / 4} for n in (1, 2, 7)], tmp_path)


def test_collected_rows_are_written_in_place(tmp_path):
    text = """
    graph @g(%x: float32[40,5]) -> (%y, %h) {
      const %go: bool[] = [True]
      const %n: int64[] = [40]
      const %h0: float32[5] = [0,0,0,0,0]
      const %y0: float32[40,5] = @y0
      %h: float32[5], %y: float32[40,5] = loop(%n, %go, %h0, %y0, %x) "scan"
        region @body(%t: int64[], %s: float32[5], %a: float32[40,5], %x: float32[40,5]) -> (%go, %u, %b) {
          const %go: bool[] = [True]
          %r: float32[5] = gather(%x, %t) {axis=0}
          %u: float32[5] = map(%s, %r) {expr=add(mul(%0, 0.5), %1)}
          %b: float32[40,5] = scatter(%a, %t, %u)
        }
    }"""
    plan = run(text, [{"x": normal(40, 5)}], tmp_path, {"y0": np.zeros((40, 5), np.float32)})
    assert len(plan.weights) < 400  # zeros are one element
    assert sum("scatter" in s.kernel for s in plan.steps) == 1


def test_nested_loops_and_branches(tmp_path):
    text = """
    graph @g(%n: int64[], %m: int64[], %x: float32[16]) -> (%y) {
      const %go: bool[] = [True]
      %y: float32[16] = loop(%n, %go, %x, %m, %x)
        region @outer(%t: int64[], %s: float32[16], %m: int64[], %x: float32[16]) -> (%go, %u) {
          const %go: bool[] = [True]
          const %one: int64[] = [1]
          %odd: bool[] = map(%t) {expr=eq(mod(%0, 2), 1)}
          %v: float32[16] = if(%odd, %s, %m)
            region @then(%a: float32[16], %m: int64[]) -> (%p) {
              const %go: bool[] = [True]
              %p: float32[16] = loop(%m, %go, %a)
                region @inner(%i: int64[], %q: float32[16]) -> (%go, %w) {
                  const %go: bool[] = [True]
                  %f: float32[] = map(%i) {expr=cast<float32>(%0)}
                  %w: float32[16] = map(%q, %f) {expr=add(mul(%0, 0.75), %1)}
                }
            }
            region @else(%a: float32[16], %m: int64[]) -> (%p) {
              %p: float32[16] = map(%a) {expr=neg(%0)}
            }
          %u: float32[16] = map(%v, %x) {expr=add(%0, %1)}
        }
    }"""
    counts = [(4, 3), (3, 0), (0, 1)]
    feeds = [{"n": np.array(n, np.int64), "m": np.array(m, np.int64), "x": normal(16)} for n, m in counts]
    run(text, feeds, tmp_path)


def test_convolutions_in_regions_have_their_padding(tmp_path):
    text = """
    graph @g(%c: bool[], %n: int64[], %x: float32[1,6,6,16]) -> (%y) {
      const %go: bool[] = [True]
      const %w: float32[16,16,3,3] = @w
      %h: float32[1,6,6,16] = conv2d(%x, %w) {pads=(1, 1, 1, 1), layout="NHWC"}
      %u: float32[1,6,6,16] = loop(%n, %go, %h)
        region @body(%t: int64[], %s: float32[1,6,6,16]) -> (%go, %e) {
          const %go: bool[] = [True]
          const %w: float32[16,16,3,3] = @w
          %d: float32[1,6,6,16] = conv2d(%s, %w) {pads=(1, 1, 1, 1), layout="NHWC"}
          %e: float32[1,6,6,16] = conv2d(%d, %w) {pads=(1, 1, 1, 1), layout="NHWC"}
        }
      %y: float32[1,6,6,16] = if(%c, %u)
        region @then(%a: float32[1,6,6,16]) -> (%e) {
          const %w: float32[16,16,3,3] = @w
          %e: float32[1,6,6,16] = conv2d(%a, %w) {pads=(1, 1, 1, 1), layout="NHWC"}
        }
        region @else(%a: float32[1,6,6,16]) -> (%e) {
          %e: float32[1,6,6,16] = map(%a) {expr=neg(%0)}
        }
    }"""
    feeds = [{"c": np.array(n > 1), "n": np.array(n, np.int64), "x": normal(1, 6, 6, 16)} for n in (0, 1, 3)]
    run(text, feeds, tmp_path, {"w": normal(16, 16, 3, 3) / 12})


@pytest.mark.parametrize("first", [0, 16])
def test_slices_of_channels_are_read_where_they_are(tmp_path, first):
    text = f"""
    graph @g(%x: float32[3,32], %z: float32[3,16]) -> (%y) {{
      const %w: float32[32,32] = @w
      %h: float32[3,32] = matmul(%x, %w) "product"
      %s: float32[3,16] = slice(%h) {{starts=(0, {first}), steps=(1, 1)}} "slice"
      %y: float32[3,16] = map(%s, %z) {{expr=add(%0, %1)}}
    }}"""
    plan = run(text, [{"x": normal(3, 32), "z": normal(3, 16)}], tmp_path, {"w": normal(32, 32)})
    assert "slice" not in [s.name for s in plan.steps]


@pytest.mark.parametrize("device, threads", [(HOST, 1), (HOST, 2), (DOTPROD, 1)])
def test_a_run_ends_where_a_requirement_does_not_hold(tmp_path, device, threads):
    text = """
    graph @g(%n: int64[], %x: int64[4]) -> (%y) {
      const %go: bool[] = [True]
      %y: int64[4] = loop(%n, %go, %x) "turns"
        region @body(%t: int64[], %s: int64[4]) -> (%go, %u) {
          const %go: bool[] = [True]
          %few: bool[] = map(%t) {expr=lt(%0, 5)}
          %r: int64[4] = require(%s, %few) "part"
          %u: int64[4] = map(%r, %t) {expr=add(%0, %1)}
        }
    }"""
    graph = parse_graph(text)
    feed = {"n": np.array(5), "x": np.arange(4)}
    check(graph, feed, tmp_path, device, threads)
    with pytest.raises(EdgeError, match='slice "part" has another size'):
        execute(graph, feed | {"n": np.array(6)}, tmp_path, device, threads)
    with pytest.raises(EdgeError, match="slice 'part' has another size"):
        run_graph(graph, feed | {"n": np.array(6)})
