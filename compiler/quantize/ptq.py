"""Post-training quantization from end to end: what the driver calls for `--int8`."""

from collections.abc import Callable, Iterable, Mapping

from ..importer.model import Model
from ..importer.support import recurrent_nodes
from ..ir.graph import Array, Graph
from .assign import quantize
from .calibrate import Engine, Progress, calibrate
from .domain import integer_nodes
from .histogram import Method
from .losses import measure
from .narrow import narrow
from .row_products import RowProducts, choose
from .scales import choose_quants
from .split_maps import split_maps


def post_training_quantization(
    graph: Graph,
    model: Model,
    samples: Iterable[Mapping[str, Array]],
    method: Method = "percentile",
    progress: Progress = lambda stage, done, total: None,
    chosen: Callable[[RowProducts], None] = lambda products: None,
) -> Graph:
    """Turn the float32 `graph` into int8 arithmetic, in place; returns it. Deterministic.

    `graph` comes from the float passes, `model` is what it was imported from, `samples` are feeds
    by input name (`open_samples`), read twice. Inputs and outputs of the graph keep their names and types. EdgeError
    when there are no samples, or ONNX Runtime cannot run the model on them. Recurrent nodes stay in float: their errors
    would add up. `chosen` is told which products keep float32 data, and why.
    """
    split_maps(graph)
    engine = Engine(graph, model)
    ranges = calibrate(engine, samples, method, progress)
    integer = integer_nodes(graph, recurrent_nodes(model.proto.graph))
    quants = choose_quants(graph, integer, narrow(graph, integer, ranges))
    products = choose(graph, integer, measure(graph, engine, samples, quants, integer, progress))
    chosen(products)
    return quantize(graph, ranges, integer - {*products.real, *products.rows}, products.rows)
