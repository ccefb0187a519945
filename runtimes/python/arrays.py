"""numpy arrays as the runtime takes and gives them: checked against a model's ports, aligned."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ...errors import EdgeError
from .ports import Port

Array = np.ndarray[Any, np.dtype[Any]]


def check_inputs(model: str, ports: Sequence[Port], inputs: Mapping[str, Array]) -> list[tuple[Array, int]]:
    """The arrays in the order of the ports of the model of this name, all found to be right, and their addresses."""
    if len(inputs) != len(ports) or any(port.name not in inputs for port in ports):
        raise _wrong_names(model, ports, inputs)
    return [_check_input(port, np.asarray(inputs[port.name])) for port in ports]


def _wrong_names(model: str, ports: Sequence[Port], inputs: Mapping[str, Array]) -> EdgeError:
    names = [port.name for port in ports]
    for name in inputs:
        if name not in names:
            known = ", ".join(map(str, ports)) or "none"
            return EdgeError(f"model '{model}' has no input '{name}'; its inputs are {known}")
    missing = next(port for port in ports if port.name not in inputs)
    return EdgeError(f"input {missing} of model '{model}' is missing")


def _check_input(port: Port, array: Array) -> tuple[Array, int]:
    if array.dtype != port.dtype:
        raise EdgeError(
            f"input '{port.name}' has dtype {array.dtype}, but {port.dtype} is accepted; use .astype('{port.dtype}')"
        )
    address = array.ctypes.data
    if array.flags.c_contiguous and address % port.alignment == 0:
        return array, address
    copy, address = empty(array.shape, port.dtype, port.alignment)
    copy[...] = array
    return copy, address


def empty(shape: tuple[int, ...], dtype: str, alignment: int) -> tuple[Array, int]:
    """An uninitialised array whose memory is aligned, and its address."""
    memory = np.empty(math.prod(shape) * np.dtype(dtype).itemsize + alignment, np.uint8)
    address = memory.ctypes.data
    start = -address % alignment
    return np.ndarray(shape, dtype, memory, start), address + start


def cut(array: Array, shape: tuple[int, ...]) -> Array:
    """The array of `shape` at the start of the memory of one that may be larger."""
    if array.shape == shape:
        return array
    return array.reshape(-1)[: math.prod(shape)].reshape(shape).copy()
