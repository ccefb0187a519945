"""What an inference of each engine executes on an arm64 core, counted under emulation, and what that costs there."""

import gzip
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
from ...counting.cores import CORES, Core
from ...counting.costs import price
from ...counting.counts import OUTSIDE, Block, Counts, Runs
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
    """Of the second or third inference of the form's file `model`. What other engines execute is kept in `folder`,
    until they or what counts changes; what it costs is not. EdgeError where an engine fails."""
    if form.engine == "edgec":
        return _ours(form, model, core, feeds, want)
    kept = folder / "counts" / f"{model.parent.name}-{core}-{_version(CORES[core])}.gz"
    if not kept.exists():
        kept.parent.mkdir(parents=True, exist_ok=True)
        made = kept.with_suffix(".making")
        counts, similar = _theirs(form, model, core, feeds, want, folder)
        made.write_bytes(gzip.compress(json.dumps([asdict(counts), similar]).encode(), 6))
        made.rename(kept)
    counts, similar = _read(kept)
    return Counted(form.label, counts.instructions, price(counts, CORES[core], 0)[OUTSIDE].cycles, similar)


def _ours(form: Form, model: Path, core: str, feeds: Feeds, want: Sequence[Array]) -> Counted:
    bundle = open_bundle(model)
    manifest, device = bundle.manifest, open_device(f"qemu:{CORES[core].emulated}")
    outputs = device.run(bundle.path, manifest.inputs, manifest.outputs, feeds).outputs
    total = report(bundle, CORES[core]).total
    return Counted(form.label, total.instructions, total.cycles, cosine(list(outputs.values()), want))


def _theirs(
    form: Form, model: Path, core: str, feeds: Feeds, want: Sequence[Array], folder: Path
) -> tuple[Counts, float]:
    """And the cosine of its outputs."""
    machine = arm64(folder)
    with tempfile.TemporaryDirectory() as temporary:
        given, found = Path(temporary) / "feeds.npz", Path(temporary) / "outputs.npz"
        np.savez(given, **feeds)  # type: ignore[arg-type]
        command = machine.command(core, DRIVER, [form.engine, model, given, found, "1", "mark"])
        counts = counting.count_marked(CORES[core], command, machine.environment)
        with np.load(found) as file:
            return counts, cosine([file[name] for name in file.files], want)


def _read(kept: Path) -> tuple[Counts, float]:
    data, similar = json.loads(gzip.decompress(kept.read_bytes()))
    blocks = {b["id"]: Block(b["id"], b["address"], tuple(b["words"])) for b in data["blocks"].values()}
    return Counts(blocks, tuple(Runs(**r) for r in data["runs"]), data["edges"]), similar


def _version(core: Core) -> str:
    """Of the engines, of what they run on, and of what counts."""
    digest = hashlib.sha256(repr((ENGINES, core.l1, core.l2)).encode())
    for path in (DRIVER, Path(__file__).with_name("arm64.py"), Path(counting.__file__).with_name("plugin.c")):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:8]
