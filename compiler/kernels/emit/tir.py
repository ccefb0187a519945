"""TVM's modules, imported when the first kernel is built: compiles that find all kernels in the cache never pay the
second that importing TVM takes."""

import importlib
from typing import Any


class _Lazy:
    """Stands for a module that is imported on first use."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, attribute: str) -> Any:
        value = getattr(importlib.import_module(self._name), attribute)
        setattr(self, attribute, value)  # the next use finds it without asking here
        return value


tirx: Any = _Lazy("tvm.tirx")
ir_builder: Any = _Lazy("tvm.script.ir_builder")
statements: Any = _Lazy("tvm.script.ir_builder.tirx")
