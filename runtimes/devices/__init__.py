"""Where bundles run: this machine, or an emulator."""

from ...errors import EdgeError
from .device import EMULATED_CPUS, Device, DeviceInfo, Latency, RunOptions, RunReport, TensorPort
from .local import LocalDevice
from .qemu import QemuDevice

__all__ = [
    "EMULATED_CPUS",
    "Device",
    "DeviceInfo",
    "Latency",
    "QemuDevice",
    "RunOptions",
    "RunReport",
    "TensorPort",
    "open_device",
]


def open_device(text: str) -> Device:
    """The device named `local`, `qemu` or `qemu:CPU`."""
    kind, _, detail = text.partition(":")
    if kind == "local" and not detail:
        return LocalDevice()
    if kind == "qemu":
        return QemuDevice(detail or EMULATED_CPUS["aarch64"])
    raise EdgeError(
        f"there is no device '{text}'; known are local, qemu and qemu:CPU (cortex-a53, cortex-a76, max; rv64,v=true)"
    )
