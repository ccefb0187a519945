"""States: inputs that sessions keep, and the outputs that they become."""

import numpy as np
import pytest

import edgec.compiler.ops  # noqa: F401  (fills the op registry)
from edgec import EdgeError
from edgec.compiler.ir.parser import parse_graph
from edgec.compiler.lower.lower import lower
from edgec.compiler.lower.plan import Space
from edgec.targets.registry import find

TEXT = """
graph @g(%x: float32[16], %h: float32[16], %c: float32[3]) -> (%y, %hn, %cn) {
  const %w: float32[16,16] = @w
  %r: float32[1,16] = reshape(%h) {shape=(1, 16)}
  %m: float32[1,16] = matmul(%r, %w)
  %v: float32[16] = reshape(%m) {shape=(16,)}
  %hn: float32[16] = map(%v, %x) {expr=tanh(add(%0, %1))}
  %cn: float32[3] = map(%c) {expr=add(%0, 1.0)}
  %y: float32[16] = map(%hn, %h) {expr=mul(%0, 2.0)}
}"""


def plan(states, text=TEXT):
    graph = parse_graph(text, {"w": np.ones((16, 16), np.float32)})
    return lower(graph, find("host"), states).plan


def test_states_vanish_from_the_ports_and_have_bytes_of_their_own():
    both = plan({"h": "hn", "c": "cn"})
    assert [[p.name for p in ports] for ports in (both.inputs, both.outputs)] == [["x"], ["y"]]
    (h, c) = both.states
    assert (h.input, h.output, h.type.shape, c.input, c.output) == ("h", "hn", (16,), "c", "cn")
    kept = [range(s.offset, s.offset + s.type.nbytes) for s in both.states]
    assert not set(kept[0]) & set(kept[1])
    writes = [o.offset for s in both.steps for o in s.operands[1:] if o.space == Space.ARENA]
    assert kept[0].start in writes and kept[1].start in writes


def copies(made):
    return sum(s.name.endswith("/copy") for s in made.steps)


def test_a_state_is_written_in_place_where_nothing_reads_it_later():
    read_later, last = TEXT, TEXT.replace("map(%hn, %h)", "map(%hn)")
    assert copies(plan({"h": "hn"}, last)) == 0
    assert copies(plan({"h": "hn"}, read_later)) == 1


@pytest.mark.parametrize(
    ("states", "message"),
    [
        ({"nothing": "hn"}, "the input 'nothing', but the model's inputs are: x, h, c"),
        ({"h": "nothing"}, "the output 'nothing', but the model's outputs are: y, hn, cn"),
        ({"h": "cn"}, "'h' is float32[16] before a run and 'cn' is float32[3] after it"),
        ({"h": "hn", "x": "hn"}, "two states are to take the same output"),
    ],
)
def test_what_does_not_go_together_is_refused(states, message):
    with pytest.raises(EdgeError) as error:
        plan(states)
    assert message in str(error.value)
