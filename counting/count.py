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
from .cores import Core
from .counts import OUTSIDE, Counts, parse
from .plugin import build_plugin

TIMEOUT_S = 3600
T = TypeVar("T")


class CountingDevice(QemuDevice):
    """qemu as a core, with the plugin, which writes what it counts of a program into the file `out`; `steps` is the
    length of the program's table of steps."""

    def __init__(self, core: Core, out: Path, steps: int) -> None:
        super().__init__(core.emulated)
        caches = (f"{name}={cache.kib}:{cache.ways}" for name, cache in (("l1", core.l1), ("l2", core.l2)))
        self._arguments = [f"out={out}", f"steps={steps}:{STEP_BYTES}", *caches]

    def prefix(self) -> list[str]:
        """The emulator, the CPU to be, and the plugin with its arguments."""
        command = super().prefix()
        plugin = str(build_plugin(command[0]))
        return [*command, "-plugin", ",".join(text.replace(",", ",,") for text in (plugin, *self._arguments))]


def count(bundle: Bundle, core: Core) -> tuple[Counts, RunReport]:
    """One inference with one thread, after one that warms the caches, and what the run itself reports.

    Inputs have fixed pseudo-random values in their largest shapes. EdgeError where qemu is missing or cannot count.
    """
    manifest = bundle.manifest
    if manifest.target.arch != "aarch64":
        raise EdgeError(f"{bundle.path} is for {manifest.target.arch}, but only aarch64 instructions are counted")
    variant = next((v.name for v in manifest.target.variants if core.feature in v.features), None)
    options = RunOptions(warmup=1, mark=True, timeout=TIMEOUT_S, variant=variant)

    def run(device: CountingDevice) -> RunReport:
        return device.run(bundle.path, manifest.inputs, manifest.outputs, {}, options=options)

    counts, report = count_in(core, run, len(manifest.steps))
    if manifest.steps and all(r.step == OUTSIDE for r in counts.runs):
        raise EdgeError(f"the runner of {bundle.path} does not tell its steps; compile the model again")
    return counts, report


def count_in(core: Core, run: Callable[[CountingDevice], T], steps: int = 0) -> tuple[Counts, T]:
    """What a program executes between `hint #72` and `hint #73`, in the thread that meets the first; and what `run`
    returns, which runs the program on a device once. `steps` is the length of its table of steps."""
    with tempfile.TemporaryDirectory(prefix="edgec-count-") as folder:
        out = Path(folder) / "counts"
        result = run(CountingDevice(core, out, steps))
        if not out.is_file():
            raise EdgeError("qemu ran the program without counting; it was built without plugins: install qemu-user")
        return parse(out.read_text()), result


def count_marked(core: Core, command: Sequence[str], environment: Mapping[str, str]) -> Counts:
    """`count_in` of a program and its arguments. Options of qemu, such as `-L`, may stand before the program. EdgeError
    where it fails."""

    def run(device: CountingDevice) -> None:
        done = subprocess.run(
            [*device.prefix(), *command],
            env=environment,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
        )
        if done.returncode:
            said = (done.stderr.strip().splitlines() or ["nothing"])[-1]
            raise EdgeError(f"it ended with exit code {done.returncode} under qemu, and said: {said[-300:]}")

    return count_in(core, run)[0]
