"""From a plan and its kernel objects to the files and the manifest of a bundle."""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from ...targets.target import Target
from ..codegen.kernels import KernelObject
from ..ir.types import TensorType
from ..lower.lower import Lowered
from ..lower.plan import Plan, Port
from . import manifest as m
from .program import (
    Variant,
    c_identifier,
    exported_symbols,
    header_source,
    program_source,
    runtime_memory,
    step_kernel,
    weights_file,
)
from .toolchain import NATIVE, Triple, compile_c, link_library, link_runner

SYSTEM_LIBRARIES = {"android", "atomic", "c", "dl", "gcc", "log", "m", "pthread", "rt", "stdc", "util", "z"}
"""lib<name>.so that every system has: a model must not take such a name."""


def bundle_name(path: Path) -> str:
    """The model's name in files and C symbols, from the bundle's path."""
    name = c_identifier(path.name.removesuffix(".edge"))[:64]
    return f"model_{name}" if name in SYSTEM_LIBRARIES else name


@dataclass(frozen=True)
class Code:
    """What is linked with the runtime: C source of the plan's tables, and the kernels' objects."""

    source: str
    kernels: tuple[bytes, ...]


def program_code(lowered: Lowered, objects: Mapping[tuple[str, str], KernelObject], target: Target) -> Code:
    """The code of a plan; `objects` by (kernel, variant)."""
    variants = [
        Variant(v.name, v.features, {k: objects[k, v.name].symbol for k in lowered.kernels}) for v in target.variants
    ]
    return Code(program_source(lowered.plan, variants), tuple(o.code for o in objects.values()))


def assemble(
    lowered: Lowered, objects: Mapping[tuple[str, str], KernelObject], target: Target, version: str
) -> tuple[dict[str, bytes], m.Manifest]:
    """File name -> content, and the manifest (whose `files` the writer fills in)."""
    plan = lowered.plan
    code = program_code(lowered, objects, target)
    weights = weights_file(plan.weights)
    files = {
        **_libraries(code, plan, target),
        m.RUNNER: _runner(code, target),
        m.WEIGHTS: weights,
        f"{plan.name}.h": header_source(plan).encode(),
        m.RUNTIME_HEADER: (NATIVE / "include" / m.RUNTIME_HEADER).read_bytes(),
    }
    manifest = m.Manifest(
        model=plan.name,
        edgec=version,
        tools={"tvm": metadata.version("apache-tvm"), "ziglang": metadata.version("ziglang")},
        target=m.Target(
            target.name, target.triple, target.arch,
            tuple(m.Variant(v.name, tuple(sorted(v.features))) for v in target.variants),
            target.systems,
        ),
        precision="int8" if any(s.kernel.startswith("qs8_") for s in plan.steps) else "float32",
        inputs=tuple(_tensor(p) for p in plan.inputs),
        outputs=tuple(_tensor(p) for p in plan.outputs),
        memory=m.Memory.of(plan.arena_size, len(weights), runtime_memory(plan)),
        code_bytes=len(files[m.library_name(plan.name, "linux")]),
        macs=sum(s.macs for s in plan.steps),
        steps=tuple(m.StepInfo(s.name, step_kernel(s), s.macs) for s in plan.steps),
    )  # fmt: skip
    return files, manifest


def _libraries(code: Code, plan: Plan, target: Target) -> dict[str, bytes]:
    """File name -> shared library, one for each system."""
    objects = [compile_c(code.source, Triple(target.arch)), *code.kernels]
    exports = exported_symbols(plan)
    names = {system: m.library_name(plan.name, system) for system in target.systems}
    return {name: link_library(name, exports, objects, Triple(target.arch, system)) for system, name in names.items()}


def _runner(code: Code, target: Target) -> bytes:
    source = compile_c(code.source, Triple(target.arch), position_independent=False)
    return link_runner([source, *code.kernels], Triple(target.arch))


def _tensor(port: Port) -> m.Tensor:
    return m.Tensor(port.name, port.type.shape, port.type.dtype, _affine(port.type))


def _affine(type_: TensorType) -> m.Affine | None:
    quant = type_.quant
    return None if quant is None or quant.axis is not None else m.Affine(quant.scale[0], quant.zero_point[0])
