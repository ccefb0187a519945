"""The targets that `--target` knows."""

from collections.abc import Callable, Mapping

from ..errors import EdgeError
from .arm64 import ARM64_NEON
from .host import host
from .riscv64 import RISCV64_RVV
from .target import Target

TARGETS: Mapping[str, Callable[[], Target]] = {
    "arm64-neon": lambda: ARM64_NEON,
    "riscv64-rvv": lambda: RISCV64_RVV,
    "host": host,
}
"""name -> how to get the target."""


def find(name: str) -> Target:
    """The target called `name`; EdgeError lists those that exist."""
    if name not in TARGETS:
        raise EdgeError(f"there is no target {name!r}; `--target` takes: {', '.join(TARGETS)}")
    return TARGETS[name]()
