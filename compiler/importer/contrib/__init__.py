"""ONNX Runtime's contributed ops (com.microsoft) that other ops make up: each as a function in ONNX's own words.

One module a family. A body depends on the node's attributes and on the types of its inputs, of which some may be left
out.
"""

from importlib import import_module
from pkgutil import iter_modules

from .registry import contrib_body, is_contrib

for _module in iter_modules(__path__):
    import_module(f"{__name__}.{_module.name}")

__all__ = ["contrib_body", "is_contrib"]
