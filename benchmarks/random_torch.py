"""Random networks against torch: `python -m edgec.benchmarks.random_torch`.

Each seed gives a network (`random_nets.py`). torch exports it and says what it computes; edgec compiles it, the graph
verified after each pass, in float and in int8.

int8 must give the bytes of the numpy reference of its graph. float is compared with what torch computes in float64: the
error of no element may be more than TOLERANCE of the output's range, or four times the largest error of torch's own
float32, if that is more. Where a network truncates or compares numbers, float32 cannot decide on what side of a border
they fall if they are closer to it than MARGIN of their size. So there are runs in float64 with these numbers moved as
far, all up, all down and at random; an element of an output that differs among these runs by more than TOLERANCE is
undecided, and not compared, neither with edgec nor for torch's own error. How many are is printed. Anything else is
wrong, whatever the compiler says of it.
"""

import argparse
import os
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from rich.console import Console
from rich.progress import track
from torch import Tensor

from ..compiler.bundle.load import load
from ..compiler.driver import build_graph, compile_model
from ..compiler.ops.reference import run_graph
from .random_nets import RandomNet
from .workers import Died, run_jobs

Array = np.ndarray[Any, Any]

SEEDS = 300
TOLERANCE = 1e-4
"""Of an output's range."""

MARGIN = 60 * 2.0**-24
"""Of the largest number of a tensor: what float32 rounds in as many operations as a network has."""

RANDOM_MOVES = 6
SECONDS = 300.0
OPSET = 17


class Verdict(NamedTuple):
    """`problem`: what is wrong with a network, "" if nothing is. `undecided` of its outputs' `elements` could not be
    compared with torch."""

    problem: str
    undecided: int = 0
    elements: int = 0


def judge(seed: int) -> Verdict:
    """About the network of a seed."""
    try:
        with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")
            torch.set_num_threads(1)
            return _judge(seed, Path(folder))
    except Exception as error:
        return Verdict(f"{type(error).__name__}: {error}")


def _judge(seed: int, folder: Path) -> Verdict:
    net = RandomNet(seed)
    path, samples = folder / "net.onnx", folder / "samples"
    torch.onnx.export(
        net, (torch.zeros(net.example),), path, input_names=["x"], output_names=["y", "z"], opset_version=OPSET,
        dynamo=False,
    )  # fmt: skip
    samples.mkdir()
    draws = np.random.default_rng(seed)
    for i in range(3):
        np.savez(samples / f"{i}.npz", x=draws.normal(size=net.example).astype(np.float32))
    x = draws.normal(size=net.example).astype(np.float32)
    float_problem, undecided, elements = _judge_float(net, path, x, folder)
    compile_model(path, target="host", output=folder / "int8.edge", int8=True, calibrate=samples, verify=True)
    expected = run_graph(build_graph(path, int8=True, calibrate=samples), {"x": x})
    wrong = [name for name, y in _run(folder / "int8.edge", x).items() if not same_bytes(y, expected[name])]
    int8_problem = "".join(f"int8 {name}: not the bytes of the reference; " for name in wrong)
    return Verdict(float_problem + int8_problem, undecided, elements)


def _judge_float(net: RandomNet, path: Path, x: Array, folder: Path) -> Verdict:
    compile_model(path, target="host", output=folder / "float.edge", verify=True)
    found = _run(folder / "float.edge", x)
    single = _computed(net, x)
    net.double()
    double = _computed(net, x.astype(np.float64))
    moved = []
    for net.moved in moves():
        moved.append(_computed(net, x.astype(np.float64)))
    problem, undecided = "", 0
    for name, truth in double.items():
        decided = np.all([share(other[name], truth) <= TOLERANCE for other in moved], axis=0)
        undecided += int(truth.size - decided.sum())
        if what := difference(found[name], single[name], truth, decided):
            problem += f"float {name}: {what}; "
    return Verdict(problem, undecided, sum(y.size for y in double.values()))


def _run(bundle: Path, x: Array) -> Mapping[str, Array]:
    with load(bundle) as compiled:
        return compiled.run({"x": x})


def _computed(net: RandomNet, x: Array) -> dict[str, Array]:
    return {name: y.numpy() for name, y in zip(("y", "z"), net(torch.from_numpy(x)), strict=True)}


def moves() -> Iterator[Callable[..., Tensor]]:
    """Ways to move what decides by MARGIN of the largest operand: up, down, at random."""
    signs = np.random.default_rng(0)

    def move(sign: Callable[[Tensor], Tensor]) -> Callable[..., Tensor]:
        return lambda x, *others: x + sign(x) * MARGIN * max(float(v.abs().max()) for v in (x, *others))

    yield move(torch.ones_like)
    yield move(lambda x: -torch.ones_like(x))
    for _ in range(RANDOM_MOVES):
        yield move(lambda x: torch.from_numpy(signs.choice([-1.0, 1.0], x.shape)))


def same_bytes(a: Array, b: Array) -> bool:
    """Whether the arrays have one type, one shape and the same bits."""
    return (a.shape, a.dtype, a.tobytes()) == (b.shape, b.dtype, b.tobytes())


def difference(found: Array, single: Array, truth: Array, decided: Array) -> str:
    """What is wrong with the output `found`, whose decided elements `truth` tells; torch's own one is `single`."""
    if (found.shape, found.dtype) != (single.shape, single.dtype):
        return f"{found.dtype}{list(found.shape)} instead of {single.dtype}{list(single.shape)}"
    error, own = (float(share(y, truth)[decided].max(initial=0.0)) for y in (found, single))
    allowed = max(TOLERANCE, 4 * own)
    return "" if error <= allowed else f"differs by {error:.1e} of its range, where {allowed:.1e} is allowed"


def share(found: Array, truth: Array) -> Array:
    """Differences in shares of the range; infinite where one is no number and the other is."""
    both = np.isnan(found) & np.isnan(truth)
    distance = np.abs(found - truth) / max(float(np.ptp(truth)), 1e-3)
    return np.where(both, 0.0, np.where(np.isnan(distance), np.inf, distance))


def run(seeds: Sequence[int], jobs: int) -> dict[int, Verdict]:
    """Seed -> verdict."""
    results = run_jobs(judge, seeds, jobs, SECONDS)
    shown = track(results, "random networks", total=len(seeds), console=Console(stderr=True))
    return {seed: Verdict(str(result)) if isinstance(result, Died) else result for seed, result in shown}


def main(arguments: Sequence[str]) -> int:
    """Print what is wrong, how many networks were tried, and how much of their outputs was compared."""
    parser = argparse.ArgumentParser(prog="python -m edgec.benchmarks.random_torch", description=main.__doc__)
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--count", type=int, default=SEEDS, help="how many seeds")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="processes; default: one per CPU")
    options = parser.parse_args(arguments)
    verdicts = run(range(options.first, options.first + options.count), options.jobs)
    wrong = {seed: verdict.problem for seed, verdict in sorted(verdicts.items()) if verdict.problem}
    for seed, problem in wrong.items():
        print(f"seed {seed}: {problem}")
    print(f"{options.count} networks, {len(wrong)} wrong")
    undecided = [v.undecided for v in verdicts.values()]
    print(
        f"float32 decides all but {sum(undecided)} of {sum(v.elements for v in verdicts.values())} elements of float "
        f"outputs; {len(undecided) - undecided.count(0)} networks have such"
    )
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
