"""Post-training quantization from end to end: what the driver calls for `--int8`."""

from collections.abc import Iterable, Mapping

from ..importer.model import Model
from ..importer.support import recurrent_nodes
from ..ir.graph import Array, Graph
from .assign import quantize
from .calibrate import Progress, calibrate
from .histogram import Method
from .split_maps import split_maps


def post_training_quantization(
    graph: Graph,
    model: Model,
    samples: Iterable[Mapping[str, Array]],
    method: Method = "percentile",
    progress: Progress = lambda stage, done, total: None,
) -> Graph:
    """Turn the float32 `graph` into int8 arithmetic, in place; returns it. Deterministic.

    `graph` comes from the float passes, `model` is what it was imported from, `samples` are feeds
    by input name (`open_samples`). Inputs and outputs of the graph keep their names and types. EdgeError when there are
    no samples, or ONNX Runtime cannot run the model on them. Recurrent nodes stay in float: their errors would add up.
    """
    split_maps(graph)
    return quantize(graph, calibrate(graph, model, samples, method, progress), recurrent_nodes(model.proto.graph))
