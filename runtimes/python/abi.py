"""The structures and calls of `edge.h`, for ctypes."""

import ctypes as c

from ...errors import EdgeError

ABI_MAJOR = 1
DTYPES = (
    "float32", "float16", "float64", "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "bool", "uint64",
)  # fmt: skip
"""`edge_dtype`, by value."""

PROFILE = 1
GUARD = 2


class Error(c.Structure):
    """`edge_error`."""

    _fields_ = (("status", c.c_int), ("message", c.c_char * 252))


class Port(c.Structure):
    """`edge_port`."""

    _fields_ = (
        ("name", c.c_char_p),
        ("shape", c.POINTER(c.c_int64)),
        ("scale", c.POINTER(c.c_float)),
        ("zero_point", c.POINTER(c.c_int32)),
        ("nbytes", c.c_uint64),
        ("alignment", c.c_uint32),
        ("dtype", c.c_int),
        ("rank", c.c_int32),
        ("quant_count", c.c_int32),
        ("quant_axis", c.c_int32),
    )


class Range(c.Structure):
    """`edge_range`."""

    _fields_ = (("low", c.c_int64), ("high", c.c_int64), ("step", c.c_int64))


class ModelOptions(c.Structure):
    """`edge_model_options`."""

    _fields_ = (("size", c.c_size_t), ("variant", c.c_char_p))


class SessionOptions(c.Structure):
    """`edge_session_options`."""

    _fields_ = (("size", c.c_size_t), ("threads", c.c_int32), ("flags", c.c_uint32), ("affinity", c.c_char_p))


class StepProfile(c.Structure):
    """`edge_step_profile`."""

    _fields_ = (
        ("name", c.c_char_p),
        ("kernel", c.c_char_p),
        ("runs", c.c_uint64),
        ("ns", c.c_uint64),
        ("macs", c.c_uint64),
    )


class Memory(c.Structure):
    """`edge_memory`."""

    _fields_ = (("arena", c.c_uint64), ("weights", c.c_uint64), ("runtime", c.c_uint64))


_HANDLE, _OUT = c.c_void_p, c.POINTER(c.c_void_p)
_CALLS = {
    "edge_model_open": (_HANDLE, c.c_char_p, c.POINTER(ModelOptions), _OUT, c.POINTER(Error)),
    "edge_model_close": (_HANDLE,),
    "edge_model_name": (_HANDLE, c.POINTER(c.c_char_p)),
    "edge_model_variant": (_HANDLE, c.POINTER(c.c_char_p)),
    "edge_model_counts": (_HANDLE, c.POINTER(c.c_uint32), c.POINTER(c.c_uint32)),
    "edge_model_input": (_HANDLE, c.c_uint32, c.POINTER(c.POINTER(Port))),
    "edge_model_output": (_HANDLE, c.c_uint32, c.POINTER(c.POINTER(Port))),
    "edge_model_input_range": (_HANDLE, c.c_uint32, c.c_int32, c.POINTER(Range)),
    "edge_model_state": (_HANDLE, c.c_uint32, c.POINTER(c.POINTER(Port)), c.POINTER(c.c_char_p)),
    "edge_session_create": (_HANDLE, c.POINTER(SessionOptions), _OUT, c.POINTER(Error)),
    "edge_session_close": (_HANDLE,),
    "edge_session_set_input_shape": (_HANDLE, c.c_uint32, c.POINTER(c.c_int64), c.c_int32),
    "edge_session_output_shape": (_HANDLE, c.c_uint32, c.POINTER(c.c_int64), c.c_int32, c.POINTER(c.c_int32)),
    "edge_session_state": (_HANDLE, c.c_char_p, _OUT, c.POINTER(c.c_size_t)),
    "edge_session_reset_state": (_HANDLE,),
    "edge_session_bind_input": (_HANDLE, c.c_uint32, c.c_void_p, c.c_size_t),
    "edge_session_bind_output": (_HANDLE, c.c_uint32, c.c_void_p, c.c_size_t),
    "edge_session_run": (_HANDLE,),
    "edge_session_profile": (_HANDLE, c.POINTER(StepProfile), c.c_uint32, c.POINTER(c.c_uint32)),
    "edge_session_memory": (_HANDLE, c.POINTER(Memory)),
}
"""Calls that return a status, and their arguments."""


def declare(calls: c.CDLL, source: str) -> None:
    """Declares the calls of `edge.h`; EdgeError where one is missing, or they are of another version."""
    try:
        for name, arguments in _CALLS.items():
            getattr(calls, name).argtypes = arguments
            getattr(calls, name).restype = c.c_int
        calls.edge_default_program.restype = c.c_void_p
        calls.edge_abi_version.restype = c.c_uint32
        calls.edge_status_text.restype = c.c_char_p
        calls.edge_session_cancel.argtypes = (c.c_void_p,)
        calls.edge_session_cancel.restype = None
        calls.edge_session_last_error.argtypes = (c.c_void_p,)
        calls.edge_session_last_error.restype = c.POINTER(Error)
    except AttributeError:
        raise EdgeError(f"{source} is not a library made by edgec: it lacks some of the calls of edge.h") from None
    if (major := calls.edge_abi_version() >> 16) != ABI_MAJOR:
        raise EdgeError(f"{source} has interface {major}, this edgec knows {ABI_MAJOR}; compile the model again")
