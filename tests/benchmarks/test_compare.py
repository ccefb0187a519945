"""Which engine counts as the best, and how the table says it."""

import pytest

from edgec.benchmarks.compare import Row, main, markdown
from edgec.benchmarks.peers.contest import Measured


def engine(label: str, median: float, cosine: float = 1.0) -> Measured:
    return Measured(label, median, median, 10.0, 0, 0, cosine)


ENGINES = [
    engine("edgec", 3.0),
    engine("onnxruntime s8s8", 4.0),
    engine("onnxruntime u8s8", 2.0),
    engine("openvino u8s8", 1.0, cosine=0.1),
]


def test_who_is_wrong_does_not_win() -> None:
    row = Row("m", "int8", 1, ENGINES, {"ncnn": "no quantizer"})
    assert row.best and row.best.label == "onnxruntime u8s8"
    assert row.ratio == 1.5
    assert markdown([row]).splitlines()[2:] == [
        "| m | int8 | 1 | 3.00 | 2.00 u8s8 | 1.00 (wrong) | - | - | - | 1.50 |",
        "",
        "- not measured: m int8, ncnn: no quantizer",
    ]


def test_edgec_cannot_win_by_being_wrong() -> None:
    row = Row("m", "float32", 2, [engine("edgec", 1.0, cosine=0.99), engine("mnn", 2.0)], {})
    assert row.ratio is None
    assert "| 1.00 (wrong) |" in markdown([row])


def test_an_unknown_model_is_refused(capsys) -> None:
    with pytest.raises(SystemExit) as refused:
        main(["mobilenet_v9"])
    assert refused.value.code == 2
    assert "no model 'mobilenet_v9'" in capsys.readouterr().err
