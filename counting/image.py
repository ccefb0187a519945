"""The code of a static program: its instruction words by address, and the marks in it."""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ..errors import EdgeError

BEGIN, END = 0xD503291F, 0xD503293F
"""`hint #72` and `hint #73`, which bracket one inference (`runtimes/native/runner/main.c`)."""

_PT_LOAD, _EXECUTABLE = 1, 1
_READ_STEPS, _READ_STEPS_MASK = 0xF940001F, 0xFFFFFC1F
"""`ldr xzr, [xN]`: stands behind BEGIN and reads the first step's address."""


@dataclass(frozen=True)
class Segment:
    """Instruction words from `address` on."""

    address: int
    words: tuple[int, ...]


@dataclass(frozen=True)
class Image:
    """The executable segments of a program that is loaded where it was linked."""

    segments: tuple[Segment, ...]

    @staticmethod
    def read(path: Path) -> "Image":
        """The static AArch64 ELF program at `path`, whose header has been checked (`compiler/bundle/elf.py`); EdgeError
        where it is cut off."""
        try:
            return Image(tuple(_segments(path.read_bytes())))
        except struct.error:
            raise EdgeError(f"{path} is cut off or damaged; compile the model again") from None

    def words(self, address: int, count: int) -> tuple[int, ...]:
        """The `count` instructions from `address` on; EdgeError where the program has none."""
        for segment in self.segments:
            first = (address - segment.address) // 4
            if first >= 0 and first + count <= len(segment.words):
                return segment.words[first : first + count]
        raise EdgeError(f"the program executed {count} instructions at {address:#x}, which is outside its file's code")

    def begins(self) -> list[int]:
        """Where regions begin whose first access tells where the steps are."""
        return [a for a in self._find(BEGIN) if self.words(a + 4, 1)[0] & _READ_STEPS_MASK == _READ_STEPS]

    def ends(self) -> list[int]:
        """Where regions end."""
        return self._find(END)

    def _find(self, word: int) -> list[int]:
        return [s.address + 4 * i for s in self.segments for i, found in enumerate(s.words) if found == word]


def _segments(data: bytes) -> Iterator[Segment]:
    (offset,), (size, count) = struct.unpack_from("<Q", data, 32), struct.unpack_from("<HH", data, 54)
    for number in range(count):
        kind, flags, start, address, _, length = struct.unpack_from("<IIQQQQ", data, offset + number * size)
        if kind == _PT_LOAD and flags & _EXECUTABLE:
            yield Segment(address, struct.unpack_from(f"<{length // 4}I", data, start))
