"""Which code serves which kernel: members of a family share code where code of their own would gain too little."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import replace

from ...targets.target import Target, Variant
from ..kernels.spec import Kernel, SharedSpec

LITTLE = 0.05
"""The share of a model's multiply-accumulates below which a kernel is computed by a more general one, if that serves
others as well: kernels of this size are a few percent slower then, the model a thousandth."""

SOME = 0.15
"""The share of a model's multiply-accumulates below which kernels are served by the `plain` ones among them."""


def serving(
    kernels: Iterable[Kernel], target: Target, shares: Mapping[str, float]
) -> dict[tuple[str, str], tuple[Kernel, Variant]]:
    """(kernel, variant) -> the kernel whose code serves there, and the variant that it is compiled for. `shares`: of
    all multiply-accumulates, by kernel; one that is not named does all."""
    served, work = {}, defaultdict[tuple[Kernel, str], dict[str, float]](dict)
    wanted = list(kernels)
    special = sum(shares.get(kernel.spec.symbol, 1.0) for kernel in wanted if _plain(kernel) != kernel)
    alike = defaultdict[Kernel, float](float)
    for kernel in wanted:
        alike[_plain(kernel)] += shares.get(kernel.spec.symbol, 1.0)
    for variant in target.variants:
        for kernel in wanted:
            symbol = kernel.spec.symbol
            share = shares.get(symbol, 1.0)
            dtype = kernel.spec.dtype if isinstance(kernel.spec, SharedSpec) else ""
            coder = target.coder(variant, kernel.family.rpartition(".")[2], dtype, alike[_plain(kernel)])
            seen = _seen_by(_plain(kernel) if special < SOME else kernel, coder)
            served[symbol, variant.name] = seen, coder
            work[seen, coder.name][symbol] = share
    little = {key for key, parts in work.items() if sum(parts.values()) < LITTLE}
    groups = defaultdict[tuple[Kernel, str], set[tuple[Kernel, str]]](set)
    for kernel, name in work:
        if (kernel, name) in little or kernel == _general(kernel):
            groups[_general(kernel), name].add((kernel, name))

    def shared(kernel: Kernel, coder: Variant) -> tuple[Kernel, Variant]:
        general = _general(kernel)
        joins = (kernel, coder.name) in little and len(groups[general, coder.name]) > 1
        return (general if joins else kernel), coder

    return {key: shared(*value) for key, value in served.items()}


def _seen_by(kernel: Kernel, variant: Variant) -> Kernel:
    spec = kernel.spec
    return replace(kernel, spec=spec.seen_by(variant.isa())) if isinstance(spec, SharedSpec) else kernel


def _plain(kernel: Kernel) -> Kernel:
    spec = kernel.spec
    return replace(kernel, spec=spec.plain) if isinstance(spec, SharedSpec) else kernel


def _general(kernel: Kernel) -> Kernel:
    spec = kernel.spec
    return replace(kernel, spec=spec.general) if isinstance(spec, SharedSpec) else kernel
