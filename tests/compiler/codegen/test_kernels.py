"""What is compiled for a target's variants, and that objects do not depend on the cache or on what else is compiled."""

import ast
from collections.abc import Iterator
from importlib.util import resolve_name
from pathlib import Path

import pytest

import edgec
from edgec.compiler.codegen.kernels import SOURCES, NoCode, compile_kernels
from edgec.compiler.ir.expr_text import parse
from edgec.compiler.kernels import map
from edgec.compiler.kernels.convolutions import conv, depthwise
from edgec.compiler.kernels.convolutions.conv import ConvSpec
from edgec.compiler.kernels.convolutions.depthwise import DepthwiseSpec
from edgec.compiler.kernels.map import MapOperand, MapSpec
from edgec.compiler.kernels.spec import Kernel
from edgec.targets.registry import find

ARM64 = find("arm64-neon")
FLOAT = MapOperand("float32")
INT8_CONV = Kernel(conv.__name__, ConvSpec(dtype="int8", tile_rows=8))
FLOAT_CONV = Kernel(conv.__name__, ConvSpec(dtype="float32", tile_rows=8))
NEG = Kernel(map.__name__, MapSpec(parse("neg(%0)"), (FLOAT,), FLOAT))
SIN = Kernel(map.__name__, MapSpec(parse("sin(%0)"), (FLOAT,), FLOAT))


def test_variants_share_what_is_the_same_without_their_features(tmp_path: Path) -> None:
    """Maps gain nothing from dot products of int8; convolutions of floats only by the order of instructions."""
    for _ in range(2):  # compiled, then from the cache
        objects = compile_kernels([INT8_CONV, FLOAT_CONV, NEG], ARM64, tmp_path)
        assert len(objects) == 3 * len(ARM64.variants)
        name = NEG.spec.symbol
        assert {objects[name, v.name].symbol for v in ARM64.variants} == {f"{name}_base"}
        name = FLOAT_CONV.spec.symbol
        assert objects[name, "dotprod_inorder"] is objects[name, "base"]
        assert objects[name, "i8mm"] is objects[name, "dotprod"]
        name = INT8_CONV.spec.symbol
        assert {objects[name, v].symbol for v in ("dotprod", "base")} == {f"{name}_dotprod", f"{name}_base"}
        assert objects[name, "dotprod"].code != objects[name, "base"].code
        assert objects[name, "i8mm"] is objects[name, "dotprod"]


def test_order_of_instructions_is_no_reason_for_code_that_has_none(tmp_path: Path) -> None:
    halves = ARM64.for_halves()
    kernel = Kernel(depthwise.__name__, DepthwiseSpec(dtype="float16", kernel=(3, 3, 1)))
    objects = compile_kernels([kernel], halves, tmp_path)
    name = kernel.spec.symbol
    assert objects[name, "fullfp16_inorder"] is objects[name, "fullfp16"] is not objects[name, "base"]


def test_a_variant_that_takes_no_pairs_of_blocks_has_one_kernel_for_both(tmp_path: Path) -> None:
    specs = [ConvSpec(dtype="int8", tile_rows=40, paired=paired, even=True) for paired in (False, True)]
    objects = compile_kernels([Kernel(conv.__name__, spec) for spec in specs], ARM64, tmp_path)
    assert [len({objects[s.symbol, v.name].symbol for s in specs}) for v in ARM64.variants] == [2, 1, 2, 1]
    assert len({o.symbol for o in objects.values()}) == 6


def test_objects_do_not_depend_on_the_cache(tmp_path: Path) -> None:
    fresh = compile_kernels([INT8_CONV, NEG, SIN], ARM64, tmp_path / "a")
    assert compile_kernels([INT8_CONV, NEG, SIN], ARM64, tmp_path / "a") == fresh
    compile_kernels([SIN], ARM64, tmp_path / "b")
    assert compile_kernels([SIN, NEG, INT8_CONV], ARM64, tmp_path / "b") == fresh


def test_no_code(tmp_path: Path) -> None:
    bad = Kernel(map.__name__, MapSpec(parse("sqrt(%0)"), (MapOperand("int32"),), FLOAT))
    with pytest.raises(NoCode) as caught:
        compile_kernels([NEG, bad, SIN], ARM64, tmp_path)
    assert caught.value.symbol == bad.spec.symbol


def test_the_cache_key_holds_the_sources_of_all_that_templates_import() -> None:
    root = Path(edgec.__file__).parent
    files = [
        path for name in SOURCES for path in ((root / name).rglob("*.py") if (root / name).is_dir() else [root / name])
    ]
    used = {module for path in files for module in _imported(path, root)}
    known = [f"edgec.{name.removesuffix('.py').replace('/', '.')}" for name in SOURCES]
    unknown = {module for module in used if not any(f"{module}.".startswith(f"{name}.") for name in known)}
    assert unknown == {"edgec.errors"}  # of which no code depends


def _imported(path: Path, root: Path) -> Iterator[str]:
    """The modules of edgec that the file imports from."""
    package = ".".join(["edgec", *path.relative_to(root).parent.parts])
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.level:
            module = resolve_name("." * node.level + (node.module or ""), package)
            yield from [module] if node.module else [f"{module}.{alias.name}" for alias in node.names]
