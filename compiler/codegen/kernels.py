"""Kernel objects: one for each kernel and code variant, compiled when no earlier compile left it in the cache.

The cache key holds everything that the object depends on: the kernel's spec, the sources of the templates, of the
vector ISAs and of what they import, the LLVM target, and TVM's version.
"""

import hashlib
import importlib
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from importlib import metadata
from pathlib import Path

from ...targets.target import Target, Variant
from .. import cache
from ..kernels.spec import Kernel
from .serving import serving

SOURCES = (
    "targets", "compiler/cache.py", "compiler/codegen", "compiler/kernels", "compiler/ir",
    "compiler/ops/float_sums.py", "compiler/ops/row_codes.py", "compiler/lower/plan.py",
)  # fmt: skip
"""Files and folders of the package that decide what code a kernel's spec becomes."""

_PACKAGE = Path(__file__).parents[2]

Progress = Callable[[int, int], None]
"""Told how many objects there are, and of how many."""


@dataclass(frozen=True)
class KernelObject:
    """An ELF object that defines `symbol`."""

    symbol: str
    code: bytes


class NoCode(ValueError):
    """A template has no code for what the kernel called `symbol` is to do."""

    def __init__(self, symbol: str, reason: str) -> None:
        super().__init__(reason)
        self.symbol = symbol


def compile_kernels(
    kernels: Iterable[Kernel],
    target: Target,
    cache_folder: Path,
    progress: Progress = lambda done, total: None,
    shares: Mapping[str, float] | None = None,
) -> dict[tuple[str, str], KernelObject]:
    """(kernel, variant) -> object, for all variants of `target`. NoCode where a template has none. `shares`: of all
    multiply-accumulates, by kernel; those that do little share code (`serving`)."""
    variants = target.variants
    served = serving(kernels, target, shares or {})
    jobs = {(k.spec.symbol, v.name): (name, k, v) for (name, _), (k, v) in served.items()}

    def compiled(job: tuple[str, Kernel, Variant]) -> KernelObject:
        name, kernel, variant = job
        family = kernel.family.rpartition(".")[2]
        plainer = [v for v in reversed(variants) if v.features < variant.features and v.covers(family)]
        try:
            return _compile_kernel(kernel, variant, plainer, cache_folder)
        except ValueError as error:
            raise NoCode(name, str(error)) from None

    objects: dict[tuple[str, str], KernelObject] = {}
    shared: dict[str, KernelObject] = {}
    with ThreadPoolExecutor(os.cpu_count()) as pool:  # LLVM runs without Python's lock
        for key, found in zip(jobs, pool.map(compiled, jobs.values()), strict=True):
            progress(len(objects), len(jobs))
            objects[key] = shared.setdefault(found.symbol, found)
    progress(len(jobs), len(jobs))
    return {key: objects[kernel.spec.symbol, variant.name] for key, (kernel, variant) in served.items()}


def _compile_kernel(kernel: Kernel, variant: Variant, plainer: Sequence[Variant], cache_folder: Path) -> KernelObject:
    """The object of `kernel` for `variant`: that of the first of the variants `plainer` for which the template makes
    the same, if there is one. In the cache its name then is what the file holds."""
    symbol = f"{kernel.spec.symbol}_{variant.name}"
    path = cache_folder / "kernels" / f"{_key(kernel, variant)}.o"
    code = cache.read(path)
    if code is None:
        code = _object_code(kernel, symbol, variant, plainer)
        cache.write(path, code)
    for other in plainer:
        if code == other.name.encode():
            return _compile_kernel(kernel, other, (), cache_folder)
    return KernelObject(symbol, code)


def _object_code(kernel: Kernel, symbol: str, variant: Variant, plainer: Sequence[Variant]) -> bytes:
    from .llvm import equal, object_code

    template = importlib.import_module(kernel.family)
    function = template.build(kernel.spec, variant.isa())
    for other in plainer:
        if equal(function, template.build(kernel.spec, other.isa())):
            return other.name.encode()
    return object_code({symbol: function}, variant.llvm)


def _key(kernel: Kernel, variant: Variant) -> str:
    parts = (kernel.family, repr(kernel.spec), variant.name, repr(sorted(variant.llvm.items())), _sources_digest())
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


@lru_cache
def _sources_digest() -> str:
    digest = hashlib.sha256(metadata.version("apache-tvm").encode())
    for source in (_PACKAGE / name for name in SOURCES):
        for path in sorted(source.rglob("*.py")) if source.is_dir() else [source]:
            digest.update(str(path.relative_to(_PACKAGE)).encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()
