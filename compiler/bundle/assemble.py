"""From a plan and its kernel objects to the files and the manifest of a bundle."""

from collections.abc import Mapping
from importlib import metadata
from pathlib import Path

from ...targets.target import Target
from ..codegen.kernels import KernelObject
from ..ir.types import TensorType
from ..lower.lower import Lowered
from ..lower.plan import Port
from . import manifest as m
from .program import Variant, c_identifier, exported_symbols, header_source, program_source, weights_file
from .toolchain import NATIVE, Triple, compile_c, link_library, link_runner, toolchain_version


def bundle_name(path: Path) -> str:
    """The model's name in files and C symbols, from the bundle's path."""
    return c_identifier(path.name.removesuffix(".edge"))[:64]


def assemble(
    lowered: Lowered, objects: Mapping[tuple[str, str], KernelObject], target: Target, version: str
) -> tuple[dict[str, bytes], m.Manifest]:
    """File name -> content, and the manifest (whose `files` the writer fills in)."""
    plan = lowered.plan
    triple = Triple(target.arch, target.os)
    variants = [
        Variant(v.name, v.features, {k: objects[k, v.name].symbol for k in lowered.kernels}) for v in target.variants
    ]
    source = program_source(plan, variants)
    kernels = [o.code for o in objects.values()]
    library = link_library(
        bundle_name(Path(plan.name)), exported_symbols(plan), [compile_c(source, triple), *kernels], triple
    )
    files = {
        f"lib{plan.name}.so": library,
        m.RUNNER: link_runner([compile_c(source, Triple(target.arch), position_independent=False), *kernels], triple),
        m.WEIGHTS: weights_file(plan.weights),
        f"{plan.name}.h": header_source(plan).encode(),
        m.RUNTIME_HEADER: (NATIVE / "include" / m.RUNTIME_HEADER).read_bytes(),
    }
    manifest = m.Manifest(
        model=plan.name,
        edgec=version,
        tools={"tvm": metadata.version("apache-tvm"), "ziglang": toolchain_version()},
        target=m.Target(
            target.name, target.triple, target.arch,
            tuple(m.Variant(v.name, tuple(sorted(v.features))) for v in target.variants),
        ),
        precision="int8" if any(s.kernel.startswith("qs8_") for s in plan.steps) else "float32",
        inputs=tuple(_tensor(p) for p in plan.inputs),
        outputs=tuple(_tensor(p) for p in plan.outputs),
        memory=m.Memory.of(plan.arena_size, len(plan.weights), 0),
        code_bytes=len(library),
        macs=sum(s.macs for s in plan.steps),
        steps=tuple(m.StepInfo(s.name, s.kernel, s.macs) for s in plan.steps),
    )  # fmt: skip
    return files, manifest


def _tensor(port: Port) -> m.Tensor:
    return m.Tensor(port.name, port.type.shape, port.type.dtype, _affine(port.type))


def _affine(type_: TensorType) -> m.Affine | None:
    quant = type_.quant
    return None if quant is None or quant.axis is not None else m.Affine(quant.scale[0], quant.zero_point[0])
