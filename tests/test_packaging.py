"""The lists in pyproject.toml agree with the tree."""

import tomllib
from pathlib import Path

import edgec

ROOT = Path(edgec.__file__).parent
TOP_LEVEL = ("benchmarks", "compiler", "counting", "passes", "runtimes", "targets")


def test_every_package_in_the_tree_is_installed() -> None:
    found = {
        ".".join(("edgec", *path.parent.relative_to(ROOT).parts))
        for top in TOP_LEVEL
        for path in (ROOT / top).rglob("*.py")
    }
    config = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert set(config["tool"]["setuptools"]["packages"]) == found | {"edgec"}


def test_every_package_has_an_init() -> None:
    without = {str(p.parent) for top in TOP_LEVEL for p in (ROOT / top).rglob("*.py")}
    assert [d for d in sorted(without) if not (Path(d) / "__init__.py").is_file()] == []
