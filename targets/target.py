"""What a device is: the code variants a bundle for it carries, and the tile sizes that all of them share."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ..compiler.kernels.emit.isa import Isa
from ..errors import EdgeError


@dataclass(frozen=True)
class Variant:
    """Code for one level of CPU features, chosen when the model is opened. `families`: the kernel families (modules of
    `compiler/kernels/`) with members that gain by these features; all others are the plainest variant's code, and
    members of them that are written the same in a plainer variant are that one's. None: all families. `least`: the
    share of a model's multiply-accumulates below which a dense convolution gains too little to be worth own code.
    `least_reordered`: the same for float32, where its features change nothing but the order."""

    name: str
    features: frozenset[str]
    llvm: Mapping[str, Any]
    isa: Callable[[], Isa]
    families: frozenset[str] | None = None
    least: float = 0.0
    least_reordered: float = 0.0

    def covers(self, family: str) -> bool:
        """Whether kernels of `family` are compiled for it."""
        return self.families is None or family in self.families


@dataclass(frozen=True)
class TileShape:
    """Output pixels of a scheduling tile, and of the largest register tile, which takes two blocks at once if `paired`.
    `cost`: of the instructions for a pixel that it computes, what it takes next to other shapes. `gathered`: rows of
    the register tile of the variant that multiplies copies (`Tile.gathers`); 0: none does."""

    rows: int
    pixels: int
    paired: bool = False
    cost: float = 1.0
    gathered: int = 0

    def work(self, pixels: int) -> float:
        """What `pixels` pixels take next to other shapes, on average over variants that make copies and others."""
        tiles = (self.pixels, self.gathered or self.pixels)
        return self.cost * sum(-(-pixels // tile) * tile for tile in tiles) / 2


@dataclass(frozen=True)
class Target:
    """`variants` best first; the last needs nothing beyond the architecture's baseline. `systems`: those that a bundle
    has a library for, "linux" always among them.

    `cache`: bytes of the smallest cache beside the first one that a core of it has to itself.
    `usual_cache`: of that of most cores, where it is larger; 0: it is not.
    `share`: of the smallest, what weights and data of a tile of a dense convolution may take; weights at least half.
    `columns`: output channels of a packed weight block (of every variant's ISA).
    `tiles`: by dtype, the shapes that products may be tiled in; those that are not `paired` serve any number of
    channels.
    `small_sums`: there is code for sums that surely are small, which are converted to floats and back without
    instructions for that.
    `looks_up_results`: convolutions have code that looks up their int8 results in a table.
    `marks`: a variant has a tile that reads marks, so int8 weights have them (`kernels/convolutions/conv.py`).
    `second_bias`, `has_fixed_point`: of every variant's ISA. `halves`: the variants of bundles that compute in float16.
    """

    name: str
    description: str
    arch: str
    systems: tuple[str, ...]
    variants: tuple[Variant, ...]
    columns: int
    cache: int
    tiles: Mapping[str, Sequence[TileShape]]
    usual_cache: int = 0
    share: float = 0.5
    small_sums: bool = False
    looks_up_results: bool = False
    marks: bool = False
    second_bias: bool = False
    has_fixed_point: bool = False
    halves: tuple[Variant, ...] = ()

    def for_halves(self) -> "Target":
        """The same device, for a bundle that computes in float16; EdgeError where it has no code for that."""
        if not self.halves:
            raise EdgeError(f"--target {self.name} has no code for float16: leave out --fp16")
        return replace(self, variants=self.halves)

    def coder(self, variant: Variant, family: str, dtype: str, share: float = 1.0) -> Variant:
        """The variant whose code `variant` runs for a kernel of `family` that does `share` of all
        multiply-accumulates, of `dtype`."""
        if not variant.covers(family):
            return self.variants[-1]
        least = max(variant.least, variant.least_reordered * (dtype == "float32"))
        if family in ("conv", "winograd") and share < least:
            plainer = next(v for v in self.variants if v.features < variant.features)
            return self.coder(plainer, family, dtype, share)
        return variant

    @property
    def lanes(self) -> int:
        """32-bit elements in a vector of the plainest variant's ISA."""
        return self.columns // 2

    @property
    def triple(self) -> str:
        """LLVM's triple."""
        return str(self.variants[0].llvm["mtriple"])
