"""arm64 with NEON: Armv8.0, dotprod (in two orders) and i8mm code in one bundle, with one weight packing."""

from .neon import Neon
from .target import Target, TileShape, Variant


def _llvm(triple: str, *features: str) -> dict[str, object]:
    """LLVM's target. "generic" orders code for in-order cores, where order matters; for a CPU named as one of these
    LLVM also unrolls every loop at run time, which triples the code. And -O3 makes copies of whole loops for conditions
    that are the same all along: twice the code, no faster. Android's shadow call stack owns x18."""
    attributes = ["+neon", "+reserve-x18", *features]
    return {"kind": "llvm", "mtriple": triple, "opt-level": 2, "mcpu": "generic", "mattr": attributes}


_FLOAT_TILES = [
    TileShape(40, 8),
    TileShape(50, 5, paired=True, cost=0.96),  # a plane of 7 x 7 is one tile: weights are read once
    TileShape(32, 4, paired=True, cost=0.97),
]
_INT8_TILES = [
    TileShape(40, 8, gathered=10),
    TileShape(40, 5, paired=True, cost=0.96, gathered=10),
    TileShape(32, 8, cost=1.05, gathered=8),  # code of its own: for few pixels, of which tens compute too many
]


def arm64(name: str, description: str, systems: tuple[str, ...], triple: str) -> Target:
    """An arm64 target; `triple` is LLVM's."""
    base = Variant("base", frozenset(), _llvm(triple), lambda: Neon(in_order=True))
    return Target(
        name=name,
        description=description,
        arch="aarch64",
        systems=systems,
        variants=(
            Variant(
                "dotprod_inorder",
                frozenset({"dotprod", "inorder"}),
                _llvm(triple, "+dotprod"),
                lambda: Neon(dotprod=True, in_order=True),
                frozenset({"conv", "depthwise"}),
                least=0.01,
            ),
            Variant(
                "i8mm",
                frozenset({"dotprod", "i8mm"}),
                _llvm(triple, "+dotprod", "+i8mm"),
                lambda: Neon(dotprod=True, in_order=False, i8mm=True),
                frozenset({"conv", "depthwise", "softmax", "table", "winograd"}),
                least=0.02,
            ),
            Variant(
                "dotprod",
                frozenset({"dotprod"}),
                _llvm(triple, "+dotprod"),
                lambda: Neon(dotprod=True, in_order=False),
                frozenset({"conv", "depthwise", "softmax", "table", "winograd"}),
                least=0.001,
                least_reordered=0.005,
            ),
            base,
        ),
        halves=(
            Variant(
                "fullfp16_inorder",
                frozenset({"fullfp16", "inorder"}),
                _llvm(triple, "+fullfp16"),
                lambda: Neon(half=True, in_order=True),
                frozenset({"conv", "depthwise", "map", "normalize", "softmax", "winograd"}),
                least=0.06,
            ),
            Variant(
                "fullfp16",
                frozenset({"fullfp16"}),
                _llvm(triple, "+fullfp16"),
                lambda: Neon(half=True),
                frozenset({"conv", "depthwise", "map", "normalize", "softmax", "winograd"}),
                least=0.001,
            ),
            base,
        ),
        columns=8,
        cache=128 << 10,
        usual_cache=512 << 10,
        share=0.75,
        tiles={
            "int8": _INT8_TILES,
            "float32": _FLOAT_TILES,
            "float16": [
                TileShape(56, 8),
                TileShape(56, 4, paired=True, cost=0.96),
            ],
        },
        small_sums=True,
        looks_up_results=True,
        marks=True,
        has_fixed_point=True,
    )


ARM64_NEON = arm64(
    "arm64-neon",
    "Android phones and arm64 Linux boards: Armv8.0, dotprod and i8mm code, chosen at load",
    ("linux", "android"),
    "aarch64-linux-android",
)
