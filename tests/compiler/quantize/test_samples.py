"""Calibration samples: what is read, in which order, and that bad files end in one clear EdgeError."""

import zipfile

import numpy as np
import pytest
from PIL import Image

from edgec.compiler.ir.types import TensorType
from edgec.compiler.quantize import samples as module
from edgec.compiler.quantize.samples import open_samples
from edgec.errors import EdgeError

NCHW = [("x", TensorType((1, 3, 4, 6), "float32"))]


def test_folder_is_read_in_the_order_of_names(tmp_path):
    arrays = {name: np.full((1, 3, 4, 6), i, np.float32) for i, name in enumerate("bca")}
    for name, array in arrays.items():
        np.save(tmp_path / f"{name}.npy", array)
    (tmp_path / "readme.txt").write_text("not a sample")
    found = open_samples(tmp_path, NCHW)
    assert len(found) == 3
    for _ in range(2):  # calibration may come back for a second look
        for feed, name in zip(found, "abc", strict=True):
            np.testing.assert_array_equal(feed["x"], arrays[name])


def test_many_files_are_thinned_evenly(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "MAX_SAMPLES", 4)
    for i in range(10):
        np.save(tmp_path / f"{i}.npy", np.full((1, 3, 4, 6), i, np.float32))
    assert [feed["x"][0, 0, 0, 0] for feed in open_samples(tmp_path, NCHW)] == [0, 3, 6, 9]


@pytest.mark.parametrize("dtype", ["float64", "float16", ">f4"])
def test_float_dtypes_and_absent_batch_are_accepted(tmp_path, dtype):
    np.save(tmp_path / "s.npy", np.asfortranarray(np.arange(72).reshape(3, 4, 6).astype(dtype)))
    (feed,) = open_samples(tmp_path / "s.npy", NCHW)
    np.testing.assert_array_equal(feed["x"], np.arange(72, dtype=np.float32).reshape(1, 3, 4, 6))
    assert feed["x"].dtype == np.float32


def test_npz_holds_an_array_for_each_input(tmp_path):
    inputs = [("image", TensorType((2, 2), "float32")), ("ids", TensorType((3,), "int64"))]
    image, ids = np.eye(2, dtype=np.float32), np.array([4, 5, 6])
    np.savez_compressed(tmp_path / "a.npz", image=image, ids=ids, unused=ids)
    (feed,) = open_samples(tmp_path, inputs)
    np.testing.assert_array_equal(feed["image"], image)
    np.testing.assert_array_equal(feed["ids"], ids)
    np.savez(tmp_path / "a.npz", image=image)
    with pytest.raises(EdgeError, match="no array for the input 'ids'; it holds: image"):
        list(open_samples(tmp_path, inputs))


@pytest.mark.parametrize("shape", [(1, 3, 4, 6), (1, 4, 6, 3), (1, 1, 4, 6)])
@pytest.mark.parametrize("suffix", ["png", "bmp", "jpg"])
def test_images_are_resized_and_scaled(tmp_path, shape, suffix):
    Image.new("RGB", (9, 5), (255, 255, 255)).save(tmp_path / f"i.{suffix}")
    (feed,) = open_samples(tmp_path, [("x", TensorType(shape, "float32"))])
    assert feed["x"].dtype == np.float32
    np.testing.assert_allclose(feed["x"], np.ones(shape), atol=1e-6)


def test_image_channels_are_rgb(tmp_path):
    Image.new("RGB", (6, 4), (255, 0, 51)).save(tmp_path / "i.png")
    (feed,) = open_samples(tmp_path, NCHW)
    np.testing.assert_allclose(feed["x"][0, :, 0, 0], [1.0, -1.0, -0.6], atol=1e-6)


def _corrupt(path, kind):
    good = np.zeros((1, 3, 4, 6), np.float32)
    match kind:
        case "shape.npy":
            np.save(path, np.zeros((1, 3, 4, 7), np.float32))
        case "dtype.npy":
            np.save(path, good.astype(np.int32))
        case "pickle.npy":
            np.save(path, np.array([{"a": 1}], dtype=object), allow_pickle=True)
        case "nan.npy":
            np.save(path, np.full_like(good, np.nan))
        case "truncated.npy":
            np.save(path, good)
            path.write_bytes(path.read_bytes()[:-5])
        case "huge.npy":
            np.save(path, good)
            path.write_bytes(path.read_bytes().replace(b"(1, 3, 4, 6)", b"(99999999,) "))
        case "truncated.npz":
            np.savez(path, x=good)
            path.write_bytes(path.read_bytes()[:100])
        case "flipped.npz":
            np.savez_compressed(path, x=np.random.default_rng(0).normal(size=good.shape).astype(np.float32))
            data = bytearray(path.read_bytes())
            data[len(data) // 2] ^= 255
            path.write_bytes(data)
        case "raw.npz":
            with zipfile.ZipFile(path, "w") as archive:
                archive.writestr("x.npy", b"no array")
        case _:
            path.write_bytes(b"\x89PNG garbage" if kind.endswith("png") else b"")


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("shape.npy", "float32 1 x 3 x 4 x 7 for the input 'x', which takes float32 1 x 3 x 4 x 6"),
        ("dtype.npy", "int32"),
        ("pickle.npy", "object"),
        ("nan.npy", "NaN"),
        ("truncated.npy", "not a readable array"),
        ("huge.npy", "99999999"),
        ("empty.npy", "not a readable array"),
        ("truncated.npz", "not a readable .npz"),
        ("flipped.npz", "not a readable"),
        ("raw.npz", "not a readable array"),
        ("garbage.png", "not a readable image"),
    ],
)
def test_bad_files_are_named(tmp_path, kind, message):
    path = tmp_path / kind
    _corrupt(path, kind)
    with pytest.raises(EdgeError) as caught:
        list(open_samples(tmp_path, NCHW))
    assert message in str(caught.value)
    assert str(path) in str(caught.value)


def test_no_samples(tmp_path):
    with pytest.raises(EdgeError, match="does not exist"):
        open_samples(tmp_path / "none", NCHW)
    with pytest.raises(EdgeError, match=r"holds no \.npy"):
        open_samples(tmp_path, NCHW)


def test_files_that_cannot_fit_the_inputs(tmp_path):
    np.save(tmp_path / "a.npy", np.zeros(2, np.float32))
    two = [("a", TensorType((2,), "float32")), ("b", TensorType((2,), "float32"))]
    with pytest.raises(EdgeError, match=r"the model has the inputs a, b; use \.npz"):
        list(open_samples(tmp_path, two))
    Image.new("RGB", (2, 2)).save(tmp_path / "i.png")
    with pytest.raises(EdgeError, match=r"is float32 \[2\], not"):
        list(open_samples(tmp_path / "i.png", [("x", TensorType((2,), "float32"))]))
