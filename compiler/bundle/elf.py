"""The few facts of an ELF file that a bundle's check needs: is it code for the machine that it claims?"""

import struct
from enum import IntEnum

from ...errors import EdgeError


class Machine(IntEnum):
    """`e_machine` of the architectures that bundles are made for, by the manifest's `arch`."""

    x86_64 = 62
    aarch64 = 183
    riscv64 = 243


EXECUTABLE, SHARED = 2, 3
HEADER_BYTES = 64


def check(head: bytes, arch: str, source: str) -> None:
    """EdgeError (naming `source`) unless `head`, a file's first bytes, starts a 64-bit little-endian ELF for `arch`."""
    if arch not in Machine.__members__:
        raise EdgeError(f"{source} is said to be for {arch!r}; known: {', '.join(Machine.__members__)}")
    if len(head) < HEADER_BYTES or head[:6] != b"\x7fELF\x02\x01":
        raise EdgeError(f"{source} is not a 64-bit little-endian ELF file; compile the model again")
    kind, machine = struct.unpack_from("<HH", head, 16)
    if machine != Machine[arch] or kind not in (EXECUTABLE, SHARED):
        raise EdgeError(f"{source} is ELF type {kind} for machine {machine}, not {arch} code; compile the model again")
