from collections.abc import Callable

import numpy as np
import pytest

from edgec.compiler.ir.graph import Graph
from edgec.passes import fuse_unary

HARD_SWISHES = {
    "PaddleOCR: x * clip(x + 3, 0, 6) / 6": (
        """
        %a: float32[1,4,5,5] = map(%x, %three) {expr=add(%0, %1)}
        %b: float32[1,4,5,5] = map(%a) {expr=min(max(%0, 0.0), 6.0)}
        %c: float32[1,4,5,5] = map(%x, %b) {expr=mul(%0, %1)}
        %y: float32[1,4,5,5] = map(%c, %six) {expr=div(%0, %1)}
        """,
        "div(mul(%0, min(max(add(%0, 3.0), 0.0), 6.0)), 6.0)",
    ),
    "x * (clip(x + 3, 0, 6) / 6)": (
        """
        %a: float32[1,4,5,5] = map(%three, %x) {expr=add(%0, %1)}
        %b: float32[1,4,5,5] = map(%a) {expr=min(max(%0, 0.0), 6.0)}
        %c: float32[1,4,5,5] = map(%b, %six) {expr=div(%0, %1)}
        %y: float32[1,4,5,5] = map(%c, %x) {expr=mul(%0, %1)}
        """,
        "mul(div(min(max(add(3.0, %0), 0.0), 6.0), 6.0), %0)",
    ),
    "x * hard_sigmoid(x)": (
        """
        %a: float32[1,4,5,5] = map(%x) {expr=min(max(add(div(%0, 6.0), 0.5), 0.0), 1.0)}
        %y: float32[1,4,5,5] = map(%x, %a) {expr=mul(%0, %1)}
        """,
        "mul(%0, min(max(add(div(%0, 6.0), 0.5), 0.0), 1.0))",
    ),
}


@pytest.mark.parametrize("spelling", HARD_SWISHES)
def test_hard_swish_from_its_parts(golden: Callable[..., Graph], spelling: str) -> None:
    body, expr = HARD_SWISHES[spelling]
    constants = "const %three: float32[1] = @three\nconst %six: float32[] = @six\n" if "%three" in body else ""
    head = "graph @g(%x: float32[1,4,5,5]) -> (%y) {\n"
    after = f"{head}%y: float32[1,4,5,5] = map(%x) {{expr={expr}}}\n}}"
    data = {"three": np.full(1, 3, np.float32), "six": np.float32(6)}
    golden(fuse_unary.run, f"{head}{constants}{body}\n}}", after, data)


def test_a_clamp_joins_the_sum_before_it(golden: Callable[..., Graph]) -> None:
    golden(
        fuse_unary.run,
        """
        graph @g(%x: float32[2,3], %z: float32[2,3]) -> (%y) {
          %a: float32[2,3] = map(%x, %z) {expr=add(%0, %1)}
          %y: float32[2,3] = map(%a) {expr=max(%0, 0.0)}
        }
        """,
        """
        graph @g(%x: float32[2,3], %z: float32[2,3]) -> (%y) {
          %y: float32[2,3] = map(%x, %z) {expr=max(add(%0, %1), 0.0)}
        }
        """,
    )


def test_an_activation_and_a_sum_stay_what_int8_computes_fast(golden: Callable[..., Graph]) -> None:
    text = """
        graph @g(%x: float32[2,3], %z: float32[2,3]) -> (%y, %v) {
          %a: float32[2,3] = map(%x) {expr=tanh(%0)}
          %y: float32[2,3] = map(%a, %z) {expr=add(%0, %1)}
          %b: float32[2,3] = map(%x, %z) {expr=mul(%0, %1)}
          %v: float32[2,3] = map(%b) {expr=tanh(%0)}
        }
        """
    golden(fuse_unary.run, text, text)
