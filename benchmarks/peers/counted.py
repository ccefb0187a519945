"""What an inference of each engine executes on an arm64 core, counted under emulation, and what that costs there."""

import hashlib
import json
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ...compiler.bundle.reader import open_bundle
from ...counting import count as counting
from ...counting.cores import CORES
from ...counting.costs import price
from ...counting.counts import OUTSIDE
from ...counting.report import report
from ...runtimes.devices import open_device
from ..zoo import Feeds
from .arm64 import arm64
from .contest import DRIVER, cosine
from .environment import ENGINES
from .forms import Form

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Counted:
    """One inference with one thread: `instructions` are counted, `cycles` modelled; `cosine` as in `Measured`."""

    label: str
    instructions: int
    cycles: float
    cosine: float


def counted(form: Form, model: Path, core: str, feeds: Feeds, want: Sequence[Array], folder: Path) -> Counted:
    """Of the second or third inference of the form's file `model`. What other engines gave is kept in `folder`, until
    they or what counts changes. EdgeError where an engine fails."""
    if form.engine == "edgec":
        return _ours(form, model, core, feeds, want)
    kept = folder / "counts" / f"{model.parent.name}-{core}-{_version()}.json"
    if not kept.exists():
        kept.parent.mkdir(parents=True, exist_ok=True)
        made = kept.with_suffix(".making")
        made.write_text(json.dumps(asdict(_theirs(form, model, core, feeds, want, folder))))
        made.rename(kept)
    return Counted(**json.loads(kept.read_text()))


def _ours(form: Form, model: Path, core: str, feeds: Feeds, want: Sequence[Array]) -> Counted:
    bundle = open_bundle(model)
    manifest, device = bundle.manifest, open_device(f"qemu:{CORES[core].emulated}")
    outputs = device.run(bundle.path, manifest.inputs, manifest.outputs, feeds).outputs
    total = report(bundle, CORES[core]).total
    return Counted(form.label, total.instructions, total.cycles, cosine(list(outputs.values()), want))


def _theirs(form: Form, model: Path, core: str, feeds: Feeds, want: Sequence[Array], folder: Path) -> Counted:
    machine = arm64(folder)
    with tempfile.TemporaryDirectory() as temporary:
        given, found = Path(temporary) / "feeds.npz", Path(temporary) / "outputs.npz"
        np.savez(given, **feeds)  # type: ignore[arg-type]
        command = machine.command(core, DRIVER, [form.engine, model, given, found, "1", "mark"])
        counts = counting.count_marked(CORES[core], command, machine.environment)
        with np.load(found) as file:
            outputs = [file[name] for name in file.files]
    cost = price(counts, CORES[core], 0)[OUTSIDE]
    return Counted(form.label, counts.instructions, cost.cycles, cosine(outputs, want))


def _version() -> str:
    """Of the engines, and of what counts and prices: all but what shows it."""
    digest = hashlib.sha256("\n".join(ENGINES).encode() + DRIVER.read_bytes())
    for path in sorted(Path(counting.__file__).parent.glob("*.[cp]*")):
        if path.name not in ("report.py", "count.py", "plugin.py", "image.py") and path.is_file():
            digest.update(path.read_bytes())
    return digest.hexdigest()[:8]
