"""Cases of the ONNX standard about contractions and windows, compiled and run on this machine."""

import pytest

from edgec.benchmarks.conformance import judge
from edgec.benchmarks.onnx_cases import Case, load_cases

pytestmark = pytest.mark.slow

NAMES = (
    "test_averagepool_2d_ceil", "test_averagepool_2d_dilations",
    "test_averagepool_3d_dilations_large_count_include_pad_is_1_ceil_mode_is_True", "test_basic_conv_with_padding",
    "test_basic_deform_conv_with_padding", "test_conv_with_autopad_same", "test_convinteger_with_padding",
    "test_convtranspose_3d", "test_convtranspose_group_2", "test_deform_conv_with_mask_bias", "test_dft",
    "test_dft_irfft",
    "test_einsum_batch_diagonal", "test_einsum_batch_matmul", "test_einsum_inner_prod", "test_einsum_transpose",
    "test_gemm_all_attributes", "test_gemm_default_matrix_bias", "test_globalmaxpool", "test_lppool_2d_same_upper",
    "test_lppool_3d_default", "test_matmul_1d_3d", "test_matmul_4d", "test_matmulinteger", "test_maxpool_2d_uint8",
    "test_maxpool_3d_dilations", "test_maxpool_with_argmax_2d_precomputed_strides", "test_qlinearconv",
    "test_qlinearmatmul_3D_int8_float32", "test_resize_downsample_scales_cubic_antialias",
    "test_resize_downsample_scales_linear_align_corners", "test_resize_downsample_sizes_nearest_not_larger",
    "test_resize_tf_crop_and_resize_extrapolation_value", "test_resize_upsample_sizes_cubic", "test_stft_with_window",
)  # fmt: skip


@pytest.fixture(scope="module")
def cases() -> dict[str, Case]:
    return {case.name: case for case in load_cases(("node", "simple"))}


@pytest.mark.parametrize("what", NAMES)
def test_case(cases: dict[str, Case], what: str) -> None:
    outcome = judge(cases[what], "host")
    assert outcome.status in ("passed", "bound"), outcome.reason
