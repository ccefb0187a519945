import importlib
import pkgutil
from pathlib import Path
from types import ModuleType

import pytest

import edgec.passes
from edgec.compiler.ir.graph import Graph
from edgec.compiler.ir.parser import parse_graph
from edgec.errors import EdgeError
from edgec.passes import pipeline

MODULES = [importlib.import_module(f"edgec.passes.{m.name}") for m in pkgutil.iter_modules(edgec.passes.__path__)]
PASSES = [m for m in MODULES if hasattr(m, "run")]

TEXT = """graph @g(%x: float32[4]) -> (%y) {
  %a: float32[4] = map(%x) {expr=neg(%0)}
  %y: float32[4] = map(%a) {expr=abs(%0)}
}"""


@pytest.mark.parametrize("module", PASSES, ids=lambda m: m.__name__.rpartition(".")[2])
def test_every_pass_is_in_the_pipeline_and_has_a_golden_test(module: ModuleType) -> None:
    name = module.__name__.rpartition(".")[2]
    assert module.run in (*pipeline.FLOAT, *pipeline.LATE)
    assert "golden(" in (Path(__file__).parent / f"test_{name}.py").read_text()
    assert "->" in module.__doc__, "the docstring draws the rewrite"


def test_dumps_are_numbered_over_both_phases(tmp_path: Path) -> None:
    graph = parse_graph(TEXT, {})
    dump = pipeline.dump_to(tmp_path)
    pipeline.run_pipeline(graph, pipeline.FLOAT, dump=dump)
    pipeline.run_pipeline(graph, pipeline.LATE, dump=dump)
    names = sorted(p.name for p in tmp_path.iterdir())
    assert names[0] == "01_fold_constants.txt" and len(names) == len(pipeline.FLOAT) + len(pipeline.LATE)
    assert "neg" in (tmp_path / names[0]).read_text()


def test_verification_tells_which_pass_broke_the_graph() -> None:
    graph = parse_graph(TEXT, {})

    def breaks(graph: Graph) -> bool:
        graph.nodes.reverse()
        return True

    with pytest.raises(EdgeError):
        pipeline.run_pipeline(graph, (breaks,), verify=True)
