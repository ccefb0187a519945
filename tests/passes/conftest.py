"""`golden`: before text -> pass -> expected text, and the same numbers before and after."""

import re
import textwrap
import zlib
from collections.abc import Callable, Mapping

import numpy as np
import pytest

import edgec.compiler.ops  # noqa: F401  (fills the op registry)
from edgec.compiler.ir.graph import Array, Graph
from edgec.compiler.ir.parser import parse_graph
from edgec.compiler.ir.text import print_graph
from edgec.compiler.ir.types import TensorType
from edgec.compiler.ir.verify import verify
from edgec.compiler.ops.reference import run_graph
from edgec.passes import dce

Golden = Callable[..., Graph]

_CONSTANT = re.compile(r"const %(\w+): (\w+)\[([\d,]*)\]")


def random_array(name: str, type: TensorType) -> Array:
    """The same numbers for the same name and type."""
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    if type.dtype == "float32":
        return rng.normal(size=type.shape).astype(np.float32)
    low, high = (-128, 128) if type.dtype == "int8" else (0, 100)
    return rng.integers(low, high, type.shape).astype(type.dtype)


def constants_of(text: str) -> dict[str, Array]:
    """Random data for every constant that `text` declares."""
    declared = {name: TensorType(_extents(shape), dtype) for name, dtype, shape in _CONSTANT.findall(text)}
    return {name: random_array(name, type) for name, type in declared.items()}


def _extents(text: str) -> tuple[int, ...]:
    return tuple(int(d) for d in text.split(",") if d)


@pytest.fixture
def golden() -> Golden:
    def check(
        run: Callable[[Graph], bool],
        before: str,
        after: str,
        data: Mapping[str, Array] | None = None,
        *,
        cleanup: bool = False,
    ) -> Graph:
        """Runs the pass (then, with `cleanup`, dead code elimination); constants are random unless in `data`."""
        graph = parse_graph(textwrap.dedent(before).strip(), constants_of(before) | dict(data or {}))
        verify(graph)
        inputs = {v.name: random_array(v.name, v.type) for v in graph.inputs}
        expected = run_graph(graph, inputs)
        changed = run(graph)
        verify(graph)
        if cleanup:
            dce.run(graph)
        # What constants hold is judged by what the graph computes.
        made = {v.name: v.data for v in graph.values() if v.data is not None}
        wanted = parse_graph(textwrap.dedent(after).strip(), constants_of(after) | made)
        assert print_graph(graph) == print_graph(wanted)
        assert changed == (_canonical(before) != _canonical(after))
        for name, array in run_graph(graph, inputs).items():
            np.testing.assert_allclose(array, expected[name], rtol=1e-4, atol=1e-5, err_msg=name)
        return graph

    return check


def _canonical(text: str) -> str:
    return "".join(text.split())
