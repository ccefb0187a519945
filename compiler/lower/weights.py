"""The bundle's constants."""

import hashlib
from dataclasses import dataclass, field

from .buffers import ALIGNMENT, Ref, Storage
from .plan import Space

PAGE_SIZE = 16384
"""Bytes; of a page on any system that bundles run on."""


@dataclass
class WeightsBlob:
    """The bundle's constants: aligned, each stored once. A run reads all of `data`, and some rows of `rows`."""

    data: bytearray = field(default_factory=bytearray)
    rows: bytearray = field(default_factory=bytearray)
    storage: Storage = field(default_factory=lambda: Storage(0, Space.WEIGHTS))
    _rows_storage: Storage = field(default_factory=lambda: Storage(0, Space.WEIGHTS))
    _known: dict[bytes, Ref] = field(default_factory=dict)

    def add(self, content: bytes, by_rows: bool = False) -> Ref:
        """The address of `content`, of which a run reads all, or some rows here and there."""
        key = hashlib.sha256(content).digest()
        if key not in self._known:
            data, storage = (self.rows, self._rows_storage) if by_rows else (self.data, self.storage)
            data += bytes(-len(data) % ALIGNMENT)
            self._known[key] = Ref(storage, len(data))
            data += content
        return self._known[key]

    def joined(self) -> bytes:
        """All constants, those that are read by rows last, from the beginning of a page on; they have their places
        then."""
        if not self.rows:
            return bytes(self.data)
        padding = bytes(-len(self.data) % PAGE_SIZE)
        self._rows_storage.offset = len(self.data) + len(padding)
        return bytes(self.data + padding + self.rows)
