"""The ops: one module a family, each with schema, shape inference, numpy reference and ONNX import rules.

Importing this package registers them all; a new family is a new file here, an ONNX op that is made
of others one in `composed/`.
"""

from importlib import import_module
from pkgutil import walk_packages

for _module in walk_packages(__path__, f"{__name__}."):
    import_module(_module.name)
