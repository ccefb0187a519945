"""From a plan and its kernel objects to the files and the manifest of a bundle."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from ...targets.target import Target
from ..codegen.kernels import KernelObject
from ..ir.extent import Symbol, bounds_of, term_of
from ..ir.types import TensorType
from ..lower.lower import Lowered
from ..lower.plan import Plan, Port
from . import manifest as m
from .c_text import c_identifier
from .extents import Dim, Extents, term_text
from .header import header_source
from .program import exported_symbols, program_source, runtime_memory, weights_file
from .toolchain import NATIVE, Triple, compile_c, link_library, link_runner
from .variants import Variant

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
    code = {o.symbol: o.code for o in objects.values()}
    return Code(program_source(lowered.plan, variants), tuple(code.values()))


def assemble(
    lowered: Lowered, objects: Mapping[tuple[str, str], KernelObject], target: Target, version: str
) -> tuple[dict[str, bytes], m.Manifest]:
    """File name -> content, and the manifest (whose `files` the writer fills in)."""
    plan = lowered.plan
    code = program_code(lowered, objects, target)
    weights, extents = weights_file(plan.weights), Extents(plan)
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
        precision=_precision(plan),
        inputs=_tensors(plan.inputs, extents.inputs),
        outputs=_tensors(plan.outputs, extents.outputs),
        states=tuple(m.State(_tensor(Port(s.input, s.type)), s.output) for s in plan.states),
        memory=m.Memory.of(plan.arena_size, len(weights), runtime_memory(plan)),
        code_bytes=len(files[m.library_name(plan.name, "linux")]),
        macs=sum(int(s.macs) for s in plan.steps),
        steps=tuple(m.StepInfo(s.name, s.action, int(s.macs)) for s in plan.steps),
    )  # fmt: skip
    return files, manifest


def _precision(plan: Plan) -> str:
    """What the model is computed in, by the names of its kernels."""
    for prefix, precision in (("qs8_", "int8"), ("f16_", "float16")):
        if any(step.kernel.startswith(prefix) for step in plan.steps):
            return precision
    return "float32"


def _libraries(code: Code, plan: Plan, target: Target) -> dict[str, bytes]:
    """File name -> shared library, one for each system."""
    objects = [compile_c(code.source, Triple(target.arch)), *code.kernels]
    exports = exported_symbols(plan)
    names = {system: m.library_name(plan.name, system) for system in target.systems}
    return {name: link_library(name, exports, objects, Triple(target.arch, system)) for system, name in names.items()}


def _runner(code: Code, target: Target) -> bytes:
    source = compile_c(code.source, Triple(target.arch), position_independent=False)
    return link_runner([source, *code.kernels], Triple(target.arch))


def _tensors(ports: Sequence[Port], dims: Sequence[Dim]) -> tuple[m.Tensor, ...]:
    ranges: dict[int, list[m.Range]] = {}
    for dim in dims:
        extent = ports[dim.port].type.shape[dim.axis]
        term = term_of(extent)
        low, step = (term.low, term.step) if isinstance(term, Symbol) else (bounds_of(extent)[0], 1)
        name = "".join(c for c in term_text(term) if c.isprintable())
        ranges.setdefault(dim.port, []).append(m.Range(dim.axis, name, low, int(extent), step))
    return tuple(_tensor(port, tuple(ranges.get(index, ()))) for index, port in enumerate(ports))


def _tensor(port: Port, ranges: tuple[m.Range, ...] = ()) -> m.Tensor:
    shape = tuple(int(extent) for extent in port.type.shape)
    return m.Tensor(port.name, shape, port.type.dtype, _affine(port.type), ranges)


def _affine(type_: TensorType) -> m.Affine | None:
    quant = type_.quant
    return None if quant is None or quant.axis is not None else m.Affine(quant.scale[0], quant.zero_point[0])
