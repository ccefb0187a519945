"""Activations that come with a bias."""

from .call import Call
from .registry import function
from .text import scalar


@function("Gelu", "x", "y")
def _gelu(c: Call) -> str:
    return "y = Gelu(x)"


@function("BiasGelu", "a, b", "y")
def _bias_gelu(c: Call) -> str:
    return "s = Add(a, b)\n y = Gelu(s)"


@function("BiasSplitGelu", "x, bias", "y")
def _bias_split_gelu(c: Call) -> str:
    return "s = Add(x, bias)\n left, right = Split<axis = -1, num_outputs = 2>(s)\n g = Gelu(right)\n y = Mul(left, g)"


@function("FastGelu", "x, bias", "y")
def _fast_gelu(c: Call) -> str:
    return ("s = Add(x, bias)" if c.has(1) else "s = Identity(x)") + ' y = Gelu<approximate = "tanh">(s)'


@function("QuickGelu", "x", "y")
def _quick_gelu(c: Call) -> str:
    return scalar("alpha", c.number("alpha", 1.702)) + "s = Mul(x, alpha)\n t = Sigmoid(s)\n y = Mul(x, t)"
