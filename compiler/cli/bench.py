"""`edgec bench`: what an inference of a bundle costs, measured here or counted under emulation."""

from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Group, RenderableType

from ...errors import EdgeError
from . import counted
from .console import Json, Verbose, add_row, emit, facts, progress, size, table

if TYPE_CHECKING:
    from ...runtimes.devices import RunReport
    from ...runtimes.python import StepProfile
    from ..bundle.reader import Bundle

WARM_UP_RUNS = 3
STARTS = 5


def bench_command(
    bundle: Annotated[Path, typer.Argument(help="The bundle, as 'edgec compile' wrote it.", show_default=False)],
    device: Annotated[
        str | None,
        typer.Option(
            help="local, or a core to count for: qemu:cortex-a53, qemu:cortex-a55, qemu:cortex-a76, qemu:cortex-a710. "
            "Default: what can run it here."
        ),
    ] = None,
    count: Annotated[
        bool,
        typer.Option(
            "--count",
            help="Count instructions under emulation, as every qemu device does; by itself, for a Cortex-A76.",
        ),
    ] = False,
    threads: Annotated[int, typer.Option(min=0, max=64, help="Threads that compute; 0: one per CPU.")] = 1,
    repeat: Annotated[int, typer.Option(min=1, max=1_000_000, help="Inferences to time, after some to warm up.")] = 20,
    profile: Annotated[bool, typer.Option("--profile", help="Show each step.")] = False,
    json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Show what one inference costs: time where it is measured, instructions and cycles where it is emulated.

    Every figure says what it is: measured (on this machine), counted (under emulation; the same in every run), or
    modelled (cycles of a core, from what was counted).

    [bold]Examples[/bold]

    edgec bench model.edge --threads 2 --repeat 100 --profile

    edgec bench model.edge --device qemu:cortex-a76 --count --profile
    """
    from ..bundle.load import default_device
    from ..bundle.reader import open_bundle

    opened = open_bundle(bundle)
    place = device or ("qemu:cortex-a76" if count else default_device(opened))
    if count or place.startswith("qemu"):
        if threads != 1:
            raise EdgeError(f"instructions are counted for one thread, not for {threads or 'one per CPU'}")
        _bench_counted(opened, place, profile)
    else:
        _bench_measured(opened, place, threads, repeat, profile)


def _bench_measured(bundle: "Bundle", device: str, threads: int, repeat: int, profile: bool) -> None:
    """The profile is of a run of its own: reading the clock around each step takes time. A start is
    cold once in a process: it is the median of several."""
    from ...runtimes.devices import RunOptions, open_device

    place, manifest = open_device(device), bundle.manifest
    done = []
    with progress() as report:
        report(f"starting on {device}", 0, 0)
        options = RunOptions(threads=threads)
        starts = [place.run(bundle.path, manifest.inputs, manifest.outputs, {}, options=options) for _ in range(STARTS)]
        cold = int(median(start.latency.cold for start in starts))
        for profiled in (False, True)[: 1 + profile]:
            report(f"running on {device}", 0, 0)
            options = RunOptions(threads=threads, repeat=repeat, warmup=WARM_UP_RUNS, profile=profiled)
            done.append(place.run(bundle.path, manifest.inputs, manifest.outputs, {}, options=options))
    latency, steps = done[0].latency, done[-1].profile
    data = {
        "device": device,
        "variant": done[0].variant,
        "threads": done[0].threads,
        "kinds": {"latency_ns": latency.kind, "ns": latency.kind},
        "latency_ns": {
            "cold": cold,
            "min": latency.min,
            "median": latency.median,
            "p90": latency.p90,
            "max": latency.max,
        },
        "memory_bytes": done[0].memory,
        "steps": [{"name": s.name, "kernel": s.kernel, "macs": s.macs, "ns": s.ns // max(1, s.runs)} for s in steps],
    }
    emit(data, lambda: _render_measured(device, done[0], cold, steps, manifest.macs))


def _render_measured(
    device: str, done: "RunReport", cold: int, steps: "Sequence[StepProfile]", macs: int
) -> RenderableType:
    latency = done.latency
    summary = facts(
        ("device", f"{device}, variant {done.variant}, {done.threads} thread(s)"),
        (
            f"latency ({latency.kind})",
            f"median {latency.median / 1e6:.3f} ms, min {latency.min / 1e6:.3f}, p90 {latency.p90 / 1e6:.3f}",
        ),
        (
            "cold start",
            f"{cold / 1e6:.3f} ms to open the model and run once, {cold / latency.median:.2f} of the median",
        ),
        ("MACs", f"{macs / 1e6:.1f} M, {macs / max(1, latency.median):.1f} a nanosecond"),
        ("memory", size(sum(done.memory.values()))),
    )
    if not steps:
        return summary
    rows = table("step", "kernel", f"us ({latency.kind})", "share", "M MACs", "MACs/ns")
    total = sum(s.ns for s in steps)
    for s in steps:
        ns = s.ns / max(1, s.runs)
        share = f"{100 * s.ns / max(1, total):.1f} %"
        add_row(rows, s.name, s.kernel, f"{ns / 1e3:.1f}", share, f"{s.macs / 1e6:.2f}", f"{s.macs / max(1, ns):.1f}")
    return Group(summary, "", rows)


def _bench_counted(bundle: "Bundle", device: str, profile: bool) -> None:
    from ...counting.cores import core_of
    from ...counting.report import report

    core = core_of(device)
    with progress() as tell:
        tell(f"counting for {device}", 0, 0)
        done = report(bundle, core)
    emit(counted.data(done, device, profile), lambda: counted.render(done, device, profile))
