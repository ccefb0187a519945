"""Running a bundle's last inference under the plugin."""

import subprocess
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from ..compiler.bundle.program import STEP_BYTES
from ..compiler.bundle.reader import Bundle
from ..errors import EdgeError
from ..runtimes.devices import QemuDevice, RunOptions, RunReport
from .cores import Cache, Core
from .counts import Counts, parse
from .image import Image
from .plugin import build_plugin

TIMEOUT_S = 3600
T = TypeVar("T")


class CountingDevice(QemuDevice):
    """qemu with the plugin loaded."""

    def __init__(self, cpu: str, arguments: dict[str, list[str]]) -> None:
        super().__init__(cpu)
        self._arguments = arguments

    def prefix(self) -> list[str]:
        """The emulator, the CPU to be, and the plugin with its arguments."""
        command = super().prefix()
        plugin = build_plugin(command[0])
        pairs = [f"{name}={value}" for name, values in self._arguments.items() for value in values]
        return [*command, "-plugin", ",".join(text.replace(",", ",,") for text in (str(plugin), *pairs))]


def count(bundle: Bundle, core: Core) -> tuple[Counts, RunReport]:
    """One inference with one thread, after one that warms the caches, and what the run itself reports.

    Inputs have fixed pseudo-random values in their largest shapes. EdgeError where qemu is missing or cannot count.
    """
    image, manifest = Image.read(bundle.runner), bundle.manifest
    if manifest.target.arch != "aarch64":
        raise EdgeError(f"{bundle.path} is for {manifest.target.arch}, but only aarch64 instructions are counted")
    if not image.begins() or not image.ends():
        raise EdgeError(f"the runner of {bundle.path} does not mark what is to be counted; compile the model again")
    options = RunOptions(warmup=1, mark=True, timeout=TIMEOUT_S)

    def run(device: CountingDevice) -> RunReport:
        return device.run(bundle.path, manifest.inputs, manifest.outputs, {}, options=options)

    return count_in(image, core, len(manifest.steps), run)


def count_in(image: Image, core: Core, steps: int, run: Callable[[CountingDevice], T]) -> tuple[Counts, T]:
    """What the program `image` executes between its marks, for a table of `steps` steps; and what `run` returns, which
    runs the program on a device once."""
    with tempfile.TemporaryDirectory(prefix="edgec-count-") as folder:
        out = Path(folder) / "counts"
        arguments = {
            "out": [str(out)],
            "begin": [hex(address) for address in image.begins()],
            "end": [hex(address) for address in image.ends()],
            "steps": [f"{steps}:{STEP_BYTES}"],
            "l1": [_size(core.l1)],
            "l2": [_size(core.l2)],
        }
        result = run(CountingDevice(core.emulated, arguments))
        if not out.is_file():
            raise EdgeError("qemu ran the model without counting; it was built without plugins: install qemu-user")
        return parse(out.read_text(), image), result


def count_marked(core: Core, command: Sequence[str], environment: Mapping[str, str]) -> Counts:
    """What the program and arguments `command` execute between `hint #72` and `hint #73`, in the thread that meets the
    first, wherever the program lies. Options of qemu, such as `-L`, may stand before the program. EdgeError where it
    fails."""
    with tempfile.TemporaryDirectory(prefix="edgec-count-") as folder:
        out = Path(folder) / "counts"
        arguments = {"out": [str(out)], "words": ["on"], "l1": [_size(core.l1)], "l2": [_size(core.l2)]}
        prefix = CountingDevice(core.emulated, arguments).prefix()
        done = subprocess.run(
            [*prefix, *command], env=environment, capture_output=True, text=True, timeout=TIMEOUT_S, check=False
        )
        if done.returncode or not out.is_file():
            said = (done.stderr.strip().splitlines() or ["nothing"])[-1]
            raise EdgeError(f"it ended with exit code {done.returncode} under qemu, and said: {said[-300:]}")
        return parse(out.read_text(), None)


def _size(cache: Cache) -> str:
    return f"{cache.kib}:{cache.ways}"
