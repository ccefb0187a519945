"""compile_model: the whole way from an ONNX file to a bundle, on one screen."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from .. import __version__
from ..errors import EdgeError
from ..passes.pipeline import FLOAT, LATE, Dump, dump_to, run_pipeline
from ..targets.registry import find
from ..targets.target import Target
from .bundle import assemble
from .bundle.manifest import Manifest
from .bundle.writer import check_place, default_place, write_bundle
from .cache import cache_dir
from .codegen.kernels import KernelObject, NoCode, compile_kernels
from .collector import rare_collections
from .importer import Constant, bind_constants, import_onnx, load_model
from .importer.model import Model
from .ir.graph import Graph
from .ir.probe import is_ranged, probing, require_same
from .ir.specialize import Specialization, now, revalued
from .ir.verify import verify as check
from .lower.channels.arrange import arrange_channels
from .lower.lower import Lowered, lower
from .quantize import Method, RowProducts, open_samples, post_training_quantization, use_halves

Progress = Callable[[str, int, int], None]
"""Told the stage, how much of it is done, and of how much."""

Chosen = Callable[[RowProducts], None]
"""Told which products of a model that is quantized keep float32 data, and why."""


@rare_collections()
def compile_model(
    model: str | Path,
    *,
    target: str = "arm64-neon",
    int8: bool = False,
    fp16: bool = False,
    calibrate: str | Path | None = None,
    calibration: Method = "percentile",
    shapes: Mapping[str, Sequence[int]] | None = None,
    constants: Mapping[str, Constant] | None = None,
    states: Mapping[str, str] | None = None,
    output: str | Path | None = None,
    verify: bool = False,
    dump_ir: str | Path | None = None,
    progress: Progress = lambda stage, done, total: None,
    chosen: Chosen = lambda products: None,
) -> Manifest:
    """Compile the ONNX file `model` for `target` into the bundle `output` (default: <model>.edge in this folder).

    `int8` quantizes a float model with the samples in `calibrate` (.npy, .npz or images); `calibration` says whether
    int8 spans all values seen but 0.01 % at either end ("percentile") or all of them ("minmax"). `fp16` computes and
    stores in float16 instead of float32, where the device does, else it stores only. `shapes` binds
    symbolic input shapes, `constants` makes constants of inputs (arrays, or numbers that take the input's dtype and
    shape). `states` names inputs that live in the session, as zeros at first, and the outputs that they become after a
    run; the user binds neither. `verify` checks the graph after every pass, `dump_ir` writes it to that folder.
    Returns the bundle's manifest. EdgeError says in a sentence what is wrong with the model, the samples or the
    machine.
    """
    device = find(target).for_halves() if fp16 else find(target)
    path = Path(output) if output is not None else default_place(model)
    check_place(path)
    dump = dump_to(Path(dump_ir)) if dump_ir is not None else None
    graph = build_graph(
        model, int8=int8, fp16=fp16, calibrate=calibrate, calibration=calibration, shapes=shapes, constants=constants,
        verify=verify, dump=dump, progress=progress, chosen=chosen,
    )  # fmt: skip
    graph.name = assemble.bundle_name(path)
    progress("lower", 0, 1)
    arrange_channels(graph, device)
    if dump is not None:
        dump("arrange_channels", graph)
    lowered = lower(graph, device, states)
    objects = _compile_kernels(lowered, device, progress)
    files, manifest = assemble.assemble(lowered, objects, device, __version__)
    progress("write", 0, 1)
    return write_bundle(path, files, manifest)


@rare_collections()
def build_graph(
    model: str | Path,
    *,
    int8: bool = False,
    fp16: bool = False,
    calibrate: str | Path | None = None,
    calibration: Method = "percentile",
    shapes: Mapping[str, Sequence[int]] | None = None,
    constants: Mapping[str, Constant] | None = None,
    verify: bool = False,
    dump: Dump | None = None,
    progress: Progress = lambda stage, done, total: None,
    chosen: Chosen = lambda products: None,
) -> Graph:
    """The graph that gets compiled: imported, quantized if asked for, after all passes. Its numpy reference
    (`ops.reference.run_graph`) is what every target computes. Arguments as in `compile_model`."""
    progress("import", 0, 1)
    if int8 and fp16:
        raise EdgeError("--int8 and --fp16 exclude each other: pass the one that the model is to be computed in")
    if calibrate is not None and not int8:
        raise EdgeError(f"--calibrate {calibrate} is for --int8, which is not given: add it, or leave out the samples")
    source = bind_constants(load_model(Path(model)), constants or {})
    graph = _imported(source, shapes, verify, dump)
    if int8 and not is_quantized(graph):
        if calibrate is None:
            raise EdgeError(
                f"{model} is a float model: --int8 needs samples of its inputs to find value ranges; "
                "pass a folder of .npy, .npz or image files with --calibrate samples/"
            )
        samples = open_samples(Path(calibrate), [(v.name, v.type) for v in graph.inputs])
        post_training_quantization(graph, source, samples, calibration, progress, chosen)
    with probing():
        probe = revalued(graph) if is_ranged(graph) else None
    run_pipeline(graph, LATE, verify=verify, dump=dump)
    if probe is not None:
        with probing():
            run_pipeline(probe, LATE)
            require_same(graph, probe)
    if not fp16:
        return graph
    if is_quantized(graph):
        raise EdgeError(f"{model} is quantized already, so it cannot be computed in float16: leave out --fp16")
    use_halves(graph)
    if verify:
        check(graph)
    if dump is not None:
        dump("halves", graph)
    return graph


def _imported(source: Model, shapes: Mapping[str, Sequence[int]] | None, verify: bool, dump: Dump | None) -> Graph:
    graph = import_onnx(source, shapes)
    run_pipeline(graph, FLOAT, verify=verify, dump=dump)
    if is_ranged(graph):
        with probing():
            convert = Specialization(now)
            smallest = {name: [convert.number(d) for d in shape] for name, shape in (shapes or {}).items()}
            probe = import_onnx(source, smallest)
            run_pipeline(probe, FLOAT)
            require_same(graph, probe)
    return graph


def is_quantized(graph: Graph) -> bool:
    """Whether the model came with quantized tensors of its own."""
    return any(v.type.quant is not None for part in graph.graphs() for v in part.values())


def _compile_kernels(lowered: Lowered, target: Target, progress: Progress) -> dict[tuple[str, str], KernelObject]:
    """(kernel, variant) -> object, each compiled or taken from the cache."""
    kernels, shares = lowered.kernels.values(), lowered.plan.shares()
    try:
        return compile_kernels(
            kernels, target, cache_dir(), lambda done, total: progress("kernels", done, total), shares
        )
    except NoCode as error:
        node = next(step.name for step in lowered.plan.steps if step.kernel == error.symbol)
        raise EdgeError(f"node {node!r} cannot be compiled: {error}; cast its inputs") from None
