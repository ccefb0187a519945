"""Sessions: working memory and threads for one inference at a time."""

import ctypes as c
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from ...errors import EdgeError
from . import abi
from .arrays import Array, check_inputs, cut, empty
from .ports import Memory, StepProfile

if TYPE_CHECKING:
    from .binding import Model


class Session:
    """Made by `Model.session`. Safe to call from any thread; calls wait for one another."""

    def __init__(self, model: "Model", threads: int, affinity: str | None, profile: bool, guard: bool) -> None:
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
        check(self._calls.edge_session_create(model._handle, options, c.byref(self._handle), error), error)
        self._library.retain()
        self._before = [self._output_shape(i) for i in range(len(model.outputs))]
        varying = any(len(extents) > 1 for port in model.inputs for extents in port.ranges)
        self._fixed = not varying and not any(-1 in shape for shape in self._before)

    def run(self, inputs: Mapping[str, Array], timeout: float | None = None) -> dict[str, Array]:
        """One inference. The arrays are read in place (a copy is made only where one is not contiguous). EdgeError
        after `timeout` seconds."""
        checked = check_inputs(self._model.name, self._model.inputs, inputs)
        ports = self._model.outputs
        with self._lock:
            self._check_open()
            for i, (port, (array, address)) in enumerate(zip(self._model.inputs, checked, strict=True)):
                if not self._fixed or array.shape != port.shape:
                    self._call("edge_session_set_input_shape", i, (c.c_int64 * array.ndim)(*array.shape), array.ndim)
                self._call("edge_session_bind_input", i, address, array.nbytes)
            results = []
            for i, port in enumerate(ports):
                result, address = empty(self._room(i), port.dtype, port.alignment)
                self._call("edge_session_bind_output", i, address, result.nbytes)
                results.append(result)
            with self._stopped_after(timeout):
                self._call("edge_session_run")
            if not self._fixed:
                results = [cut(result, self._output_shape(i)) for i, result in enumerate(results)]
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
            check(status, error)


def check(status: int, error: abi.Error) -> None:
    """EdgeError with the runtime's message where the status is none of success."""
    if status != 0:
        raise EdgeError(error.message.decode(errors="replace"))
