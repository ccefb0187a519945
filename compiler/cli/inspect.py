"""`edgec inspect`: what is in a model or a bundle."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Protocol

import typer
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from ...errors import EdgeError
from . import arguments
from .console import Json, Verbose, add_row, emit, facts, plain, size, table

if TYPE_CHECKING:
    from ..bundle.manifest import Manifest
    from ..summary import Summary


def inspect_command(
    path: Annotated[Path, typer.Argument(help="An ONNX model, or a bundle.", show_default=False)],
    shape: Annotated[
        list[str] | None,
        typer.Option(help="Fix an input's shape, as NAME=1,3,480,640. May be repeated.", show_default=False),
    ] = None,
    const: Annotated[
        list[str] | None,
        typer.Option(help="Fix an input's value, as NAME=1,2,3 or NAME=FILE.npy. May be repeated.", show_default=False),
    ] = None,
    json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Show a model's ops, shapes, work and memory, and what edgec cannot compile in it; or what a bundle holds.

    [bold]Examples[/bold]

    edgec inspect model.onnx --shape x=1,3,480,640

    edgec inspect model.edge
    """
    shapes, constants = arguments.shapes(shape or ()), arguments.constants(const or ())
    if path.is_dir():
        from ..bundle.reader import open_bundle

        if shapes or constants:
            raise EdgeError(f"--shape and --const are for models, but {path} is a folder: leave them out")
        manifest = open_bundle(path).manifest
        emit(asdict(manifest), lambda: _render_bundle(manifest))
        return
    from ..summary import summarize

    summary = summarize(path, shapes, constants)
    emit(asdict(summary), lambda: _render_model(summary))
    if summary.problems:
        raise typer.Exit(2)


class _Port(Protocol):
    @property
    def name(self) -> str: ...

    @property
    def dtype(self) -> str: ...


def _ports(rows: Iterable[tuple[str, _Port, Iterable[object]]]) -> Table:
    """A table of tensors: what each is to the model, and its extents."""
    made = table("", "name", "type", "shape")
    for kind, port, extents in rows:
        add_row(made, kind, port.name, port.dtype, " x ".join(map(str, extents)) or "scalar")
    return made


def _render_model(summary: "Summary") -> RenderableType:
    ports = [("input", port, port.shape) for port in summary.inputs]
    ports += [("output", port, port.shape) for port in summary.outputs]
    listed = ", ".join(f"{count} {op}" for op, count in summary.onnx_ops.items())
    nodes = Text(plain(f"{sum(summary.onnx_ops.values())} ONNX nodes: {listed}"))
    optimized = Text(f"{sum(summary.onnx_ops.values())} nodes -> {summary.optimized_nodes} after optimization")
    if summary.problems:
        listed_problems = table("op", "node", "why it cannot be compiled")
        for problem in summary.problems:
            add_row(listed_problems, problem.op or "-", problem.node or "-", problem.reason)
        return Group(nodes, "", listed_problems)
    ops = table("edgec op", "nodes", "M MACs", "parameters")
    for row in summary.ops:
        add_row(ops, row.op, str(row.nodes), f"{row.macs / 1e6:.1f}", f"{row.parameters:,}")
    totals = facts(
        ("work", f"{summary.macs / 1e6:.1f} M multiply-accumulates"),
        ("parameters", f"{summary.parameters:,} ({size(summary.parameter_bytes)} as stored in the model)"),
        ("activations", f"at most {size(summary.activation_bytes)} alive at once, before fusion and quantization"),
    )
    verdict = Text("everything in it is supported", style="green")
    return Group(nodes, optimized, "", _ports(ports), "", ops, "", totals, verdict)


def _render_bundle(manifest: "Manifest") -> RenderableType:
    ports = [("input", port, port.extents) for port in manifest.inputs]
    ports += [("output", port, port.extents) for port in manifest.outputs]
    ports += [("state", state.tensor, state.tensor.extents) for state in manifest.states]
    memory, target = manifest.memory, manifest.target
    kernels = Counter(step.kernel for step in manifest.steps)
    work = Counter[str]()
    for step in manifest.steps:
        work[step.kernel] += step.macs
    rows = table("kernel", "steps", "M MACs")
    for kernel, count in sorted(kernels.items(), key=lambda item: -work[item[0]]):
        add_row(rows, kernel, str(count), f"{work[kernel] / 1e6:.2f}")
    totals = facts(
        ("model", f"{manifest.model}, {manifest.precision}"),
        ("target", f"{target.name} ({target.triple}; {', '.join(v.name for v in target.variants)})"),
        ("code", size(manifest.code_bytes)),
        ("weights", size(memory.weights)),
        ("peak memory", f"{size(memory.peak)}: activations {size(memory.arena)}, weights, {size(memory.runtime)} more"),
        ("work", f"{manifest.macs / 1e6:.1f} M multiply-accumulates in {len(manifest.steps)} steps"),
        ("made by", ", ".join([f"edgec {manifest.edgec}", *(f"{t} {v}" for t, v in sorted(manifest.tools.items()))])),
    )
    return Group(totals, "", _ports(ports), "", rows)
