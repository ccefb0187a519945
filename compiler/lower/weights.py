"""The bundle's constants."""

import hashlib
from dataclasses import dataclass, field

from .buffers import ALIGNMENT, Ref, Storage
from .plan import Space


@dataclass
class WeightsBlob:
    """The bundle's constants: aligned, each stored once."""

    data: bytearray = field(default_factory=bytearray)
    storage: Storage = field(default_factory=lambda: Storage(0, Space.WEIGHTS))
    _known: dict[bytes, int] = field(default_factory=dict)

    def add(self, content: bytes) -> Ref:
        """The address of `content`."""
        key = hashlib.sha256(content).digest()
        if key not in self._known:
            self.data += bytes(-len(self.data) % ALIGNMENT)
            self._known[key] = len(self.data)
            self.data += content
        return Ref(self.storage, self._known[key])
