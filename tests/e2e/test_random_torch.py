"""Random networks from torch, float and int8: a few of those that `python -m edgec.benchmarks.random_torch` tries."""

import numpy as np
import pytest
import torch

from edgec.benchmarks import random_torch


@pytest.mark.slow
def test_none_of_a_sample_is_wrong() -> None:
    assert random_torch.run(range(24), jobs=2) == {}


def test_a_seed_gives_the_same_network() -> None:
    nets = [random_torch.RandomNet(5) for _ in range(2)]
    x = torch.from_numpy(np.random.default_rng(0).normal(size=nets[0].example).astype(np.float32))
    with torch.no_grad():
        assert all(torch.equal(a, b) for a, b in zip(nets[0](x), nets[1](x), strict=True))


def test_a_difference_is_found() -> None:
    y = np.linspace(0, 1, 5, dtype=np.float32)
    assert random_torch._difference(y, y, 0.0) == ""
    for other in (y + 1e-3, y.astype(np.float64), y[:4]):
        assert random_torch._difference(other, y, 1e-4)
