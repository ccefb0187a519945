"""Engines compared on one model: who is right, who is best, and what could not be compared."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

from ...errors import EdgeError
from .cases import Case
from .forms import Form, Forms, Precision

FOLDER = Path("build/peers")

LEAST_COSINE = {"float32": 0.999, "float16": 0.999, "int8": 0.95}
"""Below this an engine's answer is wrong, and what it took counts for nothing."""


class Engine(Protocol):
    """What is known of an engine's inference."""

    @property
    def label(self) -> str:
        """The engine and the form of its model."""

    @property
    def cosine(self) -> float:
        """Of its outputs to the float model's under ONNX Runtime."""


E = TypeVar("E", bound=Engine)


class Compared(ABC, Generic[E]):
    """One model in one precision under the same conditions: all engines, and by label why some are missing."""

    model: str
    precision: Precision
    engines: Sequence[E]
    missing: Mapping[str, str]

    @staticmethod
    @abstractmethod
    def cost(engine: E) -> float:
        """What the engines are compared by: less is better."""

    @property
    def ours(self) -> E:
        """edgec."""
        return next(e for e in self.engines if e.label == "edgec")

    @property
    def best(self) -> E | None:
        """The best of the others that is right."""
        return min((e for e in self.engines if e.label != "edgec" and self.right(e)), key=self.cost, default=None)

    @property
    def ratio(self) -> float | None:
        """edgec's cost to the best other's, if both are right: below 1 edgec is ahead."""
        return self.cost(self.ours) / self.cost(self.best) if self.best and self.right(self.ours) else None

    def right(self, engine: E) -> bool:
        """Whether its outputs are close enough to the float model's."""
        return engine.cosine >= LEAST_COSINE[self.precision]

    def forms(self, engine: str) -> list[E]:
        """All forms of a model that `engine` ran."""
        return [e for e in self.engines if e.label.split()[0] == engine]


def files_of(
    forms: Forms, case: Case, precision: Precision, engines: Sequence[str]
) -> tuple[dict[Form, Path], dict[str, str]]:
    """Every engine's file, and by label why there is none."""
    files, missing = {}, {}
    for form in forms.of(precision):
        if form.engine in ("edgec", *engines):
            try:
                files[form] = forms.path(form, case)
            except EdgeError as error:
                missing[form.label] = str(error)
    return files, missing


def reasons(rows: Sequence[Compared[Any]]) -> list[str]:
    """Why what is not there was not compared, each once."""
    said = (f"{row.model} {row.precision}, {label}: {why}" for row in rows for label, why in row.missing.items())
    return [f"- not measured: {reason}" for reason in dict.fromkeys(said)]
