"""Dense convolutions: what their kernels are told of the planes."""

from math import prod
from pathlib import Path

import pytest

from edgec.compiler.ir.graph import Value
from edgec.compiler.kernels.convolutions.conv import ConvSpec
from edgec.tests.compiler.lower.test_layout import Net


def _width(net: Net, y: Value) -> int:
    """The pixels of a row of the convolution that computes y."""
    lowered = net.lowered(y)
    step = next(step for step in lowered.plan.steps if step.name == "conv2d1")
    spec = lowered.kernels[step.kernel].spec
    assert isinstance(spec, ConvSpec)
    return step.params[spec.params.index("out_width")]


@pytest.mark.parametrize("shape", [(1, 4, 8, 16), (3, 4, 8, 16)])
@pytest.mark.parametrize("kernel", [1, 3])
def test_rows_that_follow_each_other_are_one(shape: tuple[int, ...], kernel: int, tmp_path: Path) -> None:
    """Finding a tile's pixels then takes no division; with a halo between the rows it does."""
    net = Net(shape)
    y = net.conv(net.relu(net.inputs[0]), kernel)
    assert _width(net, y) == (prod(shape[:3]) if kernel == 1 else shape[2])
    net.check(tmp_path, y)
