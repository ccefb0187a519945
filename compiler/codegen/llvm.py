"""TIR functions -> an object file with plain C symbols."""

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tvm
import tvm_ffi
from tvm import tirx
from tvm.target import Target

from ..kernels.emit.builder import INSTRUCTIONS

_t = tirx.transform


def object_code(functions: Mapping[str, Any], llvm: Mapping[str, Any]) -> bytes:
    """An ELF relocatable object with `functions` (symbol -> TIR), for the LLVM target `llvm` (kind, mtriple, mcpu)."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "kernels.o"
        _module(functions, llvm).write_to_file(str(path), "o")
        return path.read_bytes()


def assembly(functions: Mapping[str, Any], llvm: Mapping[str, Any]) -> str:
    """The same as assembly text, to be read by people and tests."""
    return str(_module(functions, llvm).inspect_source("s"))


def equal(a: Any, b: Any) -> bool:
    """Whether two TIR functions are the same but for the names in them, and for instructions that they do not call."""
    return bool(tvm_ffi.structural_equal(a.without_attr(INSTRUCTIONS), b.without_attr(INSTRUCTIONS)))


def _module(functions: Mapping[str, Any], llvm: Mapping[str, Any]) -> Any:
    target = Target(dict(llvm))
    mod = tvm.IRModule({s: _with_instructions(f).with_attr("global_symbol", s) for s, f in functions.items()})
    passes = [_t.BindTarget(target.with_host(target)), _t.LowerIntrin()]
    return tvm.get_global_func("target.build.llvm")(tvm.ir.transform.Sequential(passes)(mod), target)


def _with_instructions(f: Any) -> Any:
    text = tvm.ir.StringImm(str(f.attrs[INSTRUCTIONS]))
    body = tirx.AttrStmt(tirx.const(0, "int32"), "pragma_import_llvm", text, f.body)
    return f.with_body(body).without_attr(INSTRUCTIONS)
