"""Embeddings of few bits: looked up as codes, and real numbers only then."""

from math import ceil

from .call import Call
from .packing import PACKED_BITS, first_columns, unpacked
from .registry import function
from .text import ints, scalar


@function("GatherBlockQuantized", "data, indices, scales, zeros", "y")
def _gather_block_quantized(c: Call) -> str:
    """The codes are bytes, or several in a byte along the last axis."""
    block, bits, rank = int(c.number("block_size", 128)), int(c.number("bits", 4)), len(c.shape(0))
    gather, axis = (int(c.number(name, default)) % rank for name, default in (("gather_axis", 0), ("quantize_axis", 1)))
    if axis != rank - 1 or gather == axis or bits not in PACKED_BITS:
        raise ValueError(
            f"it gathers along axis {gather} codes of {bits} bits in blocks along axis {axis} of {rank}; 2, 4 and 8 "
            "bits in blocks along the last axis, gathered along another one, are supported"
        )
    outer = (*c.shape(0)[:gather], *c.shape(1), *c.shape(0)[gather + 1 : -1])
    packed, blocks = _is_packed(c, block, bits), c.shape(2)[-1]
    lines = f"steps = Gather<axis = {gather}>(scales, indices)\n"
    operands = ["codes", "steps"]
    for index, source, target in ((0, "data", "codes"), (3, "zeros", "points")):
        if c.has(index) and packed:
            lines += f"{target}_bytes = Gather<axis = {gather}>({source}, indices)\n"
            lines += unpacked(f"{target}_bytes", f"{target}_row", bits, (*outer, c.shape(index)[-1] * 8 // bits))
            lines += first_columns(f"{target}_row", target, blocks if index == 3 else blocks * block)
        elif c.has(index):
            lines += f"{target} = Gather<axis = {gather}>({source}, indices)\n"
    if c.has(3):
        operands.append("points")
    elif packed or (bits == 8 and c.types[0] is not None and c.types[0].dtype == "uint8"):
        lines += scalar("middle", 2 ** (bits - 1), "uint8") + ints("places", *outer, blocks)
        lines += "points = Expand(middle, places)\n"
        operands.append("points")
    along = f"axis = {len(outer)}, block_size = {block}"
    return lines + f"y = DequantizeLinear<{along}>({', '.join(operands)})"


def _is_packed(c: Call, block: int, bits: int) -> bool:
    """Whether a byte of the data holds several codes: the number of scales tells."""
    extent, blocks = c.shape(0)[-1], c.shape(2)[-1]
    if bits == 8:
        return False
    single, several = (ceil(codes / block) == blocks for codes in (extent, extent * 8 // bits))
    if single == several:
        raise ValueError(
            f"its rows of {extent} bytes have {blocks} scales, which does not say how many codes they hold"
        )
    return several
