"""Run a bundle's library in this process: numpy in, numpy out, through the C interface that applications use."""

import ctypes as c
import itertools
import os
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Self

from ...errors import EdgeError
from . import abi
from .arrays import Array
from .library import Library
from .ports import Port, State
from .session import Session, check


class Model:
    """A compiled model, open until `close` or the end of a `with` block.

    `library` is the path of a bundle's shared library, or its content. `run` serves one caller at a time; for
    inferences at the same time make a `session` for each thread. All sessions share the weights.
    """

    def __init__(
        self,
        library: str | os.PathLike[str] | bytes,
        weights: str | os.PathLike[str],
        *,
        threads: int = 1,
        affinity: str | None = None,
        variant: str | None = None,
    ) -> None:
        self._handle = c.c_void_p()
        self._default: Session | None = None
        self._default_options = (threads, affinity)
        self._library = _load(library)
        self._calls = self._library.calls
        options = abi.ModelOptions(c.sizeof(abi.ModelOptions), variant.encode() if variant is not None else None)
        error = abi.Error()
        status = self._calls.edge_model_open(
            self._calls.edge_default_program(), os.fsencode(weights), options, c.byref(self._handle), error
        )
        if status != 0:
            self._library.release()
        check(status, error)
        inputs, outputs = c.c_uint32(), c.c_uint32()
        self._calls.edge_model_counts(self._handle, inputs, outputs)
        self.name = self._text("edge_model_name")
        self.variant = self._text("edge_model_variant")
        self.inputs = tuple(self._input(i) for i in range(inputs.value))
        self.outputs = tuple(self._port("edge_model_output", i) for i in range(outputs.value))
        self.states = tuple(self._states())

    def session(
        self, threads: int = 1, affinity: str | None = None, *, profile: bool = False, guard: bool = False
    ) -> Session:
        """Working memory and threads for one inference at a time (`threads` 0: one per CPU).

        `affinity` is "performance", "efficiency", "all" or "cpus=0,2-3"; `profile` measures each step; `guard` looks
        for writes outside of the working memory after each run.
        """
        return Session(self, threads, affinity, profile, guard)

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """One inference: arrays by input name to arrays by output name."""
        if self._default is None:
            self._default = self.session(*self._default_options)
        return self._default.run(inputs)

    def close(self) -> None:
        """Gives the model up; sessions that are still open keep working."""
        if self._default is not None:
            self._default.close()
            self._default = None
        if self._handle:
            self._calls.edge_model_close(self._handle)
            self._handle = c.c_void_p()
            self._library.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def __del__(self) -> None:
        self.close()

    def _text(self, call: str) -> str:
        text = c.c_char_p()
        getattr(self._calls, call)(self._handle, text)
        return (text.value or b"").decode()

    def _input(self, index: int) -> Port:
        port, ranges, found = self._port("edge_model_input", index), [], abi.Range()
        for axis in range(len(port.shape)):
            self._calls.edge_model_input_range(self._handle, index, axis, found)
            ranges.append(range(found.low, found.high + 1, found.step))
        return replace(port, ranges=tuple(ranges))

    def _states(self) -> Iterator[State]:
        pointer, output = c.POINTER(abi.Port)(), c.c_char_p()
        for index in itertools.count():
            if self._calls.edge_model_state(self._handle, index, pointer, output) != 0:
                return
            port = pointer.contents
            shape = tuple(port.shape[: port.rank])
            yield State(port.name.decode(), (output.value or b"").decode(), shape, abi.DTYPES[port.dtype])

    def _port(self, call: str, index: int) -> Port:
        pointer = c.POINTER(abi.Port)()
        getattr(self._calls, call)(self._handle, index, pointer)
        port = pointer.contents
        count = port.quant_count
        return Port(
            name=port.name.decode(),
            shape=tuple(port.shape[: port.rank]),
            dtype=abi.DTYPES[port.dtype],
            scale=tuple(port.scale[:count]),
            zero_point=tuple(port.zero_point[:count]),
            axis=port.quant_axis if count > 1 else None,
            alignment=port.alignment,
        )


def _load(library: str | os.PathLike[str] | bytes) -> Library:
    if isinstance(library, bytes):
        return Library(library, "the library")
    try:
        return Library(Path(library).read_bytes(), str(library))
    except OSError as error:
        raise EdgeError(f"{library} cannot be read: {error.strerror}") from None
