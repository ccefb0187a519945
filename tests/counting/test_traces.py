"""Blocks are joined where one nearly always follows the other."""

from edgec.counting.counts import Block, Runs
from edgec.counting.traces import Trace, traces


def blocks(*words: int) -> dict[int, Block]:
    """Blocks of one instruction each, a word that is its number."""
    return {i: Block(i, 4 * i, (word,)) for i, word in enumerate(words)}


def runs(*edges: tuple[int | None, int, int]) -> list[Runs]:
    return [Runs(0, origin, to, count, 0, 0) for origin, to, count in edges]


def found(edges: list[Runs], count: int) -> set[tuple[tuple[int, ...], float]]:
    return {(t.words, t.runs) for t in traces(blocks(*range(count)), edges)}


def test_a_loop_of_one_block_stands_alone() -> None:
    edges = runs((None, 0, 1), (0, 1, 1), (1, 1, 99), (1, 2, 1))
    assert found(edges, 3) == {((0,), 1), ((1,), 100), ((2,), 1)}


def test_a_loop_of_two_blocks_is_one_trace_from_where_it_is_entered() -> None:
    edges = runs((0, 1, 1), (1, 2, 100), (2, 1, 99), (2, 3, 1))
    assert ((1, 2), 100) in found(edges, 4)


def test_straight_code_is_one_trace() -> None:
    assert found(runs((None, 0, 5), (0, 1, 5), (1, 2, 5)), 3) == {((0, 1, 2), 5)}


def test_blocks_that_meet_are_not_joined() -> None:
    edges = runs((3, 0, 50), (3, 1, 50), (0, 2, 50), (1, 2, 50), (2, 3, 100))
    assert found(edges, 4) == {((2, 3), 100), ((0,), 50), ((1,), 50)}


def test_counts_of_a_trace_are_their_mean() -> None:
    edges = runs((None, 0, 100), (0, 1, 99))
    assert traces(blocks(0, 1), edges) == [Trace((0, 1), 99.5)]
