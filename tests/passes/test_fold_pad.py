from collections.abc import Callable

import pytest

from edgec.compiler.ir.graph import Graph
from edgec.passes import fold_pad


def test_into_convolution_and_average_pool(golden: Callable[..., Graph]) -> None:
    golden(
        fold_pad.run,
        """
        graph @g(%x: float32[1,4,5,5]) -> (%y, %z) {
          const %w: float32[6,4,3,3] = @w
          %t: float32[1,4,7,8] = pad(%x) {pads=(0,0,1,1,0,0,1,2)}
          %y: float32[1,6,7,8] = conv2d(%t, %w) {pads=(1,1,1,1)}
          %u: float32[1,4,7,7] = pad(%x) {pads=(0,0,1,1,0,0,1,1)}
          %z: float32[1,4,5,5] = avg_pool2d(%u) {kernel=(3,3)}
        }
        """,
        """
        graph @g(%x: float32[1,4,5,5]) -> (%y, %z) {
          const %w: float32[6,4,3,3] = @w
          %y: float32[1,6,7,8] = conv2d(%x, %w) {pads=(2,2,2,3)}
          %z: float32[1,4,5,5] = avg_pool2d(%x) {kernel=(3,3), pads=(1,1,1,1), count_include_pad=True}
        }
        """,
    )


def test_into_max_pool_of_what_is_not_negative(golden: Callable[..., Graph]) -> None:
    golden(
        fold_pad.run,
        """
        graph @g(%x: float32[1,4,5,5]) -> (%y) {
          %r: float32[1,4,5,5] = map(%x) {expr=max(%0, 0.0)}
          %t: float32[1,4,7,7] = pad(%r) {pads=(0,0,1,1,0,0,1,1)}
          %y: float32[1,4,3,3] = max_pool2d(%t) {kernel=(3,3), strides=(2,2)}
        }
        """,
        """
        graph @g(%x: float32[1,4,5,5]) -> (%y) {
          %r: float32[1,4,5,5] = map(%x) {expr=max(%0, 0.0)}
          %y: float32[1,4,3,3] = max_pool2d(%r) {kernel=(3,3), strides=(2,2), pads=(1,1,1,1)}
        }
        """,
    )


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(
            """
            %t: float32[1,4,7,7] = pad(%x) {pads=(0,0,1,1,0,0,1,1), value=1.0}
            %y: float32[1,4,5,5] = avg_pool2d(%t) {kernel=(3,3)}
            """,
            id="another value",
        ),
        pytest.param(
            """
            %t: float32[1,4,7,7] = pad(%x) {pads=(0,0,1,1,0,0,1,1)}
            %y: float32[1,4,7,7] = avg_pool2d(%t) {kernel=(3,3), pads=(1,1,1,1)}
            """,
            id="a pool that does not count its own padding",
        ),
        pytest.param(
            """
            %t: float32[1,4,7,7] = pad(%x) {pads=(0,0,1,1,0,0,1,1)}
            %y: float32[1,4,5,5] = max_pool2d(%t) {kernel=(3,3)}
            """,
            id="elements below the padding",
        ),
        pytest.param(
            """
            %t: float32[1,6,5,5] = pad(%x) {pads=(0,1,0,0,0,1,0,0)}
            %y: float32[1,6,3,3] = avg_pool2d(%t) {kernel=(3,3)}
            """,
            id="channels",
        ),
        pytest.param(
            """
            %t: float32[1,4,7,7] = pad(%x) {pads=(0,0,1,1,0,0,1,1), mode="edge"}
            %y: float32[1,4,5,5] = avg_pool2d(%t) {kernel=(3,3)}
            """,
            id="another mode",
        ),
    ],
)
def test_leaves_alone(golden: Callable[..., Graph], body: str) -> None:
    text = "graph @g(%x: float32[1,4,5,5]) -> (%y) {\n" + body + "\n}"
    golden(fold_pad.run, text, text)
