"""Torch models -> ONNX files, for the model zoo."""

import warnings
from pathlib import Path

from .images import IMAGENET_MEAN, IMAGENET_STD, PHOTOS, center_crop, normalized, skimage_picture

SEED = 2026
OPSET = 17


def export(name: str, path: Path, size: int = 224) -> None:
    """Write the network `name` of `architectures`, with seeded weights, as ONNX with input `x` [1, 3, height, width];
    batch norms have the statistics of pictures of `size` x `size`."""
    import torch

    from .architectures import BUILDERS, randomized

    pictures = [normalized(center_crop(skimage_picture(n), size, size), IMAGENET_MEAN, IMAGENET_STD) for n in PHOTOS]
    batch = torch.cat([torch.from_numpy(p) for p in pictures])
    model = randomized(BUILDERS[name](), batch, SEED)
    with warnings.catch_warnings():  # torch announces that this exporter is the older of its two
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.onnx.export(
            model, (batch[:1],), path, input_names=["x"], output_names=["logits"], opset_version=OPSET, dynamo=False,
            dynamic_axes={"x": {2: "height", 3: "width"}},
        )  # fmt: skip
