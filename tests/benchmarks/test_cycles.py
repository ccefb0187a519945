"""The table and the page of counted and modelled figures say what the reports say."""

from dataclasses import replace

import pytest

from edgec.benchmarks.cycles import Row, dense, family, page
from edgec.counting.models import Demand
from edgec.counting.report import Figures, Report, Step, added


def figures(macs: int, cycles: float, **demand: float) -> Figures:
    return Figures(macs, int(2 * cycles), cycles, cycles / 10, Demand(**demand), {"MACs": cycles})


def a_report(core: str, peak: int) -> Report:
    steps = (
        Step("a", "qs8_gemm_m8_whole_small", figures(16_000, 1000.0, mac=700.0, vector=100.0)),
        Step("b", "qs8_gemm_m4", figures(8_000, 1000.0, mac=300.0, vector=400.0)),
        Step("c", "qs8_dwconv_3x3s1_small", figures(1_000, 1500.0, issue=1200.0)),
        Step("d", "qs8_conv_m8_add", figures(0, 500.0, memory=200.0)),
    )
    outside = figures(0, 0.0)
    total = added([outside, *(step.figures for step in steps)])
    return Report(core, "dotprod", "int8", peak, "22", {}, total, outside, steps)


def test_a_row_has_the_sums() -> None:
    row = Row.of("net", a_report("cortex-a55", 16))
    assert (row.model, row.core, row.instructions, row.cycles) == ("net", "cortex-a55", 8000, 4000.0)
    assert row.macs_per_cycle == 25_000 / 4000 and row.of_peak == 25_000 / 4000 / 16
    assert row.dense_of_peak == 24_000 / 2500 / 16


@pytest.mark.parametrize(("form", "macs"), [("4", 36_000), ("2", 64_000), ("2s2", 100_000)])
def test_of_winograds_steps_the_products_count_that_are_done(form: str, macs: int) -> None:
    report = a_report("cortex-a55", 16)
    step = Step("e", f"f32_winograd{form}_m40_pair_whole", figures(144_000, 1000.0))
    assert dense(replace(report, steps=(*report.steps, step))).macs == 24_000 + macs


def test_depthwise_is_not_dense() -> None:
    assert dense(a_report("cortex-a55", 16)).macs == 24_000


@pytest.mark.parametrize(
    ("kernel", "name"),
    [
        ("qs8_gemm_m8_whole_small", "qs8_gemm"),
        ("qs8_gemm_m40_pair_whole_clamp_add", "qs8_gemm_add"),
        ("qs8_dwconv_3x3s1_small", "qs8_dwconv_3x3s1"),
        ("map_qs8_f32_03d364a7", "map_qs8_f32"),
        ("x8_halo", "x8_halo"),
    ],
)
def test_families(kernel: str, name: str) -> None:
    assert family(kernel) == name


def test_the_page_has_a_row_a_family_and_columns_for_each_core() -> None:
    lines = page("net", [a_report("cortex-a55", 16), a_report("cortex-a76", 32)]).splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    assert {len(row) for row in rows} == {11}
    assert [row[0].strip("`") for row in rows[2:]] == [
        *("qs8_gemm", "qs8_dwconv_3x3s1", "qs8_conv_add"),
        *("c: qs8_dwconv_3x3s1", "a: qs8_gemm", "b: qs8_gemm", "d: qs8_conv_add"),
        "all",
    ]
    assert rows[2][1:] == ["2", "0.0", "2 (50 %)", "75 %", "MACs 75 %", "10 %", "2 (50 %)", "38 %", "MACs 75 %", "10 %"]
    assert rows[3][3:7] == ["2 (38 %)", "4 %", "issue 80 %", "10 %"]
    assert rows[7][3:7] == ["1 (25 %)", "50 %", "other vector 70 %", "10 %"]
    assert rows[9][3:7] == ["4 (100 %)", "39 %", "MACs 38 %", "10 %"]
