"""`import_onnx`: walks the ONNX graph in order and applies each op's import rule from `compiler/ops/`."""

from collections.abc import Mapping, Sequence

import onnx

from ...errors import EdgeError
from ..ir.expr import In, call
from ..ir.graph import Graph, Node, Value, constant
from ..ops.builder import Builder
from ..ops.onnx_node import OnnxAttr, OnnxNode, find_rule
from ..ops.qdq import interface_quant
from .constants import Constant, bind_constants
from .model import Model, Source, load_model
from .shapes import input_types
from .support import domain_of, missing_ops, node_name
from .tensors import array_of


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
        raise EdgeError("the model needs more memory than this machine has") from None


class _Conversion:
    """The state of one import: ONNX tensor name -> IR value."""

    def __init__(self, model: Model) -> None:
        self.model = model
        self.graph = model.proto.graph
        names = {name for node in self.graph.node for name in (*node.input, *node.output)}
        names.update(i.name for i in (*self.graph.input, *self.graph.output))
        names.update(t.name for t in self.graph.initializer)
        self.builder = Builder(taken=names)
        self.values: dict[str, Value] = {}
        self.read: set[str] = set()

    def run(self, shapes: Mapping[str, Sequence[int]]) -> Graph:
        if self.graph.sparse_initializer:
            raise EdgeError("the model holds sparse initializers; store them dense")
        nodes = self._needed_nodes()
        self.read = {name for _, node in nodes for name in node.input} | {o.name for o in self.graph.output}
        if unsupported := missing_ops(self.model, nodes):
            listed = "; ".join(str(u) for u in unsupported)
            raise EdgeError(f"the model uses ops that edgec does not support: {listed}")
        self._initializers()
        inputs = self._inputs(shapes)
        for index, node in nodes:
            self._node(node_name(node, index), node)
        outputs = self._outputs()
        return Graph(self.graph.name or "model", inputs, outputs, _live(self.builder.nodes, outputs))

    def _needed_nodes(self) -> list[tuple[int, onnx.NodeProto]]:
        """The nodes that the outputs depend on, in order, with their index."""
        producers: dict[str, int] = {}
        for index, node in enumerate(self.graph.node):
            for name in filter(None, node.output):
                if name in producers:
                    raise EdgeError(
                        f"two nodes compute the tensor {name!r} (the second is {node_name(node, index)!r}); "
                        "names must be unique"
                    )
                producers[name] = index
        needed: set[int] = set()
        pending = [o.name for o in self.graph.output]
        while pending:
            producer = producers.get(pending.pop())
            if producer is not None and producer not in needed:
                needed.add(producer)
                pending.extend(self.graph.node[producer].input)
        return [(i, self.graph.node[i]) for i in sorted(needed)]

    def _initializers(self) -> None:
        for tensor in self.graph.initializer:
            if tensor.name in self.values:
                raise EdgeError(f"two initializers are called {tensor.name!r}; names must be unique")
            if tensor.name in self.read:
                data = array_of(tensor, self.model.folder, f"the initializer {tensor.name!r}")
                self.values[tensor.name] = constant(tensor.name, data)

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

    def _node(self, name: str, proto: onnx.NodeProto) -> None:
        """Import one node; whatever its rule objects to is reported with the node's name."""
        where = f"{proto.op_type} node {name!r}"
        outputs = [name if name in self.read else "" for name in proto.output]
        domain = domain_of(proto)
        opset = self.model.opsets.get(domain, 1)
        rule = find_rule(domain, proto.op_type, opset)
        assert rule is not None
        inputs = [self._read(i, where) for i in proto.input]
        if not rule.takes_codes and any(v is not None and v.type.quant is not None for v in inputs):
            raise EdgeError(
                f"{where} takes a quantized tensor as it is; put DequantizeLinear before and QuantizeLinear after it"
            )
        node = OnnxNode(proto.op_type, name, opset, inputs, outputs, self._attributes(proto, where))
        self.builder.begin(name, next(filter(None, outputs), name))
        try:
            result = rule.import_node(self.builder, node)
        except (ValueError, TypeError, IndexError, ArithmeticError) as e:
            raise EdgeError(f"{where}: {e}") from None
        values = [result] if isinstance(result, Value) else list(result)
        for output, value in zip(outputs, values, strict=False):
            if not output:
                continue
            if output in self.values:
                raise EdgeError(
                    f"{where} computes {output!r}, which is also an input or initializer; names must be unique"
                )
            self.builder.bind(value, output)
            self.values[output] = value

    def _read(self, name: str, where: str) -> Value | None:
        if not name:
            return None
        if name not in self.values:
            raise EdgeError(
                f"{where} reads {name!r}, which no input, initializer or earlier node provides; "
                "nodes must be in topological order"
            )
        return self.values[name]

    def _attributes(self, proto: onnx.NodeProto, where: str) -> dict[str, OnnxAttr]:
        return {a.name: self._attribute(a, where) for a in proto.attribute}

    def _attribute(self, a: onnx.AttributeProto, where: str) -> OnnxAttr:
        kinds = onnx.AttributeProto
        if a.type == kinds.TENSOR:
            return array_of(a.t, self.model.folder, f"attribute {a.name!r} of {where}")
        if a.type == kinds.STRING:
            return _text(a.s)
        if a.type == kinds.STRINGS:
            return tuple(_text(s) for s in a.strings)
        plain: dict[int, OnnxAttr] = {
            kinds.FLOAT: a.f,
            kinds.INT: a.i,
            kinds.FLOATS: tuple(a.floats),
            kinds.INTS: tuple(a.ints),
        }
        return plain.get(a.type)

    def _outputs(self) -> list[Value]:
        outputs: list[Value] = []
        for declared in self.graph.output:
            if declared.name not in self.values:
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
        b.begin(declared.name, declared.name)
        interface = value
        if elem_type == onnx.TensorProto.UINT8 and value.type.dtype == "int8" and value.type.quant is not None:
            quant = interface_quant(value.type.quant, "uint8")
            interface = b.map(In(0), value, quant=quant, dtype="uint8")
        elif elem_type == onnx.TensorProto.FLOAT16 and value.type.dtype == "float32":
            interface = b.map(call("cast", In(0), dtype="float16"), value)
        elif value.producer is None or value in others:
            interface = b.map(In(0), value, quant=value.type.quant, dtype=value.type.dtype)
        if value.name == declared.name and interface is not value and value.producer is not None:
            value.name = b.fresh_name()
        interface.name = declared.name
        return interface


def _text(data: bytes) -> str:
    return data.decode("utf-8", "replace")


def _live(nodes: Sequence[Node], outputs: Sequence[Value]) -> list[Node]:
    """The nodes that the outputs depend on, in order."""
    needed = set(outputs)
    live: list[Node] = []
    for node in reversed(nodes):
        if needed.intersection(node.outputs):
            needed.update(node.inputs)
            live.append(node)
    return live[::-1]
