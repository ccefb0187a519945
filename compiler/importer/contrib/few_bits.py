"""Weights of few bits, which become float32 when compiling."""

from math import ceil

from .call import Call
from .registry import function
from .text import ints, scalar


@function("MatMulNBits", "a, codes, scales, zeros, groups, bias", "y")
def _matmul_n_bits(c: Call) -> str:
    """The weights [N, blocks, bytes] become float32 when compiling."""
    k, n, block, bits = (int(c.number(name)) for name in ("K", "N", "block_size", "bits"))
    if bits not in (4, 8) or c.has(4):
        raise ValueError(f"it has {bits} bits{' and a group index' * c.has(4)}; 4 and 8 bits in order are supported")
    blocks = ceil(k / block)
    lines = _unpacked("codes", "w", bits, (n, blocks, block))
    if not c.has(3):
        lines += scalar("z", float(2 ** (bits - 1)))
    elif c.types[3] is not None and c.types[3].dtype == "uint8":
        per_row = ceil(blocks * bits / 8) * 8 // bits
        lines += _unpacked("zeros", "zs", bits, (n, per_row, 1)) + ints("zb", 0) + ints("ze", blocks) + ints("zx", 1)
        lines += "z = Slice(zs, zb, ze, zx)\n"
    else:
        lines += ints("zshape", n, blocks, 1) + "z = Reshape(zeros, zshape)\n"
    lines += ints("sshape", n, blocks, 1) + "s = Reshape(scales, sshape)\n"
    lines += "shifted = Sub(w, z)\n real = Mul(shifted, s)\n"
    lines += ints("flat", n, blocks * block) + "rows = Reshape(real, flat)\n"
    lines += ints("kb", 0) + ints("ke", k) + ints("kx", 1) + "cut = Slice(rows, kb, ke, kx)\n"
    lines += "columns = Transpose<perm = [1, 0]>(cut)\n product = MatMul(a, columns)\n"
    return lines + ("y = Add(product, bias)" if c.has(5) else "y = Identity(product)")


def _unpacked(source: str, target: str, bits: int, shape: tuple[int, ...]) -> str:
    """`target` float32 of `shape` from bytes that hold one or two codes each, the low half first."""
    lines = ints(f"{target}_shape", *shape)
    if bits == 8:
        return lines + f"{target}_b = Reshape({source}, {target}_shape)\n {target} = Cast<to = 1>({target}_b)\n"
    lines += scalar(f"{target}_15", 15, "uint8") + scalar(f"{target}_4", 4, "uint8") + ints(f"{target}_end", -1)
    lines += f"{target}_low = BitwiseAnd({source}, {target}_15)\n"
    lines += f'{target}_high = BitShift<direction = "RIGHT">({source}, {target}_4)\n'
    for half in ("low", "high"):
        lines += f"{target}_{half}1 = Unsqueeze({target}_{half}, {target}_end)\n"
    lines += f"{target}_both = Concat<axis = -1>({target}_low1, {target}_high1)\n"
    return lines + f"{target}_b = Reshape({target}_both, {target}_shape)\n {target} = Cast<to = 1>({target}_b)\n"
