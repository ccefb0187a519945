"""`edgec run`: inferences of a bundle, here or on another device."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Group, RenderableType
from rich.text import Text

from . import arguments
from .console import Json, Verbose, add_row, emit, note, progress, size, table

if TYPE_CHECKING:
    from ...runtimes.devices import RunReport


def run_command(
    bundle: Annotated[Path, typer.Argument(help="The bundle, as 'edgec compile' wrote it.", show_default=False)],
    input_files: Annotated[
        list[str] | None,
        typer.Option(
            "--input",
            "-i",
            help="An input as NAME=FILE.npy. Those not given get fixed random values.",
            show_default=False,
        ),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Folder to write NAME.npy to.", show_default=False)
    ] = None,
    device: Annotated[
        str | None,
        typer.Option(
            help="local, qemu or qemu:CPU (cortex-a53, cortex-a76, max; rv64,v=true). Default: what can run it here."
        ),
    ] = None,
    threads: Annotated[int, typer.Option(min=0, max=64, help="Threads that compute; 0: one per CPU.")] = 1,
    repeat: Annotated[int, typer.Option(min=1, max=1_000_000, help="Inferences to time.")] = 1,
    profile: Annotated[bool, typer.Option("--profile", help="Show the time of each step.")] = False,
    json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Run a bundle and show its outputs and latency.

    [bold]Examples[/bold]

    edgec run model.edge --input x=x.npy -o out/

    edgec run model.edge --device qemu:cortex-a53 --threads 2

    edgec run model.edge --repeat 100 --profile
    """
    files = arguments.files(input_files or ())
    from ...runtimes.devices import RunOptions, open_device
    from ..bundle.load import default_device
    from ..bundle.reader import open_bundle

    opened = open_bundle(bundle)
    manifest = opened.manifest
    place = open_device(device or default_device(opened))
    note(f"running on {place.name}")
    arrays = {name: arguments.array(path) for name, path in files.items()}
    options = RunOptions(threads=threads, repeat=repeat, warmup=1 if repeat > 1 else 0, profile=profile)
    with progress() as report:
        report(f"running on {place.name}", 0, 0)
        done = place.run(opened.path, manifest.inputs, manifest.outputs, arrays, output, options)
    emit(_data(done, place.name), lambda: _render(done, place.name))


def _data(done: "RunReport", device: str) -> Mapping[str, Any]:
    outputs = {
        name: {"shape": list(y.shape), "dtype": str(y.dtype), "sha256": _digest(y)} for name, y in done.outputs.items()
    }
    return {
        "device": device,
        "variant": done.variant,
        "threads": done.threads,
        "latency_ns": {"min": done.latency.min, "median": done.latency.median, "max": done.latency.max},
        "latency_kind": done.latency.kind,
        "memory_bytes": done.memory,
        "outputs": outputs,
        "profile": [
            {"name": s.name, "kernel": s.kernel, "ns": s.ns // max(1, s.runs), "macs": s.macs} for s in done.profile
        ],
    }


def _digest(array: Any) -> str:
    import hashlib

    return hashlib.sha256(array.tobytes()).hexdigest()


def _render(done: "RunReport", device: str) -> RenderableType:
    latency = done.latency
    outputs = table("output", "type", "min", "max", "mean")
    for name, y in done.outputs.items():
        figures = (f"{f:.6g}" for f in (y.min(), y.max(), y.mean())) if y.size else ("", "", "")
        add_row(outputs, name, f"{y.dtype} {'x'.join(map(str, y.shape)) or 'scalar'}", *figures)
    line = (
        f"{device}, variant {done.variant}, {done.threads} thread(s): median {latency.median / 1e6:.3f} ms "
        f"({latency.kind}; {latency.min / 1e6:.3f} to {latency.max / 1e6:.3f}), "
        f"memory {size(sum(done.memory.values()))}"
    )
    parts: list[RenderableType] = [outputs, "", Text(line)]
    if done.profile:
        steps = table("step", "kernel", f"us ({latency.kind})", "M MACs")
        for step in done.profile:
            us = step.ns / max(1, step.runs) / 1e3
            add_row(steps, step.name, step.kernel, f"{us:.1f}", f"{step.macs / 1e6:.2f}")
        parts += ["", steps]
    return Group(*parts)
