"""Plans for a range of shapes, evaluated in Python for one of them: a static plan, to be run as any other."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from edgec.compiler.bundle.assemble import assemble
from edgec.compiler.bundle.toolchain import cache_dir
from edgec.compiler.bundle.writer import write_bundle
from edgec.compiler.codegen.kernels import compile_kernels
from edgec.compiler.ir.extent import Symbol, value_in
from edgec.compiler.ir.graph import Array
from edgec.compiler.ir.specialize import Specialization
from edgec.compiler.lower.lower import Lowered
from edgec.compiler.lower.plan import Plan, Port
from edgec.runtimes.devices import RunOptions, open_device
from edgec.targets.registry import find

from .running import HOST, DevicePort


def evaluated(plan: Plan, values: Mapping[Symbol, int]) -> Plan:
    """The static plan of runs in which the symbols have `values`."""
    static = Specialization(lambda extent: value_in(extent, values))
    steps, waits = [], False
    for step in plan.steps:
        waits |= step.barrier
        if static.number(step.tiles) == 0:
            continue
        operands = tuple(replace(o, offset=static.number(o.offset)) for o in step.operands)
        params = tuple(map(static.number, step.params))
        steps.append(replace(step, operands=operands, params=params, tiles=static.number(step.tiles), barrier=waits))
        waits = False
    inputs, outputs = ([Port(p.name, static.type(p.type)) for p in ports] for ports in (plan.inputs, plan.outputs))
    return replace(plan, inputs=inputs, outputs=outputs, steps=steps, symbols=[])


def run_at(
    lowered: Lowered, inputs: Mapping[str, Array], values: Mapping[Symbol, int], folder: Path, device: str = HOST
) -> dict[str, Array]:
    """The outputs of a run in which the symbols have `values`."""
    target = find("host" if device == HOST else "arm64-neon")
    plan = evaluated(lowered.plan, values)
    plan.name = "graph"
    path = folder / ("-".join(f"{s.name}{v}" for s, v in values.items()) + ".edge")
    objects = compile_kernels(lowered.kernels.values(), target, cache_dir())
    write_bundle(path, *assemble(replace(lowered, plan=plan), objects, target, "test"))
    ports = [[DevicePort(p.name, p.type.shape, p.type.dtype) for p in side] for side in (plan.inputs, plan.outputs)]
    options = RunOptions(guard=True, timeout=60)
    return open_device(device).run(path, ports[0], ports[1], inputs, None, options).outputs
