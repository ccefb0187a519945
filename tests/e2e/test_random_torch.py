"""Random networks from torch, float and int8: a few of those that `python -m edgec.benchmarks.random_torch` tries."""

import numpy as np
import pytest
import torch

from edgec.benchmarks import random_torch
from edgec.benchmarks.random_nets import RandomNet


@pytest.mark.slow
def test_none_of_a_sample_is_wrong() -> None:
    verdicts = random_torch.run(range(24), jobs=2)
    assert {seed: verdict.problem for seed, verdict in verdicts.items() if verdict.problem} == {}
    assert 2 * sum(v.undecided for v in verdicts.values()) < sum(v.elements for v in verdicts.values())


def test_a_seed_gives_the_same_network() -> None:
    nets = [RandomNet(5) for _ in range(2)]
    x = torch.from_numpy(np.random.default_rng(0).normal(size=nets[0].example).astype(np.float32))
    with torch.no_grad():
        assert all(torch.equal(a, b) for a, b in zip(nets[0](x), nets[1](x), strict=True))


def test_a_difference_is_found() -> None:
    y = np.linspace(0, 1, 5, dtype=np.float32)
    truth, decided = y.astype(np.float64), np.arange(5) != 2
    assert random_torch.difference(y, y, truth, decided) == ""
    shifted = (y + 1e-3 * (np.arange(5) == 3)).astype(np.float32)
    for other in (shifted, y.astype(np.float64), y[:4], y * np.float32(np.nan)):
        assert random_torch.difference(other, y, truth, decided)


def test_what_torch_itself_loses_is_allowed_four_times() -> None:
    truth, decided = np.linspace(0, 1, 5), np.arange(5) != 2
    single = (truth + 1e-3 * (np.arange(5) == 1)).astype(np.float32)
    for error, problem in ((3e-3, False), (5e-3, True)):
        found = (truth + error * (np.arange(5) == 3)).astype(np.float32)
        assert bool(random_torch.difference(found, single, truth, decided)) == problem


def test_undecided_elements_are_not_compared() -> None:
    """Neither with torch, nor for what torch loses."""
    truth, decided = np.linspace(0, 1, 5), np.arange(5) != 2
    off = (truth + 0.5 * (np.arange(5) == 2)).astype(np.float32)
    assert random_torch.difference(off, off, truth, decided) == ""
    assert random_torch.difference((truth + 1e-3).astype(np.float32), off, truth, decided)


def test_bytes_are_compared() -> None:
    y = np.array([0.0, np.nan], np.float32)
    assert random_torch.same_bytes(y, y.copy())
    for other in (np.array([-0.0, np.nan], np.float32), y[:1], y.view(np.int32)):
        assert not random_torch.same_bytes(y, other)
