"""Small networks, seeded, written so that torch exports the patterns that ONNX Runtime's optimizers look for."""

import math
import warnings
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

WIDTH, HEADS, LENGTH, WORDS, PAST = 32, 4, 12, 50, 5
SIZE = WIDTH // HEADS


class Attention(nn.Module):
    """Of heads over all of `x`; `scaled_query` divides before the product, as Whisper does, else after it, as BERT."""

    def __init__(self, scaled_query: bool) -> None:
        super().__init__()
        self.scaled_query = scaled_query
        self.query, self.value, self.out = (nn.Linear(WIDTH, WIDTH) for _ in range(3))
        self.key = nn.Linear(WIDTH, WIDTH, bias=not scaled_query)

    def forward(self, x: Tensor, hidden: Tensor | None = None) -> Tensor:
        """x [n, length, width], `hidden` is added to scores."""
        n, length, _ = x.shape
        q = self.query(x) * SIZE**-0.5 if self.scaled_query else self.query(x)
        q, k, v = (t.view(n, length, HEADS, SIZE).transpose(1, 2) for t in (q, self.key(x), self.value(x)))
        scores = q @ k.transpose(2, 3)
        scores = scores if self.scaled_query else scores / math.sqrt(SIZE)
        mixed = torch.softmax(scores if hidden is None else scores + hidden, -1) @ v
        return self.out(mixed.transpose(1, 2).reshape(n, length, WIDTH))


class Bert(nn.Module):
    """Tokens, mask and kinds of tokens -> features and a pooled vector; normalization after the residual."""

    def __init__(self, layers: int = 2) -> None:
        super().__init__()
        self.words, self.places, self.kinds = (nn.Embedding(count, WIDTH) for count in (WORDS, LENGTH, 2))
        self.attentions = nn.ModuleList(Attention(False) for _ in range(layers))
        self.norms = nn.ModuleList(nn.LayerNorm(WIDTH, 1e-12) for _ in range(2 * layers + 1))
        self.up = nn.ModuleList(nn.Linear(WIDTH, 4 * WIDTH) for _ in range(layers))
        self.down = nn.ModuleList(nn.Linear(4 * WIDTH, WIDTH) for _ in range(layers))
        self.pool = nn.Linear(WIDTH, WIDTH)

    def forward(self, tokens: Tensor, mask: Tensor, kinds: Tensor) -> tuple[Tensor, Tensor]:
        """int64 [n, length] each."""
        hidden = (1.0 - mask[:, None, None, :].float()) * -10000.0
        x = self.norms[0](self.words(tokens) + self.kinds(kinds) + self.places.weight[: tokens.shape[1]])
        for i, attention in enumerate(self.attentions):
            x = self.norms[2 * i + 1](attention(x, hidden) + x)
            x = self.norms[2 * i + 2](self.down[i](nn.functional.gelu(self.up[i](x))) + x)
        return x, torch.tanh(self.pool(x[:, 0]))


class Whisper(nn.Module):
    """Spectrum -> features: convolutions, then normalization before what has a residual around it."""

    def __init__(self, layers: int = 2) -> None:
        super().__init__()
        self.first, self.second = nn.Conv1d(8, WIDTH, 3, padding=1), nn.Conv1d(WIDTH, WIDTH, 3, 2, 1)
        self.places = nn.Embedding(LENGTH, WIDTH)
        self.attentions = nn.ModuleList(Attention(True) for _ in range(layers))
        self.norms = nn.ModuleList(nn.LayerNorm(WIDTH) for _ in range(2 * layers + 1))
        self.up = nn.ModuleList(nn.Linear(WIDTH, 4 * WIDTH) for _ in range(layers))
        self.down = nn.ModuleList(nn.Linear(4 * WIDTH, WIDTH) for _ in range(layers))

    def forward(self, x: Tensor) -> Tensor:
        """[n, 8, 2 * length] -> [n, length, width]."""
        gelu = nn.functional.gelu
        x = gelu(self.second(gelu(self.first(x)))).permute(0, 2, 1) + self.places.weight
        for i, attention in enumerate(self.attentions):
            x = x + attention(self.norms[2 * i](x))
            x = x + self.down[i](gelu(self.up[i](self.norms[2 * i + 1](x))))
        return self.norms[-1](x)


