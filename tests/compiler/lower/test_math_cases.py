"""The ONNX standard's cases of elementwise ops, reductions, normalizations and quantization: one program a family."""

import re
from pathlib import Path

import pytest

from edgec.tests.compiler.lower.running import BASE, DOTPROD, HOST, RISCV, run
from edgec.tests.compiler.lower.test_index_cases import merged

pytestmark = pytest.mark.slow

FAMILIES = {
    "functions": """Abs Acos Acosh Asin Asinh Atan Atanh Ceil Celu Cos Cosh Elu Erf Exp Floor Gelu HardSigmoid HardSwish
        LeakyRelu Log Mish Neg PRelu Reciprocal Relu Round Selu Shrink Sigmoid Sign Sin Sinh Softplus Softsign Sqrt
        SwiGLU Swish Tan Tanh ThresholdedRelu""",
    "arithmetic": "Add BitShift BitwiseAnd BitwiseNot BitwiseOr BitwiseXor Clip Div Max Mean Min Mod Mul Pow Sub Sum",
    "logic": "And Cast CastLike Equal Greater GreaterOrEqual IsInf IsNaN Less LessOrEqual Not Or Where Xor",
    "reductions": """LogSoftmax ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp ReduceMax ReduceMean ReduceMin ReduceProd
        ReduceSum ReduceSumSquare Softmax""",
    "normalizations": """BatchNormalization Dropout GroupNormalization InstanceNormalization LRN LayerNormalization
        LpNormalization MeanVarianceNormalization RMSNormalization""",
    "losses": "NegativeLogLikelihoodLoss SoftmaxCrossEntropyLoss",
    "quantization": "DequantizeLinear DynamicQuantizeLinear QuantizeLinear",
}

LEAST = {
    "functions": 80, "arithmetic": 156, "logic": 90, "reductions": 105, "normalizations": 108, "losses": 69,
    "quantization": 20,
}  # fmt: skip
"""Outputs that are compared."""

REFUSED = re.compile(
    r"float8|float4|int4|int2|bfloat16|e4m3|e5m2|e8m0|string|training_dropout(?!.*zero)|test_not_", re.IGNORECASE
)
"""Names of cases that may be refused: element types of less than a byte, of brain floats and of text, random numbers,
and three cases that state opset 1."""


@pytest.mark.parametrize(
    ("family", "device"),
    [*((f, HOST) for f in FAMILIES), ("arithmetic", BASE), ("quantization", DOTPROD), ("arithmetic", RISCV)],
)
def test_the_standards_cases(family: str, device: str, tmp_path: Path) -> None:
    cases, refused = merged(FAMILIES[family].split())
    assert not [(name, why) for name, why in refused.items() if not REFUSED.search(name)]
    assert len(cases.expected) >= LEAST[family]
    cases.check(run(cases.graph, cases.inputs, tmp_path, device))
