"""Run a bundle's library in this process: numpy in, numpy out, through the C interface that applications use."""

import ctypes as c
import itertools
import math
import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import numpy as np

from ...errors import EdgeError
from . import abi
from .library import Library

Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True)
class Port:
    """An input or output. Quantized ones hold integers: real = (value - zero_point) * scale.

    Where shapes differ from run to run, `shape` is the largest, and an input's `ranges` has what each extent can be.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    scale: tuple[float, ...] = ()
    zero_point: tuple[int, ...] = ()
    axis: int | None = None
    alignment: int = 1
    ranges: tuple[range, ...] = ()

    def __str__(self) -> str:
        return f"'{self.name}' {self.dtype}[{', '.join(map(_extent_text, self.ranges or self.shape))}]"


@dataclass(frozen=True)
class State:
    """A tensor that sessions keep from run to run: `input` and `output` are its names before and after a run."""

    input: str
    output: str
    shape: tuple[int, ...]
    dtype: str


@dataclass(frozen=True)
class StepProfile:
    """Time spent in one step: `ns` over all `runs`, summed over threads."""

    name: str
    kernel: str
    runs: int
    ns: int
    macs: int


@dataclass(frozen=True)
class Memory:
    """Bytes in use by a session: working memory, mapped weights (shared by all sessions), everything else."""

    arena: int
    weights: int
    runtime: int


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
        _check(status, error)
        inputs, outputs = c.c_uint32(), c.c_uint32()
        self._calls.edge_model_counts(self._handle, inputs, outputs)
        self.name = self._text("edge_model_name")
        self.variant = self._text("edge_model_variant")
        self.inputs = tuple(self._input(i) for i in range(inputs.value))
        self.outputs = tuple(self._port("edge_model_output", i) for i in range(outputs.value))
        self.states = tuple(self._states())

    def session(
        self, threads: int = 1, affinity: str | None = None, *, profile: bool = False, guard: bool = False
    ) -> "Session":
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


class Session:
    """Made by `Model.session`. Safe to call from any thread; calls wait for one another."""

    def __init__(self, model: Model, threads: int, affinity: str | None, profile: bool, guard: bool) -> None:
        self._handle = c.c_void_p()
        self._model = model
        self._library = model._library
        self._calls = model._calls
        self._lock = threading.Lock()
        self._open = threading.Lock()  # held while the session is cancelled or closed
        flags = abi.PROFILE * profile | abi.GUARD * guard
        options = abi.SessionOptions(
            c.sizeof(abi.SessionOptions), threads, flags, affinity.encode() if affinity is not None else None
        )
        error = abi.Error()
        if not model._handle:
            raise EdgeError(f"model '{model.name}' is closed; open it again to make a session")
        _check(self._calls.edge_session_create(model._handle, options, c.byref(self._handle), error), error)
        self._library.retain()
        self._before = [self._output_shape(i) for i in range(len(model.outputs))]
        varying = any(len(extents) > 1 for port in model.inputs for extents in port.ranges)
        self._fixed = not varying and not any(-1 in shape for shape in self._before)

    def run(self, inputs: Mapping[str, Array], timeout: float | None = None) -> dict[str, Array]:
        """One inference. The arrays are read in place (a copy is made only where one is not contiguous). EdgeError
        after `timeout` seconds."""
        checked = _check_inputs(self._model, inputs)
        ports = self._model.outputs
        with self._lock:
            self._check_open()
            for i, (port, (array, address)) in enumerate(zip(self._model.inputs, checked, strict=True)):
                if not self._fixed or array.shape != port.shape:
                    self._call("edge_session_set_input_shape", i, (c.c_int64 * array.ndim)(*array.shape), array.ndim)
                self._call("edge_session_bind_input", i, address, array.nbytes)
            results = []
            for i, port in enumerate(ports):
                result, address = _empty(self._room(i), port.dtype, port.alignment)
                self._call("edge_session_bind_output", i, address, result.nbytes)
                results.append(result)
            with self._stopped_after(timeout):
                self._call("edge_session_run")
            if not self._fixed:
                results = [_cut(result, self._output_shape(i)) for i, result in enumerate(results)]
        return {port.name: result for port, result in zip(ports, results, strict=True)}

    def cancel(self) -> None:
        """Ends the run that is under way in another thread, if there is one: it raises an EdgeError."""
        with self._open:
            if self._handle:
                self._calls.edge_session_cancel(self._handle)

    def reset(self) -> None:
        """Makes all states zeros, as they are in a new session."""
        with self._lock:
            self._check_open()
            self._call("edge_session_reset_state")

    def state(self, name: str) -> Array:
        """A copy of the state that the model calls `name`, before or after a run."""
        with self._lock:
            return self._state(name).copy()

    def set_state(self, name: str, value: Array) -> None:
        """Makes the state `value`, of its shape and dtype."""
        with self._lock:
            state, array = self._state(name), np.asarray(value)
            if (array.shape, array.dtype) != (state.shape, state.dtype):
                found, known = (f"{a.dtype}{list(a.shape)}" for a in (array, state))
                raise EdgeError(f"state '{name}' is {known}, but {found} was given")
            state[...] = array

    def profile(self) -> list[StepProfile]:
        """Time per step since creation, for a session made with `profile=True`."""
        with self._lock:
            self._check_open()
            count = c.c_uint32()
            self._call("edge_session_profile", None, 0, count)
            rows = (abi.StepProfile * count.value)()
            self._call("edge_session_profile", rows, count.value, count)
            return [StepProfile(row.name.decode(), row.kernel.decode(), row.runs, row.ns, row.macs) for row in rows]

    def memory(self) -> Memory:
        """What the session uses."""
        with self._lock:
            self._check_open()
            memory = abi.Memory()
            self._call("edge_session_memory", memory)
        return Memory(memory.arena, memory.weights, memory.runtime)

    def close(self) -> None:
        """Ends the session's threads and returns its memory."""
        with self._lock, self._open:
            if self._handle:
                self._calls.edge_session_close(self._handle)
                self._handle = c.c_void_p()
                self._library.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def __del__(self) -> None:
        if self._handle:
            self.close()

    @contextmanager
    def _stopped_after(self, timeout: float | None) -> Iterator[None]:
        """What runs inside is cancelled after so many seconds."""
        if timeout is None:
            yield
            return
        ended = threading.Event()

        def watch() -> None:
            wait = timeout
            while not ended.wait(wait):
                self.cancel()
                wait = 0.01  # a run that had not begun yet has not noticed

        watcher = threading.Thread(target=watch, daemon=True)
        watcher.start()
        try:
            yield
        finally:
            ended.set()
            watcher.join()

    def _state(self, name: str) -> Array:
        """The state's memory, which goes with the session."""
        self._check_open()
        data, nbytes = c.c_void_p(), c.c_size_t()
        self._call("edge_session_state", name.encode(), c.byref(data), nbytes)
        state = next(state for state in self._model.states if name in (state.input, state.output))
        memory = (c.c_uint8 * nbytes.value).from_address(data.value or 0)
        return np.ctypeslib.as_array(memory).view(state.dtype).reshape(state.shape)

    def _output_shape(self, index: int) -> tuple[int, ...]:
        """-1 for an extent that only a run will tell."""
        rank = len(self._model.outputs[index].shape)
        dims, found = (c.c_int64 * rank)(), c.c_int32()
        self._call("edge_session_output_shape", index, dims, rank, found)
        return tuple(dims)

    def _room(self, index: int) -> tuple[int, ...]:
        """The shape that an output's memory must have room for: the largest, where only the run will tell."""
        largest, before = self._model.outputs[index].shape, self._before[index]
        if self._fixed:
            return largest
        found = zip(self._output_shape(index), before, largest, strict=True)
        return tuple(most if at_first < 0 else n for n, at_first, most in found)

    def _check_open(self) -> None:
        if not self._handle:
            raise EdgeError(f"this session of model '{self._model.name}' is closed; make a new one")

    def _call(self, name: str, *arguments: Any) -> None:
        status = getattr(self._calls, name)(self._handle, *arguments)
        if status != 0:
            error = self._calls.edge_session_last_error(self._handle).contents
            if error.status != status:
                raise EdgeError(f"{name}: {self._calls.edge_status_text(status).decode()}")
            _check(status, error)


