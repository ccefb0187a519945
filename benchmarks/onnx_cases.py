"""The test cases of the ONNX standard (onnx.backend.test), as models with inputs and the outputs they must give."""

import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper
from onnx.backend.test.loader import load_model_tests
from onnx.backend.test.runner import Runner

Array = np.ndarray[Any, Any]

_FOLDERS = {"node": "node", "simple": "simple", "light": "real"}
_LIGHT = "onnx/backend/test/data/light/"

KINDS = tuple(_FOLDERS)


class NotTensors(Exception):
    """A case's data are sequences, maps or optionals."""


@dataclass(frozen=True)
class Case:
    """One case; `op` is what it is about: an op type, or the case's kind. Outputs must equal within the tolerances."""

    name: str
    kind: str
    op: str
    rtol: float
    atol: float
    source: Any

    @cached_property
    def model(self) -> onnx.ModelProto:
        """The model."""
        if isinstance(self.source.model, onnx.ModelProto):
            return self.source.model
        return onnx.load(_light(self.source) if self.kind == "light" else Path(self.source.model_dir) / "model.onnx")

    def data_sets(self) -> Iterator[tuple[dict[str, Array], dict[str, Array]]]:
        """(inputs, expected outputs), both by name. NotTensors when they are anything else."""
        outputs = [o.name for o in self.model.graph.output]
        for given, expected in self._data():
            yield (
                dict(zip(self._inputs(), map(_array, given), strict=False)),
                dict(zip(outputs, map(_array, expected), strict=True)),
            )

    def _inputs(self) -> list[str]:
        initializers = {t.name for t in self.model.graph.initializer}
        return [i.name for i in self.model.graph.input if i.name not in initializers]

    def _data(self) -> Iterator[tuple[Sequence[Any], Sequence[Any]]]:
        if self.source.data_sets is not None:
            yield from self.source.data_sets
        elif self.kind == "light":
            path = _light(self.source)
            inputs = [i for i in self.model.graph.input if i.name in self._inputs()]
            outputs = [path.with_name(f"{path.stem}_output_{i}.pb") for i in range(len(self.model.graph.output))]
            yield [Runner.generate_dummy_data(i) for i in inputs], list(map(_read, outputs))
        else:
            for folder in sorted(Path(self.source.model_dir).glob("test_data_set_*")):
                inputs = [folder / f"input_{i}.pb" for i in range(len(self._inputs()))]
                outputs = [folder / f"output_{i}.pb" for i in range(len(self.model.graph.output))]
                yield [_read(p) for p in inputs], [_read(p) for p in outputs]


def load_cases(kinds: Sequence[str] = KINDS) -> list[Case]:
    """All cases of `kinds`. The data of node cases are drawn when they are loaded: a seed makes them the same."""
    np.random.seed(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        sources = {kind: list(filter(_is_here, load_model_tests(kind=_FOLDERS[kind]))) for kind in kinds}
    ops = {s.name: _op(s.model) for s in sources.get("node", ()) if s.model is not None}
    return [
        Case(s.name, kind, _op_of(s.name, ops, kind), s.rtol, s.atol, s)
        for kind, found in sources.items()
        for s in sorted(found, key=lambda s: str(s.name))
    ]


def _op_of(name: str, ops: Mapping[str, str], kind: str) -> str:
    """A case that spells out the body of an op, which is a function, is about that op."""
    return ops.get(name.partition("_expanded")[0]) or ops.get(name) or kind


def _op(model: onnx.ModelProto) -> str:
    (first, *_) = model.graph.node
    return f"{first.domain}.{first.op_type}" if first.domain not in ("", "ai.onnx") else str(first.op_type)


def _is_here(source: Any) -> bool:
    """Not for the models that would be downloaded."""
    return source.url is None or str(source.url).startswith(_LIGHT)


def _light(source: Any) -> Path:
    return Path(onnx.__file__).parents[1] / str(source.url)


def _read(path: Path) -> onnx.TensorProto:
    return onnx.load_tensor(path)


def _array(data: Any) -> Array:
    if isinstance(data, onnx.TensorProto):
        return numpy_helper.to_array(data)
    if not isinstance(data, np.ndarray | np.generic | int | float):
        raise NotTensors
    return np.asarray(data)
