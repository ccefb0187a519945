"""Orders of channels in which more steps fit int16, counted without what searches for them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgec.compiler.ir.graph import Array
from edgec.compiler.lower.channels.order import best_order

COLUMNS = 8


def fitting_rows(sizes: Array) -> int:
    """Of steps of all rows: 16 channels, of which those 4 apart are added up, to 255 at most."""
    return sum(
        all(row[first + lane : first + 16 : 4].sum() <= 255 for lane in range(4))
        for row in sizes.astype(int)
        for first in range(0, len(row), 16)
    )


def fitting_blocks(fits: Array) -> int:
    """Of steps of blocks of 8 channels."""
    return sum(int(fits[first : first + COLUMNS].all(axis=0).sum()) for first in range(0, len(fits), COLUMNS))


@given(st.integers(0, 2**32), st.sampled_from([16, 48]), st.integers(0, 40), st.integers(0, 4))
def test_nothing_is_lost(seed: int, channels: int, rows: int, steps: int) -> None:
    """Every channel has a place. Where there is only one of both to gain, it does not fall."""
    rng = np.random.default_rng(seed)
    sizes = np.abs(rng.normal(0, 45, (rows, channels))).clip(0, 127).astype(np.int16)
    made = [rng.random((channels, steps)) < 0.8] if steps else []
    assert sorted(best_order(COLUMNS, sizes, made)) == list(range(channels))
    assert fitting_rows(sizes[:, best_order(COLUMNS, sizes, [])]) >= fitting_rows(sizes)
    if made:
        assert fitting_blocks(made[0][best_order(COLUMNS, sizes[:0], made)]) >= fitting_blocks(made[0])


@pytest.mark.parametrize("seed", range(3))
def test_all_sums_fit(seed: int) -> None:
    """As sizes of weights are distributed, where in the order given not all do."""
    rng = np.random.default_rng(seed)
    weights = rng.normal(size=(64, 384))
    sizes = np.rint(np.abs(weights) / np.abs(weights).max(axis=1, keepdims=True) * 127).astype(np.int16)
    made = [rng.random((384, 4)) < 0.75]
    order = best_order(COLUMNS, sizes, made)
    assert fitting_rows(sizes) < 0.97 * sizes.size / 16
    assert fitting_rows(sizes[:, order]) == sizes.size / 16
    assert fitting_blocks(made[0][order]) > 0.6 * 48 * 4 > 2 * fitting_blocks(made[0])


def test_few_blocks_gain_nothing() -> None:
    """Where half of a node's steps could not be marked, its channels may stay."""
    made = [np.arange(32)[:, None] % 3 == 0]
    assert (best_order(COLUMNS, np.empty((0, 32), np.int16), made) == np.arange(32)).all()


def test_very_many_channels_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    """To bring alike ones together would take minutes."""
    made, rows = np.random.default_rng(0).random((384, 4)) < 0.75, np.empty((0, 384), np.int16)
    assert (best_order(COLUMNS, rows, [made]) != np.arange(384)).any()
    monkeypatch.setattr("edgec.compiler.lower.channels.order.COMPARED", 384 * made.size - 1)
    assert (best_order(COLUMNS, rows, [made]) == np.arange(384)).all()
