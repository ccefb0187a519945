"""What tokens and their places become."""

from ...ops.onnx_node import MICROSOFT
from .call import Call
from .registry import function
from .text import counted, ints, scalar


@function(
    "EmbedLayerNormalization",
    "ids, segments, words, positions, kinds, gamma, beta, mask, places",
    "y, lengths, sum",
)
def _embed_layer_normalization(c: Call) -> str:
    _, length = c.shape(0)
    lines = "w = Gather(words, ids)\n"
    if c.has(8):
        lines += "p = Gather(positions, places)\n"
    else:
        lines += ints("first", 0) + ints("last", length) + "p = Slice(positions, first, last, first)\n"
    lines += "wp = Add(w, p)\n"
    lines += "k = Gather(kinds, segments)\n sum = Add(wp, k)\n" if c.has(1) else "sum = Identity(wp)\n"
    lines += f"y = LayerNormalization<epsilon = {c.number('epsilon', 1e-12)}>(sum, gamma, beta)\n"
    if c.has(7):
        return lines + ints("one", 1) + "lengths = ReduceSum<keepdims = 0>(mask, one)"
    lines += scalar("none", 0, "int32") + ints("rows", c.shape(0)[0])
    return lines + "lengths = Expand(none, rows)"


@function("RotaryEmbedding", "x, places, cos, sin", "y")
def _rotary_embedding(c: Call) -> str:
    if c.number("scale", 1.0) != 1.0:
        raise ValueError("its scale is not 1; only 1 is supported")
    shape = c.shape(0)
    batch, length = shape[0], shape[2 if len(shape) == 4 else 1]
    heads = c.number("num_heads", 0)
    if len(shape) == 3 and not heads:
        heads = shape[2] // (2 * c.shape(2)[1])
    names = {"interleaved": c.number("interleaved", 0), "rotary_embedding_dim": c.number("rotary_embedding_dim", 0)}
    names |= {"num_heads": heads} if len(shape) == 3 else {}
    lines = "at = Identity(places)\n"
    if len(c.shape(1)) < 2:
        lines = counted("steps", length) + ints("all", batch, length)
        lines += "line = Add(places, steps)\n at = Expand(line, all)\n"
    return lines + f"y = RotaryEmbedding<{', '.join(f'{k} = {int(v)}' for k, v in names.items())}>(x, cos, sin, at)"


@function(
    "QEmbedLayerNormalization",
    "ids, segments, words, positions, kinds, gamma, beta, mask, words_s, positions_s, kinds_s, gamma_s, beta_s, "
    "words_z, positions_z, kinds_z, gamma_z, beta_z",
    "y, lengths",
)
def _quantized_embed_layer_normalization(c: Call) -> str:
    names = ("words", "positions", "kinds", "gamma", "beta")
    lines, given = "", {name: f"{name}_real" if c.has(i) else '""' for i, name in enumerate(names, 2)}
    for name, real in given.items():
        lines += f"{real} = DequantizeLinear({name}, {name}_s, {name}_z)\n" if real != '""' else ""
    optional = [name if c.has(i) else '""' for i, name in ((1, "segments"), (7, "mask"))]
    operands = ", ".join(["ids", optional[0], *given.values(), optional[1]])
    return lines + f"y, lengths = {MICROSOFT}.EmbedLayerNormalization{c.given(epsilon='epsilon')}({operands})"
