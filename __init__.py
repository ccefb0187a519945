"""edgec: ONNX models to dependency-free bundles of machine code."""

from typing import TYPE_CHECKING, Any

from .errors import EdgeError

if TYPE_CHECKING:
    from .compiler.bundle.load import load
    from .compiler.driver import compile_model

__version__ = "0.1.0"
__all__ = ["EdgeError", "__version__", "compile_model", "load"]


def __getattr__(name: str) -> Any:
    """The two calls, imported when first used: `import edgec` itself stays instant."""
    if name == "compile_model":
        from .compiler.driver import compile_model

        return compile_model
    if name == "load":
        from .compiler.bundle.load import load

        return load
    raise AttributeError(f"module 'edgec' has no attribute {name!r}")
