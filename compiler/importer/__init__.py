"""ONNX file -> Graph. `import_onnx` is the way in; `check_support` says beforehand what would stop it."""

from .constants import Constant, bind_constants
from .convert import find_problems, import_onnx
from .model import load_model
from .support import Problem, Unsupported, check_support, op_types

__all__ = [
    "Constant",
    "Problem",
    "Unsupported",
    "bind_constants",
    "check_support",
    "find_problems",
    "import_onnx",
    "load_model",
    "op_types",
]
