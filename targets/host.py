"""This machine: x86-64 with AVX2, or arm64 Linux."""

import platform

from ..errors import EdgeError
from .arm64 import arm64
from .avx2 import Avx2
from .avx512 import Avx512
from .target import Target, TileShape, Variant

_AVX2 = Variant(
    "avx2",
    frozenset({"avx2", "fma"}),
    {"kind": "llvm", "mtriple": "x86_64-linux-gnu", "mcpu": "haswell"},
    Avx2,
)

_PAIRED = [
    TileShape(56, 7, paired=True, cost=0.96),  # pixels of the planes that networks for images have are multiples of 49
    TileShape(48, 8, paired=True, cost=0.99),  # not cheaper by itself, but code of its own
]

X86_64 = Target(
    name="host",
    description="this machine: x86-64 with AVX2 and FMA",
    arch="x86_64",
    systems=("linux",),
    variants=(
        Variant(
            "vbmi",
            frozenset({"avx2", "fma", "avx512", "avx512vnni", "avx512vbmi"}),
            {"kind": "llvm", "mtriple": "x86_64-linux-gnu", "mcpu": "icelake-server"},
            lambda: Avx512(vbmi=True),
            frozenset({"conv", "depthwise", "table", "winograd"}),
            least=0.005,
        ),
        Variant(
            "vnni",
            frozenset({"avx2", "fma", "avx512", "avx512vnni"}),
            {"kind": "llvm", "mtriple": "x86_64-linux-gnu", "mcpu": "cascadelake"},
            lambda: Avx512(vbmi=False),
            frozenset({"conv", "depthwise", "winograd"}),
            least=0.005,
        ),
        _AVX2,
    ),
    halves=(_AVX2,),
    columns=16,
    cache=256 << 10,
    usual_cache=512 << 10,
    tiles={
        "int8": [TileShape(56, 14), *_PAIRED],
        "float32": [TileShape(56, 8), *_PAIRED],
        "float16": [TileShape(4, 4), TileShape(4, 4, paired=True, cost=0.96)],
    },
    second_bias=True,
)


def host() -> Target:
    """The target for the machine that edgec runs on; EdgeError where there is none."""
    machine = platform.machine().lower()
    if machine in ("x86_64", "amd64"):
        return X86_64
    if machine in ("aarch64", "arm64"):
        return arm64("host", "this machine: arm64 Linux", ("linux",), "aarch64-linux-gnu")
    raise EdgeError(
        f"this machine is a {machine}, but `--target host` needs x86_64 or aarch64; use --target arm64-neon"
    )
