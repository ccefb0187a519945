"""Networks written in torch whose weights come as files: exported to ONNX for the models of `real`."""

import json
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn

OPSET = 17
SEED = 2026


def export(net: nn.Module, example: tuple[Tensor, ...], path: Path, inputs: list[str], outputs: list[str]) -> None:
    """Write `net` as ONNX, for inputs of the examples' shapes."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            net.eval(), example, path, input_names=inputs, output_names=outputs, opset_version=OPSET, dynamo=False
        )


class FaceNet(nn.Module):
    """MTCNN's P-, R- or O-net (Zhang et al., 2016), with the parameter names of facenet-pytorch: PReLU convolutions
    and pools, then a dense layer unless fully convolutional, then heads. The first head is a softmax over two."""

    def __init__(self, convolutions: Mapping[str, Any], pools: Mapping[int, int], dense: str, heads: list[str]) -> None:
        super().__init__()
        self.pools, self.dense, self.heads = pools, dense, heads
        self.count = len(convolutions)
        for i, (channels_in, channels, kernel) in enumerate(convolutions.values(), 1):
            self.add_module(f"conv{i}", nn.Conv2d(channels_in, channels, kernel))
            self.add_module(f"prelu{i}", nn.PReLU(channels))

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Heads in order, the probabilities first."""
        for i in range(1, self.count + 1):
            x = self.get_submodule(f"prelu{i}")(self.get_submodule(f"conv{i}")(x))
            if i in self.pools:
                x = nn.functional.max_pool2d(x, self.pools[i], 2, ceil_mode=True)
        if self.dense:
            x = x.permute(0, 3, 2, 1).flatten(1)
            x = self.get_submodule(f"prelu{self.dense}")(self.get_submodule(f"dense{self.dense}")(x))
        first, *others = (self.get_submodule(head)(x) for head in self.heads)
        return (torch.softmax(first, 1), *others)


def face_net(weights: Path) -> FaceNet:
    """The net whose parameters are in `weights`, a file of facenet-pytorch: they say what it looks like."""
    state: dict[str, Tensor] = torch.load(weights, weights_only=True)
    kernels = {k: v.shape for k, v in state.items() if k.startswith("conv") and k[4:-7].isdigit() and v.ndim == 4}
    convolutions = {k: (s[1], s[0], s[2]) for k, s in kernels.items()}
    dense = next((k[5] for k in state if k.startswith("dense") and k[6:] == ".weight"), "")
    heads = [k.removesuffix(".weight") for k in state if "_" in k and k.endswith(".weight")]
    pools = {"": {1: 2}, "4": {1: 3, 2: 3}, "5": {1: 3, 2: 3, 3: 2}}[dense]
    net = FaceNet(convolutions, pools, dense, heads)
    for name in [f"dense{dense}"] * bool(dense) + heads:
        weight = state[f"{name}.weight"]
        outputs, inputs, *kernel = weight.shape
        made = nn.Conv2d(inputs, outputs, 1) if kernel else nn.Linear(inputs, outputs)
        net.add_module(name, made)
    if dense:
        net.add_module(f"prelu{dense}", nn.PReLU(len(state[f"dense{dense}.weight"])))
    net.load_state_dict(state)
    return net


