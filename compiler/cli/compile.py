"""`edgec compile`: a model to a bundle."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from rich.console import RenderableType

from . import arguments
from .console import Json, Verbose, emit, facts, progress, size

if TYPE_CHECKING:
    from ..bundle.manifest import Manifest
    from ..quantize import RowProducts


def compile_command(
    model: Annotated[Path, typer.Argument(help="The ONNX model.", show_default=False)],
    target: Annotated[str, typer.Option("--target", "-t", help="What to compile for; 'edgec targets' lists them.")] = (
        "arm64-neon"
    ),
    int8: Annotated[bool, typer.Option("--int8", help="Quantize a float model to 8 bits; needs --calibrate.")] = False,
    fp16: Annotated[
        bool, typer.Option("--fp16", help="Compute a float model in 16 bits: half the weights and activations.")
    ] = False,
    calibrate: Annotated[
        Path | None,
        typer.Option(help="Folder of typical inputs: .npy, .npz or images. Used with --int8.", show_default=False),
    ] = None,
    calibration: Annotated[
        Literal["minmax", "percentile"],
        typer.Option(
            help="What 8 bits span: percentile, all values seen but 0.01 % at either end; minmax, all of them."
        ),
    ] = "percentile",
    shape: Annotated[
        list[str] | None,
        typer.Option(
            help="Fix an input's shape, as NAME=1,3,480,640, or give ranges, as NAME=1..8,3,48,W:32..640/32. May be "
            "repeated.",
            show_default=False,
        ),
    ] = None,
    const: Annotated[
        list[str] | None,
        typer.Option(help="Fix an input's value, as NAME=1,2,3 or NAME=FILE.npy. May be repeated.", show_default=False),
    ] = None,
    state: Annotated[
        list[str] | None,
        typer.Option(help="Keep an input in the session, as INPUT=OUTPUT. May be repeated.", show_default=False),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Where to write the bundle. Default: MODEL.edge.")
    ] = None,
    dump_ir: Annotated[
        Path | None, typer.Option(help="Write the graph after every pass to this folder.", show_default=False)
    ] = None,
    verify: Annotated[bool, typer.Option("--verify", help="Check the graph after every pass.")] = False,
    json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Compile an ONNX model to a bundle.

    [bold]Examples[/bold]

    edgec compile model.onnx --target arm64-neon --int8 --calibrate samples/ -o model.edge

    edgec compile model.onnx --target arm64-neon --fp16

    edgec compile model.qdq.onnx --target host

    edgec compile detector.onnx --shape x=1,3,480,640

    edgec compile vad.onnx --shape input=1,576 --const sr=16000 --state state=stateN

    edgec compile recogniser.onnx --shape x=1..8,3,48,W:32..640/32
    """
    shapes, constants = arguments.shapes(shape or ()), arguments.constants(const or ())
    states = arguments.states(state or ())
    from ..bundle.writer import default_place
    from ..driver import compile_model

    quantized: list[RowProducts] = []
    path = output or default_place(model)
    with progress() as report:
        manifest = compile_model(
            model,
            target=target,
            int8=int8,
            fp16=fp16,
            calibrate=calibrate,
            calibration=calibration,
            shapes=shapes,
            constants=constants,
            states=states,
            output=path,
            verify=verify,
            dump_ir=dump_ir,
            progress=report,
            chosen=quantized.append,
        )
    products = quantized[0] if quantized else None
    emit(_data(path, manifest, products), lambda: _render(path, manifest, products))


def _data(path: Path, manifest: "Manifest", products: "RowProducts | None") -> Mapping[str, Any]:
    return {
        "bundle": str(path),
        "target": manifest.target.name,
        "precision": manifest.precision,
        "code_bytes": manifest.code_bytes,
        "weights_bytes": manifest.memory.weights,
        "peak_memory_bytes": manifest.memory.peak,
        "macs": manifest.macs,
        "steps": len(manifest.steps),
        "row_products": {} if products is None else products.decibels,
    }


def _render(path: Path, manifest: "Manifest", products: "RowProducts | None") -> RenderableType:
    memory, target = manifest.memory, manifest.target
    return facts(
        ("wrote", str(path)),
        ("target", f"{target.name} ({', '.join(v.name for v in target.variants)}), {manifest.precision}"),
        ("code", size(manifest.code_bytes)),
        ("weights", size(memory.weights)),
        ("peak memory", f"{size(memory.peak)}, of which activations {size(memory.arena)}"),
        ("work", f"{manifest.macs / 1e6:.1f} M multiply-accumulates in {len(manifest.steps)} steps"),
        *([("int8", products.reason)] if products is not None and products.rows else []),
    )
