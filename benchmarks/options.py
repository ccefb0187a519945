"""What the commands of the benchmarks have in common."""

from argparse import ArgumentParser, ArgumentTypeError
from collections.abc import Collection


def add_models(parser: ArgumentParser, known: Collection[str]) -> None:
    """The argument `models`: any number of names among `known`."""

    def name(text: str) -> str:
        if text not in known:
            raise ArgumentTypeError(f"there is no model {text!r}; there are {', '.join(known)}")
        return text

    parser.add_argument("models", nargs="*", type=name, metavar="MODEL", help=", ".join(known))


def target_of(device: str) -> str:
    """The target whose bundles run on a device (`host` is this machine, like `local`)."""
    if device in ("host", "local"):
        return "host"
    return "riscv64-rvv" if device.startswith("qemu:rv64") else "arm64-neon"
