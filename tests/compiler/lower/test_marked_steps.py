"""Steps of weights that are marked, because products of four groups fit int16."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from edgec.compiler.lower.lower import lower
from edgec.compiler.lower.nodes.pack import fitting_steps, pack_dense
from edgec.targets.registry import find
from edgec.tests.compiler.kernels.convolutions.contractions import Case, graph_of
from edgec.tests.compiler.lower.running import BASE, DOTPROD, IN_ORDER, MATRIX, check

CODES = st.integers(-127, 127) | st.sampled_from([-127, -64, -63, 63, 64, 127])
STEP = st.sampled_from([3, 4])


@given(STEP, st.data())
def test_sums_fit(step: int, data: st.DataObject) -> None:
    """For the data that make the sums largest and least; in other steps some sum's range is nearly that of int16."""
    runs = st.sampled_from([4 * step, 8 * step])
    taps = data.draw(hnp.arrays(np.int8, st.tuples(st.integers(1, 2), runs, st.integers(8, 17)), elements=CODES))
    channels = taps.shape[2]
    steps = taps.astype(int).reshape(-1, step, 4, channels)
    most, least = (pick(steps * 127, steps * -128).sum(axis=1) for pick in (np.maximum, np.minimum))
    fits = fitting_steps(taps, 8, step)
    for block, first in enumerate([*range(0, channels - 8, 8), channels - 8]):
        high, low = (sums[:, :, first : first + 8].reshape(len(steps), -1) for sums in (most, least))
        assert (high[fits[block]] <= 32767).all() and (low[fits[block]] >= -32768).all()
        assert ((high - low)[~fits[block]].max(axis=1) > 65025).all()


@pytest.mark.parametrize(("sizes", "fits"), [([127, 127, 1, 0], True), ([64, 64, 64, 63], True), ([64] * 4, False)])
def test_the_bound(sizes: list[int], fits: bool) -> None:
    """255 fits; 256 does not where all have one sign."""
    taps = np.zeros((1, 4, 4, 8), np.int8)
    taps[0, :, 2, 5] = [-size for size in sizes]
    assert fitting_steps(taps.reshape(1, 16, 8), 8, 4).tolist() == [[fits]]


def test_marks_follow_the_weights() -> None:
    """Of each block, with zeros."""
    taps, header = np.ones((2, 16, 16), np.int8), [np.zeros(16, np.int32)]
    fits = np.array([[True, True], [True, False]])
    plain, marked = pack_dense(taps, 8, 4, header), pack_dense(taps, 8, 4, header, fits)
    size = len(plain) // 2
    assert marked == plain[:size] + bytes([1, 1]) + bytes(14) + plain[size:] + bytes([1, 0]) + bytes(14)


def _convolution(depth: int, outputs: int, kernel: int, weights: str = "steps", dilation: int = 1) -> Case:
    pad = (kernel - 1) * dilation // 2
    attrs = {
        "strides": (1, 1), "pads": (pad,) * 4, "dilations": (dilation, dilation), "groups": 1, "layout": "NHWC",
    }  # fmt: skip
    shape = (outputs, depth, kernel, kernel)
    return Case("conv2d", (1, 6, 7, depth), shape, 0, attrs, weights=weights, seed=depth + kernel)  # type: ignore[arg-type]


FORMS = {
    "gemm_m40_whole_even_marked": [_convolution(16, 24, 1), _convolution(320, 40, 1)],
    "conv_m40_whole_even_marked": [_convolution(32, 24, 3), _convolution(32, 40, 3, dilation=2)],
    "gemm_m40_whole_even_w8": [_convolution(64, 24, 1, "full")],
    "gemm_m40_whole_even_fitting": [_convolution(48, 24, 1, "small"), _convolution(320, 40, 1, "small")],
    "conv_m40_whole_even_fitting": [_convolution(32, 24, 3, "small"), _convolution(32, 40, 3, "small", dilation=2)],
    "gemm_m40_pair_whole_even_held": [
        _convolution(16, 24, 1, "symmetric"),
        _convolution(16, 64, 1, "symmetric"),
        _convolution(12, 64, 1, "symmetric"),
    ],  # three groups are multiplied as four
    "gemm_m40_pair_even_small": [_convolution(18, 64, 1, "symmetric")],  # five as six
    "gemm_m40_whole_even_fitting_held": [_convolution(16, 32, 1, "small"), _convolution(16, 40, 1, "small")],
    "conv_m40_runs3_marked": [_convolution(3, 40, 3)],
    "conv_m40_runs3_fitting": [_convolution(3, 24, 3, "small")],
    "gemm_m40_whole_even_held_small_narrow": [_convolution(16, 5, 1, "symmetric")],
}


@pytest.mark.parametrize("form", FORMS)
def test_all_kinds_of_steps(form: str, tmp_path: Path) -> None:
    """With data that make sums as large as can be, and others."""
    graph, inputs = graph_of(FORMS[form], int8=True)
    assert form in lower(graph, find("arm64-neon")).plan.steps[-1].kernel
    for x in inputs.values():
        x[:, :2], x[:, 2] = -128, 127
    for device, variant in ((BASE, None), (DOTPROD, None), (DOTPROD, IN_ORDER), (MATRIX, None)):
        check(graph, inputs, tmp_path, device, 1, variant)
