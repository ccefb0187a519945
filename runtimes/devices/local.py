"""This machine: the bundle's runner in a process of its own, so that a fault in a kernel cannot take edgec down."""

import os
import platform
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from ...errors import EdgeError
from .device import DeviceInfo
from .runner import Completed, RunnerDevice


class LocalDevice(RunnerDevice):
    """`local`: times are measured."""

    name = "local"
    kind: Literal["measured", "emulated"] = "measured"

    def query(self) -> DeviceInfo:
        """This machine's architecture and usable CPUs."""
        arch = platform.machine().lower()
        arch = {"amd64": "x86_64", "arm64": "aarch64"}.get(arch, arch)
        return DeviceInfo(self.name, arch, len(os.sched_getaffinity(0)))

    def push(self, local: Path) -> str:
        """Nothing to do: the file is here."""
        return str(local.resolve())

    def pull(self, remote: str, local: Path) -> None:
        """Moves the file."""
        shutil.move(remote, local)

    def execute(self, command: Sequence[str], timeout: float) -> Completed:
        """Runs the command as a child process."""
        try:
            done = subprocess.run(
                [*self.prefix(), *command], capture_output=True, stdin=subprocess.DEVNULL, timeout=timeout, check=False
            )
        except subprocess.TimeoutExpired:
            raise EdgeError(f"the run on device '{self.name}' was stopped after {timeout:g} s") from None
        except OSError as error:
            raise EdgeError(f"{command[0]} cannot be started on device '{self.name}': {error.strerror}") from None
        return Completed(done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace"))

    def prefix(self) -> list[str]:
        """What stands before each command."""
        return []
