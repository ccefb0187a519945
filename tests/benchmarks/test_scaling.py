"""Compile time grows as the graph does."""

from pathlib import Path
from xml.etree import ElementTree

import pytest

from edgec.benchmarks import scaling


def test_the_graphs_have_the_nodes_asked_for_and_repeat() -> None:
    assert len(scaling.generated(300).graph.node) == 300
    assert scaling.generated(300) == scaling.generated(300)


def test_distinct_graphs_repeat_nothing() -> None:
    kinds = [
        tuple(n.op_type for n in scaling.generated(3000, distinct=True).graph.node[i : i + 20])
        for i in range(0, 2980, 20)
    ]
    assert len(set(kinds)) == len(kinds)


def test_the_plot_shows_every_stage(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    rows = {1000: {"import": 0.5, "kernels": 1.0, "all": 1.5}, 2000: {"import": 1.0, "kernels": 1.0, "all": 2.0}}
    for name in ("a.svg", "b.svg"):
        scaling.draw(rows, "seconds of a test", tmp_path / name)
    words = {e.text for e in ElementTree.parse(tmp_path / "a.svg").iter() if e.text}
    assert {"import", "kernels", "nodes", "seconds", "seconds of a test"} <= words
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()


@pytest.mark.slow
def test_ten_thousand_nodes_compile_within_a_minute() -> None:
    assert scaling.measure(10_000, "host")["all"] < 60  # with an empty kernel cache, the first time
    scaling.measure(1000, "host")
    small, large = scaling.measure(1000, "host"), scaling.measure(10_000, "host")
    assert large["all"] < 25 * small["all"]
