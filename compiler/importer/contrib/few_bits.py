"""Products with weights of few bits, in blocks that have a scale each. They become float32 when compiling."""

from math import ceil

from .call import Call
from .packing import PACKED_BITS, first_columns, unpacked
from .registry import function
from .text import ints, scalar


@function("MatMulNBits", "a, codes, scales, zeros, groups, bias", "y")
def _matmul_n_bits(c: Call) -> str:
    """The weights are [N, blocks, bytes]."""
    k, n, block, bits = (int(c.number(name)) for name in ("K", "N", "block_size", "bits"))
    if bits not in PACKED_BITS or c.has(4):
        raise ValueError(f"it has {bits} bits{' and a group index' * c.has(4)}; 2, 4 and 8 bits in order are supported")
    blocks = ceil(k / block)
    lines = unpacked("codes", "w_codes", bits, (n, blocks, block)) + "w = Cast<to = 1>(w_codes)\n"
    lines += ints("apart", n, blocks, 1)
    if not c.has(3):
        lines += scalar("z", float(2 ** (bits - 1)))
    elif c.types[3] is not None and c.types[3].dtype == "uint8":
        per_row = ceil(blocks * bits / 8) * 8 // bits
        lines += unpacked("zeros", "z_codes", bits, (n, per_row)) + first_columns("z_codes", "z_rows", blocks)
        lines += "z_apart = Reshape(z_rows, apart)\n z = Cast<to = 1>(z_apart)\n"
    else:
        lines += "z = Reshape(zeros, apart)\n"
    lines += "s = Reshape(scales, apart)\n shifted = Sub(w, z)\n real = Mul(shifted, s)\n"
    lines += _product(n, blocks * block, k)
    return lines + ("y = Add(product, bias)" if c.has(5) else "y = Identity(product)")


_FP4 = (0.0, 0.0625 / 12, 8 / 12, 1.0, 4 / 12, 0.5, 2 / 12, 0.25)
_NF4 = (
    -1.0, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453, -0.28444138169288635, -0.18477343022823334,
    -0.09105003625154495, 0.0, 0.07958029955625534, 0.16093020141124725, 0.24611230194568634, 0.33791524171829224,
    0.44070982933044434, 0.5626170039176941, 0.7229568362236023, 1.0,
)  # fmt: skip
_TABLES = ((*_FP4, *(-v for v in _FP4)), _NF4)
"""What bitsandbytes' codes stand for, by `quant_type`: floats of four bits, or quantiles of the normal distribution."""


@function("MatMulBnb4", "a, codes, scales", "y")
def _matmul_bnb4(c: Call) -> str:
    """The weights are [N * K / 2], the first of two in the high half of a byte."""
    k, n, block, kind = (int(c.number(name)) for name in ("K", "N", "block_size", "quant_type"))
    if kind not in (0, 1) or c.number("transB", 1) != 1 or (n * k) % block or n * k % 2:
        raise ValueError(
            f"its type is {kind}, and {n} x {k} weights are in blocks of {block}; types 0 and 1 of a transposed matrix "
            "of whole blocks are supported"
        )
    lines = f"table = Constant<value = float[16] {{{', '.join(map(repr, _TABLES[kind]))}}}>()\n"
    lines += unpacked("codes", "w_codes", 4, (n * k // block, block), shifts=(4, 0))
    lines += "w_index = Cast<to = 6>(w_codes)\n w = Gather(table, w_index)\n"
    lines += ints("column", -1, 1) + "s = Reshape(scales, column)\n real = Mul(w, s)\n" + _product(n, k, k)
    return lines + "y = Identity(product)"


def _product(n: int, columns: int, k: int) -> str:
    """`product` of `a` with the first `k` of as many `columns` of `real`, transposed."""
    lines = ints("flat", n, columns) + "rows = Reshape(real, flat)\n" + first_columns("rows", "cut", k)
    return lines + "turned = Transpose<perm = [1, 0]>(cut)\n product = MatMul(a, turned)\n"
