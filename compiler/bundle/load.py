"""`edgec.load`: a bundle as a Python object, wherever its code can run."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol, Self

import numpy as np

from ...errors import EdgeError
from ...runtimes.devices import EMULATED_CPUS, Device, RunOptions, TensorPort, open_device
from ...runtimes.python.binding import Model
from .reader import Bundle, open_bundle

Array = np.ndarray[Any, np.dtype[Any]]


class Runnable(Protocol):
    """A loaded model: numpy in, numpy out."""

    @property
    def inputs(self) -> tuple[TensorPort, ...]:
        """Names, shapes and dtypes of the inputs."""
        ...

    @property
    def outputs(self) -> tuple[TensorPort, ...]:
        """Names, shapes and dtypes of the outputs."""
        ...

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """One inference: arrays by input name to arrays by output name. EdgeError when they do not fit."""
        ...

    def close(self) -> None:
        """Give its memory and threads back."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(self, *exception: object) -> None: ...


def load(path: str | os.PathLike[str], threads: int = 1) -> Runnable:
    """The bundle at `path`, checked and ready to run with `threads` threads (0: one per CPU).

    Code for this machine runs in this process; code for another machine runs under qemu, slowly but with the same
    bytes. EdgeError when the bundle is damaged, or nothing here can run it.
    """
    bundle = open_bundle(Path(path))
    if default_device(bundle) == "local":
        return Model(bundle.library_code(), bundle.weights, threads=threads)
    return DeviceModel(bundle, open_device(default_device(bundle)), threads)


def default_device(bundle: Bundle) -> str:
    """The name of the nearest device that can run the bundle; EdgeError where there is none."""
    arch, here = bundle.manifest.target.arch, open_device("local").query().arch
    if arch == here:
        return "local"
    if arch not in EMULATED_CPUS:
        raise EdgeError(
            f"{bundle.path} is for {arch}, which this machine ({here}) cannot run; compile it with --target host"
        )
    return f"qemu:{EMULATED_CPUS[arch]}"


class DeviceModel:
    """A bundle that runs on a device: every inference is a process of its own there."""

    def __init__(self, bundle: Bundle, device: Device, threads: int) -> None:
        self.inputs = bundle.manifest.inputs
        self.outputs = bundle.manifest.outputs
        self._bundle, self._device, self._options = bundle, device, RunOptions(threads=threads)
        if bundle.manifest.states:
            raise EdgeError(
                f"{bundle.path} keeps states from run to run, which device '{device.name}' does not; "
                f"compile it for this machine to use it here"
            )
        device.query()

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """See `Runnable.run`."""
        if missing := [port.name for port in self.inputs if port.name not in inputs]:
            raise EdgeError(f"input '{missing[0]}' of model '{self._bundle.manifest.model}' is missing")
        report = self._device.run(self._bundle.path, self.inputs, self.outputs, inputs, options=self._options)
        return report.outputs

    def close(self) -> None:
        """Nothing is held between inferences."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()
