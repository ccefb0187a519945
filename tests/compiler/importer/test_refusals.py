"""What edgec refuses of the ONNX standard's cases: each sentence says what was found, and what to give instead."""

import re

import pytest

from edgec import EdgeError
from edgec.benchmarks.onnx_cases import Case, NotTensors, load_cases
from edgec.compiler.importer import import_onnx

WAY_OUT = re.compile(
    r"(supported are|are supported|is supported|are accepted|must be|similar|--const|export|convert|leave .* out|fix)"
)


def refusal(case: Case) -> str | None:
    """Why a case cannot be imported, after it was given as constants what edgec asked for; None if it can be."""
    bound: set[str] = set()
    try:
        inputs, _ = next(iter(case.data_sets()))
    except NotTensors:
        return None
    while True:
        shapes = {name: a.shape for name, a in inputs.items() if name not in bound}
        try:
            import_onnx(case.model, shapes, {name: inputs[name] for name in bound})
            return None
        except EdgeError as error:
            asked = {n for n in shapes if re.search(rf"--const {re.escape(n)}=", str(error))}
            if not asked:
                return str(error)
            bound |= asked


@pytest.mark.slow
def test_each_refusal_names_what_is_supported() -> None:
    refusals = {case.name: reason for case in load_cases(["node", "simple"]) if (reason := refusal(case)) is not None}
    assert len(refusals) > 100
    for name, reason in refusals.items():
        found, _, instead = reason.partition("; ")
        assert len(found) > 20 and WAY_OUT.search(instead), f"{name}: {reason}"
        assert len(reason) < 500 and "\n" not in reason, f"{name}: {reason}"
