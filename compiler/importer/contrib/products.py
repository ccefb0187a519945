"""Products with an activation."""

from collections.abc import Mapping, Sequence

from .call import Call
from .registry import function


@function("FusedGemm", "a, b, c", "y")
def _fused_gemm(c: Call) -> str:
    activation = c.attributes.get("activation", b"Identity").decode()
    if activation not in _ACTIVATIONS:
        raise ValueError(f"its activation is {activation!r}; supported are {', '.join(_ACTIVATIONS)}")
    product = c.given(alpha="alpha", beta="beta", transA="transA", transB="transB")
    parameters = c.given(**{name: f"activation_{name}" for name in _ACTIVATIONS[activation]})
    return f"product = Gemm{product}({'a, b, c' if c.has(2) else 'a, b'})\n y = {activation}{parameters}(product)"


_ACTIVATIONS: Mapping[str, Sequence[str]] = {
    **dict.fromkeys(("Identity", "Relu", "Sigmoid", "Tanh", "Softplus", "Softsign"), ()),
    **dict.fromkeys(("LeakyRelu", "Elu", "ThresholdedRelu"), ("alpha",)),
    "HardSigmoid": ("alpha", "beta"),
}
"""Of FusedGemm, and which parameters they have."""
