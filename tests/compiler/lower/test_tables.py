"""Tables that convolutions look up their results in: which do, and the reference's bytes on every kind of core."""

from collections.abc import Callable
from pathlib import Path

import pytest

from edgec.compiler.ir.expr import In, call
from edgec.compiler.ir.graph import Value
from edgec.compiler.kernels.convolutions.contraction import ContractionSpec
from edgec.compiler.kernels.table import TableSpec
from edgec.compiler.lower.lower import lower
from edgec.targets.registry import find
from edgec.tests.compiler.lower import running
from edgec.tests.compiler.lower.test_bands import Net


def silu(net: Net, x: Value) -> Value:
    half = call("exp", call("neg", In(0)))
    return net.emit("map", [x], {"expr": call("div", In(0), call("add", half, 1.0))}, 0.015)


def found(net: Net, target: str = "arm64-neon") -> tuple[bool, bool]:
    """Whether there are convolutions that look up their results, and whether there are kernels for nothing else."""
    kernels = [kernel.spec for kernel in lower(net.graph, find(target)).kernels.values()]
    in_convolutions = any(isinstance(spec, ContractionSpec) and spec.table for spec in kernels)
    return in_convolutions, any(isinstance(spec, TableSpec) for spec in kernels)


DEVICES = [(running.BASE, None), (running.DOTPROD, None), (running.DOTPROD, running.IN_ORDER), (running.MATRIX, None)]


@pytest.mark.parametrize(("device", "variant"), DEVICES)
@pytest.mark.parametrize("side", [(9, 7), (1, 1)])
def test_bytes(side: tuple[int, int], device: str, variant: str | None, tmp_path: Path) -> None:
    net = Net(*side, 12)
    x = net.x
    for outputs, kernel, stride in ((16, 3, 1), (24, 1, 1), (40, 3, 2), (8, 3, 1), (19, 1, 1), (32, 1, 1)):
        x = silu(net, net.conv(x, outputs, kernel, stride))
    net.done(x)
    assert found(net) == (True, False)
    running.check(net.graph, net.input(), tmp_path, device, 2, variant)


def test_joined(tmp_path: Path) -> None:
    """Results lie between those of others, in a buffer with padding."""
    net = Net(6, 5, 8)
    parts = [silu(net, net.conv(net.x, outputs)) for outputs in (24, 8, 16)]
    joined = net.emit("concat", parts, {"axis": 3}, 0.015)
    net.done(silu(net, net.conv(joined, 16, 3)))
    assert found(net) == (True, False)
    for device, variant in DEVICES:
        running.check(net.graph, net.input(), tmp_path, device, 2, variant)


def is_output(net: Net) -> list[Value]:
    y = net.conv(net.x, 16)
    return [silu(net, y), y]


def is_read_twice(net: Net) -> list[Value]:
    y = net.conv(net.x, 16)
    return [silu(net, y), net.emit("map", [y], {"expr": call("neg", In(0))})]


def has_residual(net: Net) -> list[Value]:
    return [silu(net, net.conv(net.x, 12, residual=net.x))]


def is_depthwise(net: Net) -> list[Value]:
    return [silu(net, net.conv(net.x, 12, 3, depthwise=True))]


def is_narrow(net: Net) -> list[Value]:
    return [silu(net, net.conv(net.x, 7))]


def is_rare(net: Net) -> list[Value]:
    return [silu(net, net.conv(net.conv(net.x, 16), 16))]


@pytest.mark.parametrize("build", [is_output, is_read_twice, has_residual, is_depthwise, is_narrow, is_rare])
def test_steps_of_their_own(build: Callable[[Net], list[Value]], tmp_path: Path) -> None:
    net = Net(5, 6, 12)
    net.done(*build(net))
    assert found(net) == (False, True)
    running.check(net.graph, net.input(), tmp_path, running.DOTPROD)


def test_targets_without_such_code() -> None:
    net = Net(5, 6, 12)
    net.done(silu(net, net.conv(net.x, 16)))
    assert (found(net), found(net, "host")) == ((True, False), (False, True))