class Gpt(nn.Module):
    """Tokens after a past -> scores of the next one, and the new past of each layer."""

    def __init__(self, layers: int = 2) -> None:
        super().__init__()
        self.words, self.places = nn.Embedding(WORDS, WIDTH), nn.Embedding(32, WIDTH)
        self.norms = nn.ModuleList(nn.LayerNorm(WIDTH) for _ in range(2 * layers + 1))
        shapes = [(WIDTH, 3 * WIDTH), (WIDTH, WIDTH), (WIDTH, 4 * WIDTH), (4 * WIDTH, WIDTH)] * layers
        self.weights = nn.ParameterList(torch.randn(shape) * 0.2 for shape in shapes)
        self.biases = nn.ParameterList(torch.randn(shape[1]) * 0.1 for shape in shapes)
        self.seen: Tensor
        self.register_buffer("seen", torch.tril(torch.ones(32, 32, dtype=torch.bool))[None, None])

    def forward(self, tokens: Tensor, places: Tensor, *pasts: Tensor) -> tuple[Tensor, ...]:
        """int64 [n, length] twice, pasts [2, n, heads, rows, size]."""
        x, news = self.words(tokens) + self.places(places), []
        for i, past in enumerate(pasts):
            q, k, v = self._product(self.norms[2 * i](x), 4 * i).split(WIDTH, dim=2)
            q, k, v = (t.view(*t.size()[:-1], HEADS, SIZE).permute(0, 2, 1, 3) for t in (q, k, v))
            k, v = torch.cat((past[0], k), -2), torch.cat((past[1], v), -2)
            news.append(torch.stack((k, v)))
            scores = q @ k.transpose(-1, -2) / SIZE**0.5
            rows, keys = scores.size(-2), scores.size(-1)
            scores = torch.where(self.seen[:, :, keys - rows : keys, :keys], scores, torch.tensor(-10000.0))
            mixed = (torch.softmax(scores, -1) @ v).permute(0, 2, 1, 3).contiguous()
            x = x + self._product(mixed.view(*mixed.size()[:-2], WIDTH), 4 * i + 1)
            y = self._product(self.norms[2 * i + 1](x), 4 * i + 2)
            y = 0.5 * y * (1 + torch.tanh(math.sqrt(2 / math.pi) * (y + 0.044715 * torch.pow(y, 3.0))))
            x = x + self._product(y, 4 * i + 3)
        return self.norms[-1](x) @ self.words.weight.T, *news

    def _product(self, x: Tensor, i: int) -> Tensor:
        y = torch.addmm(self.biases[i], x.view(-1, x.size(-1)), self.weights[i])
        return y.view(*x.size()[:-1], self.weights[i].shape[1])


class Cnn(nn.Module):
    """Convolutions with all the activations that are fused, a residual, a resize, a gate, pools and a dense layer."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.left, self.right = (nn.Conv2d(c, 16, 3, s, 1) for c, s in ((3, 2), (16, 1), (16, 1)))
        self.depthwise, self.wide = nn.Conv2d(16, 16, 3, 1, 1, groups=16), nn.Conv2d(16, 32, 1)
        self.coarse, self.norm, self.dense = nn.Conv2d(32, 16, 3, 2, 1), nn.BatchNorm2d(16), nn.Linear(48, 10)

    def forward(self, x: Tensor) -> Tensor:
        """[n, 3, height, width] -> [n, 10]."""
        f = nn.functional
        x = f.max_pool2d(f.relu(self.stem(x)), 3, 2, 1)
        y = f.leaky_relu(self.left(x), 0.1)
        x = f.relu(self.norm(self.right(y)) + x)
        x = f.silu(self.wide(f.relu6(self.depthwise(x))))
        z = f.interpolate(f.hardswish(self.coarse(x)), scale_factor=2.0)
        x = torch.cat([x, z], 1)
        x = f.avg_pool2d(x, 2) * torch.sigmoid(x.mean((2, 3), keepdim=True))
        return self.dense(f.adaptive_avg_pool2d(x, 1).flatten(1))


def feeds() -> dict[str, dict[str, Tensor]]:
    """Example inputs of each network, by name."""
    torch.manual_seed(1)
    mask = torch.ones(2, LENGTH, dtype=torch.long)
    mask[0, 8:] = 0
    tokens = {"tokens": torch.randint(0, WORDS, (2, LENGTH)), "mask": mask, "kinds": torch.randint(0, 2, (2, LENGTH))}
    pasts = {f"past_{i}": torch.randn(2, 1, HEADS, PAST, SIZE) for i in range(2)}
    after = {"tokens": torch.randint(0, WORDS, (1, 3)), "places": torch.arange(PAST, PAST + 3)[None], **pasts}
    return {
        "bert": tokens,
        "whisper": {"x": torch.randn(1, 8, 2 * LENGTH)},
        "gpt": after,
        "cnn": {"x": torch.randn(1, 3, 64, 64)},
    }


NETS: dict[str, type[nn.Module]] = {"bert": Bert, "whisper": Whisper, "gpt": Gpt, "cnn": Cnn}
_OUTPUTS = {"bert": ["y", "pooled"], "gpt": ["scores", "present_0", "present_1"]}


def export(name: str, path: Path) -> None:
    """Write the network; GPT for a past of any length, which its optimizer expects."""
    torch.manual_seed(0)
    net = NETS[name]().eval()
    with torch.no_grad():
        for module in net.modules():
            if isinstance(module, nn.LayerNorm):
                module.weight.uniform_(0.5, 1.5)
                module.bias.normal_()
    given = feeds()[name]
    more: dict[str, Any] = {}
    if name == "gpt":
        axes = {1: "n", 3: "past"}
        more = {"dynamic_axes": {"tokens": {0: "n", 1: "rows"}, "places": {0: "n", 1: "rows"}}}
        more["dynamic_axes"] |= {f"past_{i}": axes for i in range(2)}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            net, tuple(given.values()), path, input_names=list(given), output_names=_OUTPUTS.get(name, ["y"]),
            opset_version=17, dynamo=False, **more,
        )  # fmt: skip
