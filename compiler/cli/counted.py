"""What `edgec bench` shows of counted instructions and modelled cycles."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from rich.console import Group, RenderableType

from .console import add_row, facts, size, table

if TYPE_CHECKING:
    from ...counting.report import Figures, Report

KINDS = {"instructions": "counted", **dict.fromkeys(("cycles", "misses", "busy", "bound"), "modelled")}
COLUMNS = (
    *("k instr. (counted)", "k cycles (modelled)", "of all", "M MACs", "per instr.", "per cycle", "of peak"),
    *("MACs busy", "other busy", "ports busy", "misses", "bound by"),
)
"""Of all: share of the inference's cycles. Busy: shares of the row's cycles for which the vector units are taken at the
least by multiply-accumulates and by other instructions, and the memory ports. Misses: what misses of caches cost."""


def data(report: "Report", device: str, profile: bool) -> dict[str, Any]:
    """As JSON."""
    return {
        "device": device,
        "core": report.core,
        "variant": report.variant,
        "precision": report.precision,
        "peak_macs_per_cycle": report.peak,
        "llvm": report.llvm,
        "kinds": KINDS,
        "memory_bytes": report.memory,
        **_figures(report.total),
        "outside_steps": _figures(report.outside),
        "steps": [{"name": s.name, "kernel": s.kernel, **_figures(s.figures)} for s in report.steps if profile],
    }


def _figures(figures: "Figures") -> dict[str, Any]:
    return {
        "macs": figures.macs,
        "instructions": figures.instructions,
        "cycles": round(figures.cycles),
        "misses": round(figures.misses),
        "busy": {name: round(cycles) for name, cycles in asdict(figures.demand).items()},
        "bound": figures.bound,
    }


def render(report: "Report", device: str, profile: bool) -> RenderableType:
    """As text."""
    total = report.total
    summary = facts(
        ("device", f"{device}, variant {report.variant}, 1 thread"),
        (
            "instructions (counted)",
            f"{total.instructions / 1e6:.3f} M, {_ratio(total.macs, total.instructions)} MACs each",
        ),
        (
            "cycles (modelled)",
            f"{total.cycles / 1e6:.3f} M on {report.core}, {total.misses / 1e6:.3f} M of them for misses of caches",
        ),
        ("MACs", f"{total.macs / 1e6:.1f} M, {_of_peak(report, total)} of the peak of {report.peak} a cycle"),
        ("memory", size(sum(report.memory.values()))),
    )
    if not profile:
        return summary
    made = table("step", "kernel", *COLUMNS)
    for step in report.steps:
        add_row(made, step.name, step.kernel, *_cells(report, step.figures))
    add_row(made, "before the first step", "", *_cells(report, report.outside))
    return Group(summary, "", made)


def _cells(report: "Report", figures: "Figures") -> tuple[str, ...]:
    demand = figures.demand
    return (
        f"{figures.instructions / 1e3:,.1f}",
        f"{figures.cycles / 1e3:,.1f}",
        f"{100 * figures.cycles / max(1.0, report.total.cycles):.1f} %",
        f"{figures.macs / 1e6:.2f}",
        _ratio(figures.macs, figures.instructions),
        _ratio(figures.macs, figures.cycles),
        _of_peak(report, figures),
        *(_percent(part, figures.cycles) for part in (demand.mac, demand.vector, demand.memory)),
        _percent(figures.misses, figures.cycles),
        figures.bound,
    )


def _of_peak(report: "Report", figures: "Figures") -> str:
    return _percent(figures.macs, figures.cycles * report.peak)


def _percent(part: float, whole: float) -> str:
    return f"{100 * part / max(1.0, whole):.0f} %"


def _ratio(part: float, whole: float) -> str:
    return f"{part / max(1.0, whole):.2f}"
