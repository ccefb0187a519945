"""ONNX file -> Graph. `import_onnx` is the way in; `check_support` says beforehand what would stop it."""

from .constants import Constant, bind_constants
from .convert import import_onnx
from .model import load_model
from .support import Unsupported, check_support

__all__ = ["Constant", "Unsupported", "bind_constants", "check_support", "import_onnx", "load_model"]
