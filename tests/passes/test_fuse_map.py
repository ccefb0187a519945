import numpy as np
import pytest

from edgec.passes import fuse_map

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
def test_hard_swish_from_its_parts(golden, spelling):
    body, expr = HARD_SWISHES[spelling]
    constants = "const %three: float32[1] = @three\nconst %six: float32[] = @six\n" if "%three" in body else ""
    head = "graph @g(%x: float32[1,4,5,5]) -> (%y) {\n"
    after = f"{head}%y: float32[1,4,5,5] = map(%x) {{expr={expr}}}\n}}"
    data = {"three": np.full(1, 3, np.float32), "six": np.float32(6)}
    golden(fuse_map.run, f"{head}{constants}{body}\n}}", after, data)


def test_addition_and_its_activation(golden):
    golden(
        fuse_map.run,
        """
        graph @g(%x: float32[2,3], %z: float32[2,3]) -> (%y) {
          %a: float32[2,3] = map(%x, %z) {expr=add(%0, %1)}
          %b: float32[2,3] = map(%a) {expr=max(%0, 0.0)}
          %y: float32[2,3] = map(%z, %b) {expr=sub(%0, %1)}
        }
        """,
        """
        graph @g(%x: float32[2,3], %z: float32[2,3]) -> (%y) {
          %y: float32[2,3] = map(%z, %x) {expr=sub(%0, max(add(%1, %0), 0.0))}
        }
        """,
    )


LEAVES_ALONE = {
    "a small operand would be computed again for each element": """
        graph @g(%x: float32[2,3], %z: float32[3]) -> (%y) {
          %a: float32[3] = map(%z) {expr=exp(%0)}
          %y: float32[2,3] = map(%x, %a) {expr=mul(%0, %1)}
        }""",
    "several readers": """
        graph @g(%x: float32[2,3], %z: float32[2,1]) -> (%y, %v) {
          %a: float32[2,3] = map(%x) {expr=exp(%0)}
          %y: float32[2,3] = map(%a, %z) {expr=mul(%0, %1)}
          %v: float32[2,3] = map(%a, %z) {expr=add(%0, %1)}
        }""",
    "a rounding to int8 in between": """
        graph @g(%x: int8[2,3] q(0.1, 3)) -> (%y) {
          %a: int8[2,3] q(0.2, 0) = map(%x) {expr=exp(%0)}
          %y: int8[2,3] q(0.1, 0) = map(%a) {expr=neg(%0)}
        }""",
    "a literal would lose the shape": """
        graph @g(%x: float32[3]) -> (%y) {
          const %c: float32[1,1] = @c
          %y: float32[1,3] = map(%x, %c) {expr=add(%0, %1)}
        }""",
}


@pytest.mark.parametrize("why", LEAVES_ALONE)
def test_leaves_alone(golden, why):
    golden(fuse_map.run, LEAVES_ALONE[why], LEAVES_ALONE[why])
