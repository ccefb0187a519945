"""Calibration: what range each value of the float model takes over samples. ONNX Runtime is the engine."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence, Sized
from typing import get_args

import numpy as np
import onnxruntime as ort

from ...errors import EdgeError
from ..importer.model import Model
from ..ir.extent import Symbol, value_in
from ..ir.graph import Array, Graph, Node, Value
from ..ir.specialize import Specialization, bound
from ..ops.reference import run_node
from .histogram import Histogram, Method, Range

Progress = Callable[[str, int, int], None]
"""Called with (stage, done, total) after each sample; total is 0 where the samples don't say how many they are."""


def calibrate(
    engine: "Engine",
    samples: Iterable[Mapping[str, Array]],
    method: Method = "percentile",
    progress: Progress = lambda stage, done, total: None,
) -> dict[str, Range]:
    """The range of every float32 value of the engine's graph that is not a constant, by name, over `samples`. One
    sample's activations are in memory at a time. EdgeError when there is no sample or ONNX Runtime fails."""
    if method not in get_args(Method):
        raise EdgeError(f"there is no calibration {method!r}; it is one of {', '.join(get_args(Method))}")
    histograms: dict[str, Histogram] = {}
    done, total = 0, len(samples) if isinstance(samples, Sized) else 0
    for done, feed in enumerate(samples, 1):
        for name, data in engine.run(feed):
            if not np.isfinite(data).all():
                raise EdgeError(f"value {name!r} is infinite or NaN on calibration sample {done}; int8 cannot hold it")
            histograms.setdefault(name, Histogram()).add(data)
        progress("calibrate", done, total)
    if not done:
        raise EdgeError("calibration needs at least one sample and got none; give a folder with samples in it")
    return {name: histogram.range(method) for name, histogram in histograms.items()}


class Engine:
    """ONNX Runtime over the original model, and numpy for the values that it does not have.

    `model` is what `graph` was imported from: it runs with the graph's values as extra outputs, and values that only
    our passes made are computed from those by the ops' numpy references.
    """

    def __init__(self, graph: Graph, model: Model) -> None:
        available = {name for node in model.proto.graph.node for name in node.output if name}
        self.wanted = [v for v in graph.values() if v.type.dtype == "float32" and not v.is_const]
        self.inputs = graph.inputs
        self.missing, fetched = _plan(graph, self.wanted, available)
        self.fetched = sorted(v.name for v in fetched)
        try:
            self.session = _session(model, self.fetched)
        except EdgeError:  # ONNX Runtime lacks ops for some types: numpy computes everything then, slowly
            self.missing, _ = _plan(graph, self.wanted, ())
            self.fetched, self.session = [], None
        # The IR computes float16 models in float32.
        ports = self.session.get_inputs() if self.session is not None else []
        self.half = {i.name for i in ports if i.type == "tensor(float16)"}

    def run(self, feed: Mapping[str, Array]) -> Iterator[tuple[str, Array]]:
        """(name, data) of every wanted value for one sample."""
        converted = {name: x.astype(np.float16) if name in self.half else x for name, x in feed.items()}
        try:
            results = self.session.run(self.fetched, converted) if self.session and self.fetched else []
        except Exception as e:  # ONNX Runtime's exceptions share no base class of their own
            raise EdgeError(f"ONNX Runtime cannot run the model on a calibration sample: {_first_line(e)}") from e
        env: dict[str, Array] = dict(feed)
        for name, data in zip(self.fetched, results, strict=True):
            env[name] = data.astype(np.float32) if data.dtype == np.float16 else data
        symbols: dict[Symbol, int] = {}
        for value in self.inputs:
            bound(value.type, feed[value.name].shape, symbols)
        static = Specialization(lambda extent: value_in(extent, symbols))
        for node in self.missing:
            arrays = [env[v.name] if v.data is None else v.data for v in node.inputs]
            outputs = run_node(static.node(node), arrays)
            env.update((v.name, data) for v, data in zip(node.outputs, outputs, strict=True))
        return ((v.name, env[v.name]) for v in self.wanted)


def _plan(graph: Graph, wanted: Sequence[Value], available: Collection[str]) -> tuple[list[Node], set[Value]]:
    """(nodes to compute here in topological order, values to fetch from ONNX Runtime) for the `wanted` values."""
    needed, missing, fetched = set(wanted), [], set()
    for node in reversed(graph.nodes):
        if needed.isdisjoint(node.outputs):
            continue
        if all(v.name in available for v in node.outputs):
            fetched.update(needed.intersection(node.outputs))
        else:
            missing.append(node)
            needed.update(v for v in node.inputs if not v.is_const)
    return missing[::-1], fetched


def _session(model: Model, outputs: Sequence[str]) -> ort.InferenceSession:
    """A session for `model` that can return every tensor in `outputs`, with the arithmetic of the model as written."""
    instrumented = type(model.proto)()
    instrumented.CopyFrom(model.proto)
    present = {v.name for v in instrumented.graph.output}
    for name in outputs:
        if name not in present:
            instrumented.graph.output.add(name=name)
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
    options.intra_op_num_threads = 2
    options.log_severity_level = 4
    if model.folder is not None:
        options.add_session_config_entry("session.model_external_initializers_file_folder_path", str(model.folder))
    try:
        return ort.InferenceSession(instrumented.SerializeToString(), options, providers=["CPUExecutionProvider"])
    except Exception as e:  # protobuf's 2 GB limit and whatever ONNX Runtime has against the model
        raise EdgeError(f"ONNX Runtime, which calibrates, cannot load the model: {_first_line(e)}") from e


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
