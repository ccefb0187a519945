"""Running through the bundle's static runner: the part that all devices share."""

import json
import os
import re
import signal
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from ...errors import EdgeError
from ..python.ports import StepProfile
from .device import EMULATED_CPUS, Array, DeviceInfo, Latency, RunOptions, RunReport, TensorPort

_ELF_MACHINES = {62: "x86_64", 183: "aarch64", 243: "riscv64"}


@dataclass(frozen=True)
class Completed:
    """Result of a command: a negative `code` is the signal that ended it."""

    code: int
    stdout: str
    stderr: str


class RunnerDevice(ABC):
    """A device on which commands can be executed. Subclasses say how, and how files get there and back."""

    name: str
    kind: Literal["measured", "emulated"]

    @abstractmethod
    def query(self) -> DeviceInfo:
        """What is there; EdgeError where nothing answers."""

    @abstractmethod
    def push(self, local: Path) -> str:
        """Makes a file or folder available on the device and returns its path there."""

    @abstractmethod
    def pull(self, remote: str, local: Path) -> None:
        """Fetches a file from the device."""

    @abstractmethod
    def execute(self, command: Sequence[str], timeout: float) -> Completed:
        """Runs a program there; EdgeError when it cannot be started or takes longer than `timeout` seconds."""

    def scratch(self, local: Path) -> str:
        """A folder on the device for the files of one run, which take place in `local` here."""
        return self.push(local)

    def run(
        self,
        bundle: Path,
        inputs: Sequence[TensorPort],
        outputs: Sequence[TensorPort],
        arrays: Mapping[str, Array],
        out_dir: Path | None = None,
        options: RunOptions | None = None,
    ) -> RunReport:
        """See `Device.run`."""
        options = options or RunOptions()
        checked = _check_arrays(inputs, arrays)
        self._check_machine(bundle)
        with tempfile.TemporaryDirectory(prefix="edgec-run-") as name:
            work = Path(name)
            files = {}
            for i, (port_name, array) in enumerate(checked.items()):
                files[port_name] = f"input_{i}.npy"
                np.save(work / files[port_name], array)
            remote, there = self.push(bundle), self.scratch(work)
            command = [f"{remote}/run", f"{remote}/weights.bin", "--json", "--out", f"{there}/out", *_flags(options)]
            for port_name, file in files.items():
                command += ["--input", f"{port_name}={there}/{file}"]
            figures = _parse(self.name, self.execute(command, options.timeout))
            results = self._fetch(figures, outputs, work)
        if out_dir is not None:
            _save(results, out_dir)
        return _report(figures, results, self.kind)

    def _check_machine(self, bundle: Path) -> None:
        try:
            with (bundle / "run").open("rb") as file:
                header = file.read(20)
        except OSError as error:
            raise EdgeError(f"{bundle} is not a bundle: its runner cannot be read ({error.strerror})") from None
        arch = _ELF_MACHINES.get(int.from_bytes(header[18:20], "little"), "an unknown machine")
        if arch != self.query().arch:
            cpu = EMULATED_CPUS.get(arch)
            hint = f"--device qemu:{cpu} runs it here" if cpu else "compile it for this device"
            raise EdgeError(f"{bundle} is for {arch}, but device '{self.name}' is {self.query().arch}; {hint}")

    def _fetch(self, figures: dict[str, Any], ports: Sequence[TensorPort], work: Path) -> dict[str, Array]:
        results: dict[str, Array] = {}
        if [entry["name"] for entry in figures["outputs"]] != [port.name for port in ports]:
            raise EdgeError("the bundle's code has other outputs than its manifest says; compile the model again")
        for i, (port, entry) in enumerate(zip(ports, figures["outputs"], strict=True)):
            local = work / f"output_{i}.bin"
            self.pull(entry["file"], local)
            results[port.name] = np.fromfile(local, np.dtype(port.dtype)).reshape(entry["shape"])
        return results


def _check_arrays(ports: Sequence[TensorPort], arrays: Mapping[str, Array]) -> dict[str, Array]:
    by_name = {port.name: port for port in ports}
    checked = {}
    for name, value in arrays.items():
        if name not in by_name:
            raise EdgeError(f"there is no input '{name}'; the inputs are {', '.join(by_name) or 'none'}")
        array, port = np.asarray(value), by_name[name]
        if array.dtype != np.dtype(port.dtype):
            raise EdgeError(
                f"input '{name}' has type {array.dtype}{list(array.shape)}, "
                f"but {port.dtype}{list(port.shape)} is accepted"
            )
        checked[name] = np.require(array, np.dtype(port.dtype).newbyteorder("<"), "C")
    return checked


def _flags(options: RunOptions) -> list[str]:
    numbers = {"threads": options.threads, "repeat": options.repeat, "warmup": options.warmup}
    texts = {"affinity": options.affinity, "variant": options.variant}
    switches = {"mark": options.mark, "profile": options.profile, "guard": options.guard}
    flags = [part for name, value in numbers.items() for part in (f"--{name}", str(value))]
    flags += [part for name, value in texts.items() if value is not None for part in (f"--{name}", value)]
    return flags + [f"--{name}" for name, on in switches.items() if on]


def _parse(device: str, done: Completed) -> dict[str, Any]:
    message = done.stderr.strip().removeprefix("run: ")
    if done.code < 0:
        what = signal.Signals(-done.code).name
        raise EdgeError(f"the model's code died on device '{device}' from {what}; {message or 'it printed nothing'}")
    if done.code != 0:
        raise EdgeError(message or f"the runner ended with code {done.code} on device '{device}'")
    figures: dict[str, Any] = json.loads(done.stdout)
    return figures


def _report(figures: dict[str, Any], results: dict[str, Array], kind: Literal["measured", "emulated"]) -> RunReport:
    if "cold" not in figures["latency_ns"]:
        raise EdgeError("the bundle was made by an older edgec; compile the model again")
    return RunReport(
        outputs=results,
        latency=Latency(**figures["latency_ns"], kind=kind),
        variant=figures["variant"],
        threads=figures["threads"],
        memory=figures["memory"],
        profile=[StepProfile(**row) for row in figures.get("profile", [])],
    )


def _save(results: Mapping[str, Array], out_dir: Path) -> None:
    """Writes <name>.npy; names that are no file names, or the same one twice, are told apart by their number. None is
    left half written."""
    names: dict[str, Array] = {}
    for i, (name, array) in enumerate(results.items()):
        file = re.sub(r"[^A-Za-z0-9._-]", "_", name).lstrip(".")[:100] or f"output_{i}"
        names[file if file not in names else f"{file}_{i}"] = array
    try:
        out_dir.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".", dir=out_dir) as folder:
            for file, array in names.items():
                np.save(Path(folder) / f"{file}.npy", array)
            for file in names:
                os.replace(Path(folder) / f"{file}.npy", out_dir / f"{file}.npy")
    except OSError as error:
        raise EdgeError(
            f"the outputs cannot be written to {out_dir}: {error.strerror or error}; make room or choose another folder"
        ) from error