def _load(library: str | os.PathLike[str] | bytes) -> Library:
    if isinstance(library, bytes):
        return Library(library, "the library")
    try:
        return Library(Path(library).read_bytes(), str(library))
    except OSError as error:
        raise EdgeError(f"{library} cannot be read: {error.strerror}") from None


def _check(status: int, error: abi.Error) -> None:
    if status != 0:
        raise EdgeError(error.message.decode(errors="replace"))


def _check_inputs(model: Model, inputs: Mapping[str, Array]) -> list[tuple[Array, int]]:
    """The arrays in the order of the ports, all found to be right, and their addresses."""
    if len(inputs) != len(model.inputs) or any(port.name not in inputs for port in model.inputs):
        raise _wrong_names(model, inputs)
    return [_check_input(port, np.asarray(inputs[port.name])) for port in model.inputs]


def _wrong_names(model: Model, inputs: Mapping[str, Array]) -> EdgeError:
    names = [port.name for port in model.inputs]
    for name in inputs:
        if name not in names:
            known = ", ".join(map(str, model.inputs)) or "none"
            return EdgeError(f"model '{model.name}' has no input '{name}'; its inputs are {known}")
    missing = next(port for port in model.inputs if port.name not in inputs)
    return EdgeError(f"input {missing} of model '{model.name}' is missing")


def _check_input(port: Port, array: Array) -> tuple[Array, int]:
    if array.dtype != port.dtype:
        raise EdgeError(
            f"input '{port.name}' has dtype {array.dtype}, but {port.dtype} is accepted; use .astype('{port.dtype}')"
        )
    address = array.ctypes.data
    if array.flags.c_contiguous and address % port.alignment == 0:
        return array, address
    copy, address = _empty(array.shape, port.dtype, port.alignment)
    copy[...] = array
    return copy, address


def _empty(shape: tuple[int, ...], dtype: str, alignment: int) -> tuple[Array, int]:
    """An uninitialised array whose memory is aligned, and its address."""
    memory = np.empty(math.prod(shape) * np.dtype(dtype).itemsize + alignment, np.uint8)
    address = memory.ctypes.data
    start = -address % alignment
    return np.ndarray(shape, dtype, memory, start), address + start


def _cut(array: Array, shape: tuple[int, ...]) -> Array:
    """The array of `shape` at the start of the memory of one that may be larger."""
    if array.shape == shape:
        return array
    return array.reshape(-1)[: math.prod(shape)].reshape(shape).copy()


def _extent_text(extent: int | range) -> str:
    if isinstance(extent, int) or len(extent) == 1:
        return str(extent if isinstance(extent, int) else extent[0])
    return f"{extent[0]}..{extent[-1]}" + (f"/{extent.step}" if extent.step != 1 else "")
