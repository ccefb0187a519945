"""The ops: one module a family, each with schema, shape inference, numpy reference and ONNX import rules.

Importing this package registers them all; a new family is a new file here and nothing else.
"""

from importlib import import_module
from pkgutil import iter_modules

for _module in iter_modules(__path__):
    import_module(f"{__name__}.{_module.name}")
