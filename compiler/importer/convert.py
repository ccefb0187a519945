"""`import_onnx`: walks the ONNX graph in order and applies each op's import rule from `compiler/ops/`."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import onnx

from ...errors import EdgeError
from ..ir.expr import In, call
from ..ir.graph import Graph, Node, Value
from ..ops.builder import Builder
from ..ops.qdq import interface_quant
from .constants import Constant, bind_constants
from .model import Model, Source, load_model
from .scope import Import, Scope, Unknown
from .shapes import input_types
from .support import Problem, check_support


def import_onnx(
    source: Source,
    shapes: Mapping[str, Sequence[int]] | None = None,
    constants: Mapping[str, Constant] | None = None,
) -> Graph:
    """The graph of an ONNX model, given as a path, decoded or loaded.

    `shapes` gives inputs with symbolic extents their shape, `constants` makes constants of inputs. Whatever is wrong
    with the model is an EdgeError that names the node; ops without import rule are reported all at once.
    """
    model = bind_constants(load_model(source), constants or {})
    try:
        return _Conversion(model).run(shapes or {})
    except MemoryError:
        raise EdgeError(
            "the model needs more memory to compile than this machine has; use a machine with more, or smaller inputs"
        ) from None


def find_problems(
    source: Source,
    shapes: Mapping[str, Sequence[int]] | None = None,
    constants: Mapping[str, Constant] | None = None,
) -> list[Problem]:
    """Every node that `import_onnx` would stop at, were it not for those before it: none if it would not stop.

    A node that reads what such a node computes is looked at as well if ONNX's own shape inference knows the type.
    EdgeError if the model cannot be read at all.
    """
    model = bind_constants(load_model(source), constants or {})
    problems: list[Problem] = []
    try:
        _Conversion(_inferred(model, shapes or {}), problems).run(shapes or {})
    except Unknown:
        pass
    except (EdgeError, MemoryError) as error:
        problems += [Problem(u.nodes[0], u.op_type, f"no such op in edgec: {u}") for u in check_support(model)]
        problems.append(Problem("", "", str(error) or "the model needs more memory than this machine has"))
    return problems


def _inferred(model: Model, shapes: Mapping[str, Sequence[int]]) -> Model:
    """The model with the types of its tensors, as far as ONNX can tell."""
    proto = onnx.ModelProto()
    proto.CopyFrom(model.proto)
    for declared in proto.graph.input:
        dims = declared.type.tensor_type.shape.dim
        for dim, extent in zip(dims, shapes.get(declared.name, ()), strict=False):
            dim.dim_value = extent
    try:
        return replace(model, proto=onnx.shape_inference.infer_shapes(proto, data_prop=True))
    except (onnx.shape_inference.InferenceError, ValueError, RuntimeError):
        return model


def _with_types(model: Model, shapes: Mapping[str, Sequence[int]]) -> Sequence[onnx.ValueInfoProto]:
    """The model's outputs. Where one is declared without an element type, with those that ONNX infers."""
    outputs: Sequence[onnx.ValueInfoProto] = model.proto.graph.output
    if all(o.type.tensor_type.elem_type != onnx.TensorProto.UNDEFINED for o in outputs):
        return outputs
    inferred: Sequence[onnx.ValueInfoProto] = _inferred(model, shapes).proto.graph.output
    return inferred


class _Conversion:
    """The state of one import."""

    def __init__(self, model: Model, problems: list[Problem] | None = None) -> None:
        self.model, self.graph = model, model.proto.graph
        names = {name for node in self.graph.node for name in (*node.input, *node.output)}
        names.update(i.name for i in (*self.graph.input, *self.graph.output))
        names.update(t.name for t in self.graph.initializer)
        self.builder = Builder(taken=names)
        self.scope = Scope(Import(model, problems), self.graph, self.builder)
        self.values = self.scope.values

    def run(self, shapes: Mapping[str, Sequence[int]]) -> Graph:
        inputs = self._inputs(shapes)
        self.scope.run()
        outputs = self._outputs(shapes)
        return Graph(self.graph.name or "model", inputs, outputs, _live(self.builder.nodes, outputs))

    def _inputs(self, shapes: Mapping[str, Sequence[int]]) -> list[Value]:
        """The graph's inputs; a float16 one is converted to float32 at once."""
        initializers = {t.name for t in self.graph.initializer}
        declared = [i for i in self.graph.input if i.name not in initializers]
        types = input_types(declared, shapes)
        if len(types) != len(declared):
            raise EdgeError(f"the model's inputs {[i.name for i in declared]} do not have unique names")
        inputs = [Value(name, type) for name, type in types.items()]
        for value in inputs:
            self.values[value.name] = value
            if value.type.dtype == "float16":
                self.builder.begin(value.name, value.name)
                self.values[value.name] = self.builder.map(call("cast", In(0), dtype="float32"), value)
        return inputs

    def _outputs(self, shapes: Mapping[str, Sequence[int]]) -> list[Value]:
        outputs: list[Value] = []
        for declared in _with_types(self.model, shapes):
            if self.scope.lookup(declared.name) is None:
                raise EdgeError(f"nothing computes the model's output {declared.name!r}")
            if any(v.name == declared.name for v in outputs):
                raise EdgeError(f"the model has two outputs called {declared.name!r}; names must be unique")
            outputs.append(self._output(declared, outputs))
        if not outputs:
            raise EdgeError("the model has no outputs")
        return outputs

    def _output(self, declared: onnx.ValueInfoProto, others: Sequence[Value]) -> Value:
        """The value of a graph output under the model's name and dtype: uint8 and float16 are converted back."""
        value, b = self.values[declared.name], self.builder
        elem_type = declared.type.tensor_type.elem_type
        if elem_type == onnx.TensorProto.UNDEFINED and value.type.quant is not None:
            raise EdgeError(
                f"the model's output {declared.name!r} is quantized, but declared without an element type, so that "
                "int8 and uint8 look alike, and ONNX cannot infer it; declare it"
            )
        b.begin(declared.name, declared.name)
        interface = value
        if elem_type == onnx.TensorProto.UINT8 and value.type.dtype == "int8" and value.type.quant is not None:
            quant = interface_quant(value.type.quant, "uint8")
            interface = b.map(In(0), value, quant=quant, dtype="uint8")
        elif elem_type == onnx.TensorProto.FLOAT16 and value.type.dtype == "float32":
            interface = b.map(call("cast", In(0), dtype="float16"), value)
        elif value.producer is None or value in others:
            interface = b.map(In(0), value, quant=value.type.quant, dtype=value.type.dtype)
        if value.name == declared.name and interface is not value and (value.producer is not None or value.is_const):
            value.name = b.fresh_name()
        interface.name = declared.name
        return interface


def _live(nodes: Sequence[Node], outputs: Sequence[Value]) -> list[Node]:
    """The nodes that the outputs depend on, in order."""
    needed = set(outputs)
    live: list[Node] = []
    for node in reversed(nodes):
        if needed.intersection(node.outputs):
            needed.update(node.inputs)
            live.append(node)
    return live[::-1]
