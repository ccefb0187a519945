"""The lowerings of nodes: which kernels an op takes, with which operands and parameters.

Importing this package registers them all; a new op's lowering is a function in a file here and nothing else.
"""

from importlib import import_module
from pkgutil import iter_modules

for _module in iter_modules(__path__):
    import_module(f"{__name__}.{_module.name}")
