"""Compile time grows as the graph does."""

import pytest

from edgec.benchmarks import scaling


def test_the_graphs_have_the_nodes_asked_for_and_repeat() -> None:
    assert len(scaling.generated(300).graph.node) == 300
    assert scaling.generated(300) == scaling.generated(300)


@pytest.mark.slow
def test_ten_thousand_nodes_compile_within_a_minute() -> None:
    assert scaling.measure(10_000, "host")["all"] < 60  # with an empty kernel cache, the first time
    scaling.measure(1000, "host")
    small, large = scaling.measure(1000, "host"), scaling.measure(10_000, "host")
    assert large["all"] < 25 * small["all"]
