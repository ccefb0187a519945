"""Streaming histograms against numpy over all the data at once."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from edgec.compiler.quantize.histogram import MAX_BINS, Histogram, Range

chunks = st.lists(
    hnp.arrays(np.float32, st.integers(0, 40), elements=st.floats(-1e6, 1e6, width=32)), min_size=1, max_size=6
)


@given(chunks)
def test_min_max_and_total_are_those_of_all_data(parts):
    histogram = Histogram()
    for part in parts:
        histogram.add(part)
    data = np.concatenate(parts)
    assert histogram.total == data.size
    if data.size:
        assert histogram.range("minmax") == Range(float(data.min()), float(data.max()))


@given(chunks, st.randoms(use_true_random=False))
def test_the_order_of_the_stream_does_not_matter(parts, random):
    first, second = Histogram(), Histogram()
    for part in parts:
        first.add(part)
    random.shuffle(parts)
    for part in parts:
        second.add(part)
    assert first.range("percentile") == second.range("percentile")


@pytest.mark.parametrize("name", ["normal", "relu", "outlier", "constant"])
def test_percentile_is_numpys_to_the_width_of_a_bin(name):
    rng = np.random.default_rng(1)
    parts = [rng.normal(2.0, scale, 50_000).astype(np.float32) for scale in (0.1, 1.0, 3.0)]
    if name == "relu":
        parts = [np.maximum(p, 0) for p in parts]
    if name == "outlier":
        parts[1][7] = 500.0
    if name == "constant":
        parts = [np.full_like(p, 0.75) for p in parts]
    histogram = Histogram()
    for part in parts:
        histogram.add(part)
    data = np.concatenate(parts)
    found = histogram.range("percentile")
    bin_width = float(4 * (data.max() - data.min()) / MAX_BINS) + 1e-9
    assert found.lo == pytest.approx(np.percentile(data, 0.01), abs=bin_width)
    assert found.hi == pytest.approx(np.percentile(data, 99.99), abs=bin_width)
    assert data.min() <= found.lo <= found.hi <= data.max()


def test_few_values_are_never_clipped():
    histogram = Histogram()
    histogram.add(np.array([-3.0, 0.1, 7.0], np.float32))
    assert histogram.range("percentile") == Range(-3.0, 7.0)


def test_nothing_seen():
    assert Histogram().range("percentile") == Range(0.0, 0.0)
