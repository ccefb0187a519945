"""MobileNetV2, MobileNetV3-small, ResNet-18 and ResNet-50 in plain torch, for export with seeded weights.

Speed, size and bit-exactness do not depend on what a network has learnt, so no download is needed for them.
"""

import torch
from torch import Tensor, nn


def _conv_bn(
    c_in: int, c_out: int, kernel: int, stride: int = 1, groups: int = 1, act: nn.Module | None = None
) -> nn.Sequential:
    conv = nn.Conv2d(c_in, c_out, kernel, stride, kernel // 2, groups=groups, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(c_out), act or nn.Identity())


class SqueezeExcite(nn.Module):
    """Channel attention (Hu et al., 2018) with the hard sigmoid of MobileNetV3."""

    def __init__(self, channels: int, reduced: int) -> None:
        super().__init__()
        self.gate = nn.Sequential(
            nn.AdaptiveAvgPool2d(1),
            nn.Conv2d(channels, reduced, 1),
            nn.ReLU(),
            nn.Conv2d(reduced, channels, 1),
            nn.Hardsigmoid(),
        )

    def forward(self, x: Tensor) -> Tensor:
        """[N, C, H, W] -> the same."""
        y: Tensor = x * self.gate(x)
        return y


class InvertedResidual(nn.Module):
    """Expand, depthwise, project (Sandler et al., 2018), with an optional squeeze-excite."""

    def __init__(
        self, c_in: int, c_out: int, hidden: int, kernel: int, stride: int, act: nn.Module, squeeze: int = 0
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = [] if hidden == c_in else [_conv_bn(c_in, hidden, 1, act=act)]
        layers.append(_conv_bn(hidden, hidden, kernel, stride, hidden, act))
        if squeeze:
            layers.append(SqueezeExcite(hidden, squeeze))
        layers.append(_conv_bn(hidden, c_out, 1))
        self.body = nn.Sequential(*layers)
        self.residual = stride == 1 and c_in == c_out

    def forward(self, x: Tensor) -> Tensor:
        """[N, C, H, W] -> [N, C', H / stride, W / stride]."""
        y: Tensor = self.body(x)
        return x + y if self.residual else y


def mobilenet_v2() -> nn.Module:
    """MobileNetV2 1.0 (Sandler et al., 2018): 300 M multiply-accumulates, 3.5 M parameters at 224 x 224."""
    act = nn.ReLU6()
    layers: list[nn.Module] = [_conv_bn(3, 32, 3, 2, act=act)]
    c_in = 32
    for expand, c_out, repeats, stride in (
        (1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1),
    ):  # fmt: skip
        for i in range(repeats):
            layers.append(InvertedResidual(c_in, c_out, c_in * expand, 3, stride if i == 0 else 1, act))
            c_in = c_out
    layers += [_conv_bn(c_in, 1280, 1, act=act), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(1280, 1000)]
    return nn.Sequential(*layers)


def mobilenet_v3_small() -> nn.Module:
    """MobileNetV3-small 1.0 (Howard et al., 2019): 57 M multiply-accumulates, 2.5 M parameters at 224 x 224."""
    relu, swish = nn.ReLU(), nn.Hardswish()
    layers: list[nn.Module] = [_conv_bn(3, 16, 3, 2, act=swish)]
    c_in = 16
    for kernel, hidden, c_out, squeeze, act, stride in (
        (3, 16, 16, 8, relu, 2), (3, 72, 24, 0, relu, 2), (3, 88, 24, 0, relu, 1), (5, 96, 40, 24, swish, 2),
        (5, 240, 40, 64, swish, 1), (5, 240, 40, 64, swish, 1), (5, 120, 48, 32, swish, 1), (5, 144, 48, 40, swish, 1),
        (5, 288, 96, 72, swish, 2), (5, 576, 96, 144, swish, 1), (5, 576, 96, 144, swish, 1),
    ):  # fmt: skip
        layers.append(InvertedResidual(c_in, c_out, hidden, kernel, stride, act, squeeze))
        c_in = c_out
    head = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(576, 1024), swish, nn.Linear(1024, 1000)]
    return nn.Sequential(*layers, _conv_bn(c_in, 576, 1, act=swish), *head)


class ResidualBlock(nn.Module):
    """relu(shortcut(x) + body(x)) (He et al., 2016)."""

    def __init__(self, c_in: int, c_out: int, stride: int, body: nn.Module) -> None:
        super().__init__()
        self.body = body
        self.shortcut = nn.Identity() if stride == 1 and c_in == c_out else _conv_bn(c_in, c_out, 1, stride)
        self.act = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        """[N, C, H, W] -> [N, C', H / stride, W / stride]."""
        y: Tensor = self.act(self.body(x) + self.shortcut(x))
        return y


def _basic(c_in: int, width: int, stride: int) -> ResidualBlock:
    body = nn.Sequential(_conv_bn(c_in, width, 3, stride, act=nn.ReLU()), _conv_bn(width, width, 3))
    return ResidualBlock(c_in, width, stride, body)


def _bottleneck(c_in: int, width: int, stride: int) -> ResidualBlock:
    relu = nn.ReLU()
    body = nn.Sequential(
        _conv_bn(c_in, width, 1, act=relu), _conv_bn(width, width, 3, stride, act=relu), _conv_bn(width, 4 * width, 1)
    )
    return ResidualBlock(c_in, 4 * width, stride, body)


def _resnet(depths: tuple[int, ...], bottleneck: bool) -> nn.Module:
    block, growth = (_bottleneck, 4) if bottleneck else (_basic, 1)
    layers: list[nn.Module] = [_conv_bn(3, 64, 7, 2, act=nn.ReLU()), nn.MaxPool2d(3, 2, 1)]
    c_in = 64
    for stage, depth in enumerate(depths):
        width = 64 << stage
        for i in range(depth):
            layers.append(block(c_in, width, 2 if i == 0 and stage > 0 else 1))
            c_in = width * growth
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(c_in, 1000))


def resnet18() -> nn.Module:
    """ResNet-18 (He et al., 2016): 1.8 G multiply-accumulates, 11.7 M parameters at 224 x 224."""
    return _resnet((2, 2, 2, 2), bottleneck=False)


def resnet50() -> nn.Module:
    """ResNet-50 v1.5: 4.1 G multiply-accumulates, 25.6 M parameters at 224 x 224."""
    return _resnet((3, 4, 6, 3), bottleneck=True)


def randomized(model: nn.Module, images: Tensor, seed: int) -> nn.Module:
    """`model` with seeded He-initialised weights and batch-norm statistics measured on `images` [N, 3, H, W], so
    that activations have the spread that a trained network's have. In evaluation mode."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu", generator=generator)
                if module.bias is not None:
                    module.bias.normal_(0, 0.1, generator=generator)
            elif isinstance(module, nn.BatchNorm2d):
                module.weight.uniform_(0.5, 1.5, generator=generator)
                module.bias.normal_(0, 0.2, generator=generator)
                module.momentum = None  # cumulative average: the statistics become those of `images`
        model.train()
        model(images)
    return model.eval()


BUILDERS = {
    "mobilenet_v2": mobilenet_v2,
    "mobilenet_v3_small": mobilenet_v3_small,
    "resnet18": resnet18,
    "resnet50": resnet50,
}
"""Name -> the function that builds the network."""
