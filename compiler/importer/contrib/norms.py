"""Normalizations that come with a residual."""

from .call import Call
from .registry import function


def _sum(c: Call, bias: int) -> str:
    """`sum` of input, skip and, if it is there, the input number `bias`."""
    return "both = Add(x, skip)\n sum = " + ("Add(both, bias)\n" if c.has(bias) else "Identity(both)\n")


@function("SkipLayerNormalization", "x, skip, gamma, beta, bias", "y, mean, rate, sum")
def _skip_layer_normalization(c: Call) -> str:
    c.refuse_outputs(1, 2)
    beta = ", beta" if c.has(3) else ""
    return _sum(c, 4) + f"y = LayerNormalization<epsilon = {c.number('epsilon', 1e-12)}>(sum, gamma{beta})"


@function("SkipSimplifiedLayerNormalization", "x, skip, gamma, bias", "y, mean, rate, sum")
def _skip_simplified_layer_normalization(c: Call) -> str:
    c.refuse_outputs(1, 2)
    return _sum(c, 3) + f"y = RMSNormalization<epsilon = {c.number('epsilon', 1e-12)}>(sum, gamma)"


@function("SimplifiedLayerNormalization", "x, scale", "y, rate")
@function("SimplifiedLayerNormalization", "x, scale", "y, rate", domain="")
def _simplified_layer_normalization(c: Call) -> str:
    c.refuse_outputs(1)
    axis, epsilon = c.number("axis", -1), c.number("epsilon", 1e-5)
    return f"y = RMSNormalization<axis = {axis}, epsilon = {epsilon}>(x, scale)"
