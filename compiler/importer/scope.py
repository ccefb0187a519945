"""Names of an ONNX graph while its nodes are imported; the graphs inside of nodes, and those that nodes stand for."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property

import onnx

from ...errors import EdgeError
from ..ir.graph import Value, constant
from ..ir.types import TensorType
from ..ops.builder import Builder
from ..ops.onnx_node import OnnxAttr, OnnxNode, find_rule
from .functions import Key, called, key_of, local_functions, opsets_of, standard_body
from .model import Model
from .nodes import needed_nodes, node_count, reads
from .shapes import states_output_shapes, static_types
from .support import MAX_NESTING, Problem, domain_of, listed, missing_ops, node_name, op_name, unknown_op
from .tensors import array_of, codes_of, has_few_bits

MAX_INNER_NODES = 2**16
"""Nodes of subgraphs and functions that are imported in all, each time that one is."""

MAX_CALLS = 32
"""Functions within functions."""

_READ_FEW_BITS = ("DequantizeLinear", "GatherBlockQuantized")
"""What takes integers of less than 8 bits, which are held as int8 or uint8."""


class Unknown(EdgeError):
    """What a node reads is not known, because another node cannot be imported."""


class Import:
    """One import: the model, its functions, those that are being called, and how many nodes inside of others there
    have been. `problems` gets what is wrong with single nodes; without it, the first ends the import."""

    def __init__(self, model: Model, problems: list[Problem] | None = None) -> None:
        self.model, self.problems = model, problems
        self.functions = local_functions(model.proto)
        self.states_output_shapes = states_output_shapes(model.proto.graph)
        self._calls: list[Key] = []
        self._inner_nodes = 0

    def count(self, nodes: int) -> None:
        """So many more; EdgeError when it is too much."""
        self._inner_nodes += nodes
        if self._inner_nodes > MAX_INNER_NODES:
            raise EdgeError(
                f"the model's subgraphs and functions come to more than {MAX_INNER_NODES} nodes where they are used; "
                "unrolled loops and calls count each time: nest fewer of them"
            )

    @contextmanager
    def calling(self, function: Key) -> Iterator[None]:
        """Inside, the function is being imported; EdgeError if it is so already."""
        if function in self._calls:
            raise EdgeError(f"the model's function {function[1]!r} calls itself; functions must not be recursive")
        if len(self._calls) == MAX_CALLS:
            raise EdgeError(f"the model nests functions more than {MAX_CALLS} deep; export it with fewer levels")
        self._calls.append(function)
        yield
        self._calls.pop()


class Scope:
    """The tensors of one ONNX graph by name, and those of the graphs around it.

    The body of a function sees nothing of them: it has `opsets` of its own, and a `path` that comes before the names of
    its nodes and of what they compute.
    """

    def __init__(
        self,
        context: Import,
        graph: onnx.GraphProto,
        builder: Builder,
        outer: "Scope | None" = None,
        *,
        opsets: Mapping[str, int] | None = None,
        path: str | None = None,
    ) -> None:
        self.context, self.graph, self.builder, self.outer = context, graph, builder, outer
        self.opsets: Mapping[str, int] = opsets or (context.model.opsets if outer is None else outer.opsets)
        self.path: str = path or ("" if outer is None else outer.path)
        self._is_body = path is not None
        self.depth: int = 0 if outer is None else outer.depth + (not self._is_body)
        self.values: dict[str, Value] = {}
        if self.depth > MAX_NESTING:
            raise EdgeError(f"the model nests graphs more than {MAX_NESTING} deep; export it with fewer levels")
        if graph.sparse_initializer:
            raise EdgeError("the model holds sparse initializers; dense ones are supported: store them so")
        self._nodes = needed_nodes(graph)
        self._read = {name for _, node in self._nodes for name in reads(node)} | {o.name for o in graph.output}
        if context.problems is None and (unsupported := missing_ops(self.opsets, self._nodes, context.functions)):
            raise EdgeError(listed(unsupported))
        self._unknown: set[str] = set()
        self._few_bits = {t.name for t in graph.initializer if has_few_bits(t)}
        self._initializers()

    def run(self) -> None:
        """Import the nodes that the graph's outputs depend on."""
        for index, node in self._nodes:
            name = self.path + node_name(node, index)
            try:
                self._node(name, node)
            except EdgeError as error:
                if self.context.problems is None:
                    raise
                if not isinstance(error, Unknown):
                    reason = str(error).removeprefix(f"{node.op_type} node {name!r}: ")
                    self.context.problems.append(Problem(name, op_name(node), reason))
                self._stand_in(node.output)

    def _stand_in(self, names: Iterable[str]) -> None:
        """Go on without what computes the tensors, as far as their types are known."""
        for name in names:
            if name in self._types:
                self.values[name] = Value(self.builder.claim(f"{self.path}{name}"), self._types[name])
            else:
                self._unknown.add(name)

    @cached_property
    def _types(self) -> Mapping[str, TensorType]:
        return dict(static_types((*self.graph.value_info, *self.graph.output)))

    def lookup(self, name: str) -> Value | None:
        """The tensor called `name`, here or further out, as nodes emitted here read it."""
        if name in self._unknown:
            raise Unknown(f"{name!r} is not known")
        if name in self.values or self.outer is None or self._is_body:
            return self.values.get(name)
        value = self.outer.lookup(name)
        if value is None or self.builder is self.outer.builder:
            return value
        return self.builder.capture(value)

    def _has_few_bits(self, name: str) -> bool:
        """Whether `name` is an initializer, here or further out, that is read as codes wider than the model says."""
        if name in self.values or self.outer is None or self._is_body:
            return name in self._few_bits
        return self.outer._has_few_bits(name)

    def define(self, name: str, value: Value, where: str) -> None:
        """Call `value` `name`; a name is given once."""
        if name in self.values:
            raise EdgeError(f"{where} computes {name!r}, which is also an input or initializer; names must be unique")
        self.values[name] = value

    def _initializers(self) -> None:
        for tensor in self.graph.initializer:
            if tensor.name in self.values:
                raise EdgeError(f"two initializers are called {tensor.name!r}; names must be unique")
            if tensor.name in self._read:
                decode = codes_of if has_few_bits(tensor) else array_of
                data = decode(tensor, self.context.model.folder, f"the initializer {tensor.name!r}")
                name = tensor.name if self.outer is None else self.builder.claim(tensor.name)
                self.values[tensor.name] = constant(name, data)

    def _node(self, name: str, proto: onnx.NodeProto) -> None:
        """Import one node; whatever its rule objects to is reported with the node's name."""
        where = f"{proto.op_type} node {name!r}"
        outputs = [name if name in self._read else "" for name in proto.output]
        if proto.op_type not in _READ_FEW_BITS and (packed := next(filter(self._has_few_bits, proto.input), None)):
            known = " and ".join(_READ_FEW_BITS)
            raise EdgeError(f"{where} reads {packed!r}, whose elements have less than 8 bits; {known} may do so")
        inputs = [self._operand(i, where) for i in proto.input]
        self.builder.begin(name, next(filter(None, outputs), name))
        try:
            values = self._outputs(name, proto, inputs, outputs)
        except (ValueError, TypeError, IndexError, ArithmeticError) as e:
            raise EdgeError(f"{where}: {e}") from None
        for output, value in zip(outputs, values, strict=False):
            if output and value is not None:
                self.define(output, value, where)
                self.builder.bind(value, output if self.outer is None else self.builder.claim(self.path + output))

    def _outputs(
        self, name: str, proto: onnx.NodeProto, inputs: Sequence[Value | None], outputs: Sequence[str]
    ) -> Sequence[Value | None]:
        """What the node computes: by the model's function, by the op's rule, or by the body that ONNX defines it by."""
        domain = domain_of(proto)
        opset = self.opsets.get(domain, 1)
        function = self.context.functions.get(key_of(proto))
        rule = find_rule(domain, proto.op_type, opset)
        if function is None and rule is None:
            function = standard_body(proto, domain, opset, inputs)
        if function is not None:
            return self._call(name, function, proto, inputs, outputs)
        if rule is None:
            raise ValueError(unknown_op(domain, proto.op_type, opset))
        if not rule.takes_codes and any(v is not None and v.type.quant is not None for v in inputs):
            raise ValueError(
                "it takes a quantized tensor as it is; put DequantizeLinear before and QuantizeLinear after it"
            )
        attributes = {a.name: self._attribute(a, f"{proto.op_type} node {name!r}") for a in proto.attribute}
        node = OnnxNode(
            proto.op_type, name, opset, inputs, outputs, attributes, self._shapes(outputs),
            self.context.states_output_shapes,
        )  # fmt: skip
        result = rule.import_node(self.builder, node)
        return [result] if isinstance(result, Value) else list(result)

    def _call(
        self,
        name: str,
        function: onnx.FunctionProto,
        proto: onnx.NodeProto,
        inputs: Sequence[Value | None],
        outputs: Sequence[str],
    ) -> Sequence[Value | None]:
        """The outputs of a function that the node called `name` calls."""
        graph = called(function, proto, outputs)
        self.context.count(len(graph.node))
        with self.context.calling(key_of(proto)), self.builder.inside():
            opsets = opsets_of(function, self.opsets)
            inner = Scope(self.context, graph, self.builder, self, opsets=opsets, path=f"{name}/")
            given = (value for value in inputs if value is not None)
            inner.values.update(zip((i.name for i in graph.input), given, strict=True))
            inner.run()
        for formal in graph.output:
            if inner.lookup(formal.name) is None:
                raise ValueError(f"nothing computes the output {formal.name!r} of the function {function.name!r}")
        return [inner.lookup(formal) for formal in function.output]

    def _operand(self, name: str, where: str) -> Value | None:
        if not name:
            return None
        value = self.lookup(name)
        if value is None:
            raise EdgeError(
                f"{where} reads {name!r}, which no input, initializer or earlier node provides; "
                "nodes must be in topological order"
            )
        return value

    def _shapes(self, outputs: Sequence[str]) -> Mapping[str, Sequence[int]]:
        return {name: self._types[name].shape for name in outputs if name in self._types}

    def _attribute(self, a: onnx.AttributeProto, where: str) -> OnnxAttr:
        kinds = onnx.AttributeProto
        if a.type == kinds.TENSOR:
            return array_of(a.t, self.context.model.folder, f"attribute {a.name!r} of {where}")
        if a.type == kinds.GRAPH:
            return InnerGraph(self, a.g)
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


class InnerGraph:
    """A graph attribute of a node in `scope` (a `Subgraph`)."""

    def __init__(self, scope: Scope, graph: onnx.GraphProto) -> None:
        self._scope, self._graph = scope, graph
        self.inputs = [i.name for i in graph.input]
        self.outputs = [o.name for o in graph.output]
        self.size = node_count(graph, scope.depth)

    def rank(self, index: int) -> int | None:
        """The rank that is declared for an input."""
        type = self._graph.input[index].type.tensor_type
        return len(type.shape.dim) if type.HasField("shape") else None

    def emit(self, b: Builder, inputs: Sequence[Value]) -> list[Value]:
        """Import it into `b`."""
        context = self._scope.context
        context.count(self.size)
        with b.inside():
            inner = Scope(context, self._graph, b, self._scope)
            for name, value in zip(self.inputs, inputs, strict=True):
                inner.values[name] = value
            inner.run()
            return [self._output(inner, name) for name in self.outputs]

    def _output(self, inner: Scope, name: str) -> Value:
        value = inner.lookup(name)
        if value is None:
            raise EdgeError(f"nothing computes the output {name!r} of the subgraph {self._graph.name!r}")
        return value


def _text(data: bytes) -> str:
    return data.decode("utf-8", "replace")
