"""Code variants of a bundle: the same kernels compiled for levels of CPU features."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

FEATURES = {
    "dotprod": "EDGE_CPU_DOTPROD",
    "i8mm": "EDGE_CPU_I8MM",
    "fullfp16": "EDGE_CPU_FULLFP16",
    "bf16": "EDGE_CPU_BF16",
    "sve": "EDGE_CPU_SVE",
    "inorder": "EDGE_CPU_INORDER",
    "rvv": "EDGE_CPU_RVV",
    "avx2": "EDGE_CPU_AVX2",
    "fma": "EDGE_CPU_FMA",
    "f16c": "EDGE_CPU_F16C",
    "avx512": "EDGE_CPU_AVX512",
    "avx512vnni": "EDGE_CPU_AVX512VNNI",
    "avx512vbmi": "EDGE_CPU_AVX512VBMI",
}
"""CPU features that the runtime can ask for, and their names in `program.h`."""


@dataclass(frozen=True)
class Variant:
    """All kernels of a plan compiled for one set of CPU features: `symbols` maps kernel names to C symbols."""

    name: str
    features: frozenset[str]
    symbols: Mapping[str, str]


def check_variants(variants: Sequence[Variant], kernels: Iterable[str]) -> None:
    """ValueError where the runtime could not choose between the variants, or a kernel's symbol is not one."""
    if not variants:
        raise ValueError("a program needs at least one variant")
    for variant in variants:
        if unknown := variant.features - FEATURES.keys():
            raise ValueError(f"variant {variant.name!r} needs {sorted(unknown)}, which the runtime cannot detect")
        for kernel in kernels:
            if not re.fullmatch(r"[A-Za-z_]\w*", variant.symbols[kernel], re.ASCII):
                raise ValueError(f"{variant.symbols[kernel]!r} (kernel {kernel!r}) is not a C symbol")