class SentenceEncoder(nn.Module):
    """BERT (Devlin et al., 2018) of all-MiniLM-L6-v2: tokens and their mask -> a unit vector for the sentence."""

    def __init__(self, weights: Mapping[str, Tensor], heads: int = 12, epsilon: float = 1e-12) -> None:
        super().__init__()
        self.weights = nn.ParameterDict({k.replace(".", "/"): nn.Parameter(v) for k, v in weights.items()})
        self.heads, self.epsilon = heads, epsilon
        self.layers = sum(k.endswith("attention.self.query.weight") for k in weights)

    def forward(self, tokens: Tensor, mask: Tensor) -> Tensor:
        """[n, length] int64, twice -> [n, 384]."""
        embeddings = "embeddings/{}_embeddings/weight"
        words, positions, types = (self.weights[embeddings.format(kind)] for kind in ("word", "position", "token_type"))
        x = words[tokens] + positions[: tokens.shape[1]] + types[0]
        x = self._norm(x, "embeddings/LayerNorm")
        hidden = (1 - mask[:, None, None, :].float()) * torch.finfo(torch.float32).min
        for i in range(self.layers):
            layer = f"encoder/layer/{i}"
            x = self._norm(x + self._attention(x, hidden, f"{layer}/attention"), f"{layer}/attention/output/LayerNorm")
            inner = nn.functional.gelu(self._linear(x, f"{layer}/intermediate/dense"))
            x = self._norm(x + self._linear(inner, f"{layer}/output/dense"), f"{layer}/output/LayerNorm")
        kept = mask[:, :, None].float()
        return nn.functional.normalize((x * kept).sum(1) / kept.sum(1), dim=1)

    def _attention(self, x: Tensor, hidden: Tensor, name: str) -> Tensor:
        n, length, width = x.shape
        query, key, value = (
            self._linear(x, f"{name}/self/{part}").view(n, length, self.heads, -1).transpose(1, 2)
            for part in ("query", "key", "value")
        )
        scores = query @ key.transpose(2, 3) / (width // self.heads) ** 0.5 + hidden
        mixed = (torch.softmax(scores, 3) @ value).transpose(1, 2).reshape(n, length, width)
        return self._linear(mixed, f"{name}/output/dense")

    def _linear(self, x: Tensor, name: str) -> Tensor:
        return nn.functional.linear(x, self.weights[f"{name}/weight"], self.weights[f"{name}/bias"])

    def _norm(self, x: Tensor, name: str) -> Tensor:
        weight, bias = self.weights[f"{name}/weight"], self.weights[f"{name}/bias"]
        return nn.functional.layer_norm(x, x.shape[-1:], weight, bias, self.epsilon)


def read_safetensors(path: Path) -> dict[str, Tensor]:
    """The float32 tensors of a .safetensors file: eight bytes of length, a JSON header, then the data."""
    data = path.read_bytes()
    start = 8 + int.from_bytes(data[:8], "little")
    tensors = {}
    for name, entry in json.loads(data[8:start]).items():
        if entry.get("dtype") == "F32":
            begin, end = entry["data_offsets"]
            array = np.frombuffer(data[start + begin : start + end], "<f4").reshape(entry["shape"])
            tensors[name] = torch.from_numpy(array.copy())
    return tensors


class Detector(nn.Module):
    """A small one-stage detector: strided convolutions, two scales joined by upsampling, and for every cell a box, an
    objectness and class scores, decoded as YOLO does."""

    def __init__(self, classes: int = 4, width: int = 16) -> None:
        super().__init__()
        self.classes = classes
        self.stem = nn.Sequential(
            *(self._block(3, width), self._block(width, 2 * width), self._block(2 * width, 2 * width))
        )
        self.deep = self._block(2 * width, 4 * width)
        self.coarse = nn.Conv2d(4 * width, 5 + classes, 1)
        self.fine = nn.Conv2d(6 * width, 5 + classes, 1)

    @staticmethod
    def _block(channels_in: int, channels: int) -> nn.Sequential:
        return nn.Sequential(nn.Conv2d(channels_in, channels, 3, 2, 1), nn.SiLU())

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """[1, 3, h, w] -> boxes [1, n, 4] as x, y, width, height in pixels, and scores [1, classes, n]."""
        middle = self.stem(x)
        deep = self.deep(middle)
        joined = torch.cat([middle, nn.functional.interpolate(deep, scale_factor=2.0)], 1)
        cells = [self._decoded(self.fine(joined), 8), self._decoded(self.coarse(deep), 16)]
        found = torch.cat(cells, 1)
        return found[..., :4], (found[..., 5:] * found[..., 4:5]).transpose(1, 2)

    def _decoded(self, raw: Tensor, stride: int) -> Tensor:
        _, _, height, width = raw.shape
        ys, xs = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
        corner = torch.stack([xs, ys], -1).float()
        y = torch.sigmoid(raw.permute(0, 2, 3, 1))
        center = (y[..., :2] * 2 - 0.5 + corner) * stride
        size = (y[..., 2:4] * 2) ** 2 * stride * 2
        return torch.cat([center, size, y[..., 4:]], -1).flatten(1, 2)


def export_detector(path: Path, size: int = 96) -> None:
    """A seeded `Detector` that also suppresses its boxes: output `selected` [n, 3] of batch, class, box."""
    torch.manual_seed(SEED)
    net = Detector()
    for parameter in net.parameters():
        if parameter.ndim == 4:
            nn.init.normal_(parameter, 0, float(2 / parameter[0].numel()) ** 0.5)
    export(net, (torch.zeros(1, 3, size, size),), path, ["x"], ["boxes", "scores"])
    model = onnx.load(path)
    shares = [numpy_helper.from_array(np.array([v], np.float32), n) for n, v in (("overlap", 0.5), ("least", 0.3))]
    limits = [numpy_helper.from_array(np.array([5]), "most"), *shares]
    model.graph.initializer.extend(limits)
    inputs = ["boxes", "scores", *(t.name for t in limits)]
    model.graph.node.append(helper.make_node("NonMaxSuppression", inputs, ["selected"], center_point_box=1))
    model.graph.output.append(helper.make_tensor_value_info("selected", TensorProto.INT64, ["n", 3]))
    onnx.save(model, path)
