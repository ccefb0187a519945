"""Tensors of integers that the shapes of a run decide."""

import numpy as np
import pytest

from edgec.compiler.ir.extent import symbol
from edgec.compiler.ops.builder import Builder


@pytest.mark.parametrize("dtype", ["int32", "int64"])
def test_they_have_the_type_that_is_asked_for(dtype):
    elements = np.empty(2, object)
    elements[:] = symbol("n", 1, 4), 3
    assert Builder().integers(elements, dtype).type.dtype == dtype
