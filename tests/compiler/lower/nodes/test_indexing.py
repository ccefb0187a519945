"""Rows that are looked up in large constants."""

from pathlib import Path

import numpy as np
import pytest

from edgec.compiler.ir.extent import symbol
from edgec.compiler.ir.graph import Array, Graph, Node, Value
from edgec.compiler.ir.types import TensorType
from edgec.compiler.lower.lower import lower
from edgec.compiler.lower.plan import Plan
from edgec.runtimes.python.binding import Model
from edgec.targets.registry import find
from edgec.tests.compiler.lower.running import check

ROWS, COLUMNS = 9000, 64  # 2.2 MiB
SOME = np.array([0, 8999, 17, -1, 9001, 4242], np.int64)


def lookup(rows: int, count: int, axis: int = 0) -> Graph:
    """Rows of a constant beside a constant, which all runs read whole."""
    rng = np.random.default_rng(0)
    shape = (rows, COLUMNS) if axis == 0 else (COLUMNS, rows)
    table = constant("table", rng.standard_normal(shape).astype(np.float32))
    indices = Value("i", TensorType((count,), "int64"))
    found = Value("found", TensorType((count, COLUMNS) if axis == 0 else (COLUMNS, count), "float32"))
    y = Value("y", TensorType((count, 32) if axis == 0 else found.type.shape, "float32"))
    nodes = [Node("gather", [table, indices], [found], {"axis": axis}, name="lookup")]
    if axis == 0:
        w = constant("w", rng.standard_normal((COLUMNS, 32)).astype(np.float32))
        nodes.append(Node("matmul", [found, w], [y], {}, name="product"))
    else:
        y = found
    return Graph("lookup", [indices], [y], nodes)


def constant(name: str, data: Array) -> Value:
    return Value(name, TensorType(data.shape, str(data.dtype)), data)


def plan_of(graph: Graph) -> Plan:
    return lower(graph, find("host")).plan


@pytest.mark.parametrize("count", [6, symbol("n", 1, 6)])
def test_rows_lie_behind_what_is_read_whole_and_from_a_page_on(count: int) -> None:
    plan = plan_of(lookup(ROWS, count))
    table = plan.steps[0].operands[0].offset
    assert plan.rows_size == ROWS * COLUMNS * 4
    assert table == len(plan.weights) - plan.rows_size
    assert table % 16384 == 0
    assert plan.steps[1].operands[1].offset < table


@pytest.mark.parametrize(
    ("rows", "count", "axis"),
    [
        (1000, 6, 0),  # fits a large page
        (ROWS, 64, 0),  # so many that the system would map all of it
        (ROWS, symbol("n", 1, 64), 0),
        (ROWS, 1, 1),  # of 64 rows each one
    ],
)
def test_other_constants_are_read_whole(rows: int, count: int, axis: int) -> None:
    assert plan_of(lookup(rows, count, axis)).rows_size == 0


@pytest.mark.slow
def test_rows_that_are_looked_up_are_the_tables(tmp_path: Path) -> None:
    check(lookup(ROWS, 6), {"i": SOME}, tmp_path, threads=2)


@pytest.mark.slow
@pytest.mark.skipif(not Path("/sys/kernel/mm/transparent_hugepage").exists(), reason="this system has no large pages")
def test_rows_are_not_mapped_in_large_pages(tmp_path: Path) -> None:
    graph = lookup(ROWS, 6)
    check(graph, {"i": SOME}, tmp_path)
    (bundle,) = tmp_path.glob("*.edge")
    model = Model(bundle / "libgraph.so", bundle / "weights.bin", threads=1)
    model.run({"i": SOME})
    whole, rows = flags_of(bundle / "weights.bin")
    assert "hg" in whole
    assert "nh" in rows


def flags_of(path: Path) -> list[list[str]]:
    """Of each mapping of the file into this process."""
    found, here = [], False
    for line in Path("/proc/self/smaps").read_text().splitlines():
        key, *words = line.split()
        if not key.endswith(":"):
            here = line.endswith(str(path))
        elif here and key == "VmFlags:":
            found.append(words)
    return found
