"""The standard's test cases through compile and run: none is wrong, and no fewer pass than did."""

import os
from collections import Counter

import numpy as np
import pytest

from edgec.benchmarks import conformance
from edgec.benchmarks.onnx_cases import load_cases

PASSING = 1600
"""Raise it as more pass."""

SAMPLE = 30
"""Cases under the emulator here; `--sample 150` is the whole check."""


@pytest.mark.slow
def test_no_case_is_wrong_on_the_host() -> None:
    outcomes = list(conformance.run_cases(load_cases(), "host", os.cpu_count() or 1))
    counts = Counter(o.status for o in outcomes)
    assert [f"{o.name}: {o.reason}" for o in outcomes if o.status == "wrong"] == []
    assert counts["passed"] + counts["bound"] >= PASSING


@pytest.mark.slow
def test_no_case_of_a_sample_is_wrong_under_the_emulator() -> None:
    outcomes = list(conformance.run_cases(load_cases(["node"]), "qemu:cortex-a76", 2, SAMPLE))
    assert [f"{o.name}: {o.reason}" for o in outcomes if o.status == "wrong"] == []
    assert sum(o.status != "unsupported" for o in outcomes) == SAMPLE


def outcome(name: str, **changed) -> conformance.Outcome:
    """Of the named node case, with some of its expected values changed."""
    (case,) = (c for c in load_cases(["node"]) if c.name == name)
    inputs, (expected,) = case.source.data_sets[0]
    source = type(case.source)(**{**vars(case.source), "data_sets": [(inputs, [changed.get("expected", expected)])]})
    return conformance.judge(type(case)(**{**vars(case), "source": source}), "host")


def test_a_case_that_passes_and_what_makes_it_wrong() -> None:
    assert outcome("test_relu").status == "passed"
    for expected in (np.ones((3, 4, 5), np.float32), np.ones((3, 4, 5)), np.ones((3, 4), np.float32)):
        assert outcome("test_relu", expected=expected).status == "wrong"


def test_operands_are_bound_where_the_error_asks_for_them() -> None:
    found = outcome("test_reshape_negative_dim")
    assert (found.status, found.bound) == ("bound", ("shape",))


def test_outputs_without_elements() -> None:
    assert outcome("test_slice_start_out_of_bounds").status == "bound"


def test_what_is_refused_is_unsupported_with_the_reason() -> None:
    found = outcome("test_strnormalizer_nostopwords_nochangecase")
    assert found.status == "unsupported" and found.reason


def test_the_table_counts_and_explains() -> None:
    made = [
        conformance.Outcome("test_a_1", "node", "A", "passed"),
        conformance.Outcome("test_a_2", "node", "A", "bound", bound=("k",)),
        conformance.Outcome("test_b_1", "node", "B", "unsupported", "B node 'B_0': no"),
        conformance.Outcome("test_b_2", "node", "B", "unsupported", "B node 'B_1': no"),
    ]
    assert conformance.table(made).row_count == 2
    assert list(conformance.table(made).columns[-1].cells) == ["", "2x B: no"]
    assert conformance.totals(made).splitlines()[-1] == (
        "all: 4 cases: 2 passed (1 of them with operands bound when compiling), 2 unsupported, 0 wrong"
    )
