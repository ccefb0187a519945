"""The cache of a GroupQueryAttention: keys and values of the past, then the new ones."""

from math import prod

from ...ir.extent import Extent
from .call import Call
from .text import counted, ints, scalar


def past_rows(c: Call) -> int:
    """The rows of the past."""
    return c.shape(3)[2] if c.has(3) else 0


def starts_anew(c: Call) -> bool:
    """Whether nothing of the past counts, in every run."""
    total = c.constant(6)
    return not c.has(3) or (total is not None and total.item() == c.shape(0)[1])


def present(c: Call, name: str, new: str, scale: int) -> str:
    """`{name}2` [batch, heads, rows, size]: the past with `new` from the row `first` on, and 0 behind; `{name}_real`:
    what that stands for. The cache holds int8 codes where the input number `scale` is there: one scale, or one an
    element of a row."""
    if not c.has(scale):
        return _joined(c, f"{name}2", f"past_{name}", new, scalar(f"{name}2_none", 0.0)) + (
            f"{name}_real = Identity({name}2)\n"
        )
    size = prod(c.shape(scale))
    shape = (1, 1, 1, 1) if size == 1 else (1, int(c.number("kv_num_heads")), 1, -1)
    lines = ints(f"{name}_apart", *shape) + f"{name}_unit = Reshape({name}_scale, {name}_apart)\n"
    lines += scalar(f"{name}_low", -128.0) + scalar(f"{name}_high", 127.0)
    lines += f"{name}_parts = Div({new}, {name}_unit)\n {name}_whole = Round({name}_parts)\n"
    lines += f"{name}_cut = Clip({name}_whole, {name}_low, {name}_high)\n {name}_codes = Cast<to = 3>({name}_cut)\n"
    lines += _joined(c, f"{name}2", f"past_{name}", f"{name}_codes", scalar(f"{name}2_none", 0, "int8"))
    return lines + f"{name}_numbers = Cast<to = 1>({name}2)\n {name}_real = Mul({name}_numbers, {name}_unit)\n"


def _joined(c: Call, present: str, past: str, new: str, none: str) -> str:
    queries, rows, total = c.shape(0)[1], past_rows(c), c.constant(6)
    if isinstance(rows, Extent):
        return f"{present} = Concat<axis = 2>({past}, {new})\n"
    if not rows or (starts_anew(c) and rows <= queries):
        return f"{present} = Identity({new})\n"
    size = queries + rows if total is None else max(rows, total.item())
    lines = none + ints(f"{present}_pads", 0, 0, 0, 0, 0, 0, size - rows, 0)
    lines += f"{present}_room = Pad({past}, {present}_pads)\n" + ints(f"{present}_flat", -1)
    lines += f"{present}_first = Reshape(first, {present}_flat)\n"
    lines += f"{present}_all = TensorScatter<axis = 2>({present}_room, {new}, {present}_first)\n"
    lines += counted(f"{present}_keys", size) + ints(f"{present}_column", size, 1)
    lines += f"{present}_down = Reshape({present}_keys, {present}_column)\n {present}_end = Add(first, steps_n)\n"
    lines += f"{present}_kept = Less({present}_down, {present}_end)\n"
    return lines + f"{present} = Where({present}_kept, {present}_all, {present}_none)\n"
