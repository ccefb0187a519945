"""int8 sums and products, byte for byte the contract."""

from typing import Literal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgec.compiler.ir.types import Quant
from edgec.compiler.kernels import arith
from edgec.compiler.kernels.arith import ArithSpec
from edgec.compiler.kernels.elementwise import rows_of
from edgec.compiler.kernels.emit.quantization import SumForm
from edgec.compiler.lower.nodes.epilogue import is_small_product
from edgec.compiler.lower.nodes.sums import sum_params
from edgec.compiler.ops import quantized
from edgec.tests.kernel_harness import Machine, examples, on_machines, run_kernel

quants = st.builds(Quant.per_tensor, st.floats(0.003, 0.4), st.integers(-128, 127))


@on_machines
@pytest.mark.parametrize("kind", ["add", "mul"])
@examples
@given(
    types=st.tuples(quants, quants, quants),
    shape=st.tuples(st.integers(1, 3), st.integers(1, 6), st.integers(1, 70)),
    b_shape=st.sampled_from(["same", "channels", "scalar"]),
    bounds=st.sampled_from([(-128, 127), (-5, 90)]),
    known=st.booleans(),
    vectors=st.sampled_from([2, 4]),
    form=st.sampled_from(["any", "small", "shifted"]),
)
def test_bytes(
    machine: Machine, kind: Literal["add", "mul"], types: tuple[Quant, Quant, Quant], shape: tuple[int, int, int],
    b_shape: str, bounds: tuple[int, int], known: bool, vectors: Literal[2, 4], form: SumForm,
) -> None:  # fmt: skip
    rng = np.random.default_rng(shape[2])
    extent = {"same": shape, "channels": (1, 1, shape[2]), "scalar": (1, 1, 1)}[b_shape]
    a, b = (rng.integers(-128, 128, s).astype(np.int8) for s in (shape, extent))
    a.flat[: min(2, a.size)], b.flat[0] = (-128, 127)[: min(2, a.size)], -128
    expected = (quantized.add if kind == "add" else quantized.mul)(a, b, types, *bounds)
    whole = np.zeros((shape[0], shape[1], shape[2] + 9), np.int8)
    y = whole[:, :, 4 : 4 + shape[2]]
    rows = rows_of(shape[2], vectors * machine.isa.lanes) if known else "any"
    known_form, added = sum_params(*types, small=form != "any", shifted=form == "shifted")
    if kind == "mul":
        known_form = "small" if form != "any" and is_small_product(*types) else "any"
    spec = ArithSpec(kind, b_shape != "scalar", rows, vectors, known_form, bounds != (-128, 127))
    params: dict[str, int | float] = {
        "extent_1": shape[0],
        "extent_2": shape[1],
        "count": shape[2],
        "chunk": shape[2],
        "chunks": 1,
    }
    for name, array in (("a", a), ("b", b), ("y", y)):
        own = [array.strides[i] if array.shape[i] > 1 else 0 for i in range(2)]
        params |= {f"{name}_0": 0, f"{name}_1": own[0], f"{name}_2": own[1]}
    zeros = [q.zero_point[0] for q in types]
    if kind == "add":
        params |= {"zero_point_a": zeros[0], **added, "sum_low": bounds[0], "sum_high": bounds[1]}
    else:
        params |= {"a_zero_point": zeros[0], "b_zero_point": zeros[1], "zero_point": zeros[2]}
        params |= {"multiplier": float(quantized.mul_multiplier(*types)), "low": bounds[0], "high": bounds[1]}
    got = run_kernel(arith, spec, machine, {"a": a, "b": b, "y": y}, params, shape[0])["y"]
    np.testing.assert_array_equal(got, expected)
