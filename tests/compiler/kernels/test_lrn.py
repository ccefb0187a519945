"""Local response normalization against the numpy reference."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from edgec.compiler.kernels import lrn
from edgec.compiler.kernels.lrn import LrnSpec
from edgec.tests.kernel_harness import Machine, examples, image, on_machines, reference, run_kernel


@on_machines
@examples
@given(channels=st.integers(1, 40), size=st.integers(1, 9), beta=st.sampled_from([0.75, 0.5]))
def test_across_channels(machine: Machine, channels: int, size: int, beta: float) -> None:
    x = image(np.random.default_rng(channels).normal(0, 3, (2, 3, channels)).astype(np.float32), (0, 1, 0, 1), (1, 2))
    y = image(np.zeros_like(x), (1, 0, 1, 0), (2, 1))
    expected = reference("lrn", [x[None]], [None], size=size, alpha=0.1, beta=beta, bias=2.0, layout="NHWC")[0]
    params = {
        "width": 3, "x_row": x.strides[0], "x_pixel": x.strides[1], "y_row": y.strides[0], "y_pixel": y.strides[1],
        "channels": channels, "before": (size - 1) // 2, "after": size // 2,
        "factor": 0.1 / size, "beta": beta, "bias": 2.0,
    }  # fmt: skip
    got = run_kernel(lrn, LrnSpec(), machine, {"x": x, "y": y}, params, 2)["y"]
    np.testing.assert_allclose(got, expected, rtol=1e-5)
