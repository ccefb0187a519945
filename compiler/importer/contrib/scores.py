"""What the kinds of attention share: masks, and the standard's Attention."""

from .call import Call
from .text import counted, ints, scalar

_MASKED = -10000.0
"""What is added to the scores of keys that are masked out, unless an attribute says otherwise."""


def _mask(c: Call, index: int, name: str, keys: int) -> str:
    """`added` [batch or 1, 1, queries or 1, keys] from the mask called `name`, the input number `index`."""
    shape = c.shape(index)
    lines = scalar("offset", float(c.number("mask_filter_value", _MASKED))) + scalar("one", 1.0)
    if len(shape) == 1:
        if shape[0] != c.shape(0)[0]:
            raise ValueError(f"its mask has the shape {list(shape)}; [batch], [batch, keys] and 3-d ones are supported")
        lines += counted("keys", keys) + ints("column", -1, 1) + f"counts = Reshape({name}, column)\n"
        lines += "wide = Cast<to = 7>(counts)\n kept = Less(keys, wide)\n"
    elif len(shape) in (2, 3):
        lines += f"kept = Identity({name})\n"
    else:
        raise ValueError(f"its mask has {len(shape)} dimensions; 1 to 3 are supported")
    rows = shape[1] if len(shape) == 3 else 1
    lines += ints("wanted", -1, 1, rows, keys) + "square = Reshape(kept, wanted)\n real = Cast<to = 1>(square)\n"
    return lines + "hidden = Sub(one, real)\n added = Mul(hidden, offset)\n"


def attention(
    c: Call, heads: int, *, queries: int, keys: int, mask: tuple[int, str] | None, bias: str, past: str
) -> str:
    """`y`, and `k2` and `v2` with the past before them, from q, k, v [batch, length, heads * size]."""
    causal = bool(c.number("unidirectional", 0)) and queries > 1
    lines = ""
    added = [bias] if bias else []
    if mask is not None:
        lines += _mask(c, *mask, keys)
        added.append("added")
    if len(added) == 2:
        lines += f"total = Add({', '.join(added)})\n"
        added = ["total"]
    scale = f", scale = {c.number('scale')!r}" if c.number("scale", 0.0) else ""
    attributes = f"q_num_heads = {heads}, kv_num_heads = {heads}, is_causal = {int(causal)}{scale}"
    operands = ["q", "k", "v", added[0] if added else '""', *past.split()]
    while operands[-1] == '""':
        operands.pop()
    return lines + f"y, k2, v2 = Attention<{attributes}>({', '.join(operands)})\n"
