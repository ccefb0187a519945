"""The memory plan: no two buffers in use at the same time overlap, and little is wasted."""

from collections.abc import Mapping
from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgec.benchmarks import zoo
from edgec.compiler.driver import build_graph
from edgec.compiler.ir.cost import live_bytes
from edgec.compiler.lower.buffers import ALIGNMENT, Storage
from edgec.compiler.lower.lower import lower
from edgec.compiler.lower.memory import lower_bound, plan_arena
from edgec.targets.registry import find

WASTE = 1.10
"""Arena over the largest sum of live tensors, the padding around them included."""

PHASES = st.tuples(st.integers(0, 20), st.integers(0, 20)).map(sorted)


def aligned(size: int) -> int:
    return -(-size // ALIGNMENT) * ALIGNMENT


def storages_of(buffers: list[tuple[int, list[int]]]) -> list[Storage]:
    return [Storage(size, first=first, last=last) for size, (first, last) in buffers]


@settings(derandomize=True, max_examples=200, deadline=None)
@given(buffers=st.lists(st.tuples(st.integers(1, 5000), PHASES), max_size=25))
def test_buffers_in_use_do_not_overlap(buffers: list[tuple[int, list[int]]]) -> None:
    storages = storages_of(buffers)
    arena = plan_arena(storages)
    assert arena >= lower_bound(storages)
    assert arena <= sum(aligned(s.size) for s in storages)
    for s in storages:
        assert s.offset % ALIGNMENT == 0 and s.offset >= 0 and s.offset + s.size <= arena
    for a, b in combinations(storages, 2):
        if a.first <= b.last and b.first <= a.last:
            assert a.offset + a.size <= b.offset or b.offset + b.size <= a.offset


def test_lower_bound_is_the_largest_sum_in_use() -> None:
    assert lower_bound(storages_of([(100, [0, 2]), (50, [2, 3]), (120, [3, 4])])) == 170


def test_a_chain_needs_its_two_largest_neighbours() -> None:
    sizes = [64, 640, 128, 1280, 320]
    assert plan_arena(storages_of([(size, [i, i + 1]) for i, size in enumerate(sizes)])) == 1280 + 320


def test_nothing_needs_nothing() -> None:
    assert plan_arena([]) == 0


SHAPES: Mapping[str, Mapping[str, tuple[int, ...]]] = {"ppocr_det": {"x": (1, 3, 160, 320)}}


@pytest.mark.parametrize("name", ["ppocr_det", "ppocr_cls", "mobilenet_v2", "shufflenet", "densenet121"])
def test_real_models_waste_little(name: str) -> None:
    model = zoo.MODELS[name]
    graph = build_graph(model.load(), shapes=SHAPES.get(name, model.shapes))
    lowered = lower(graph, find("arm64-neon"))
    assert lowered.plan.arena_size <= WASTE * lowered.arena_lower_bound
    assert lowered.plan.arena_size <= WASTE * live_bytes(graph)
