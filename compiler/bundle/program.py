"""The plan as C: constant tables for the runtime (`program.h`), and the header that applications include.

Both are compiled, so every text that stems from the ONNX file is escaped (strings), reduced to an identifier (names) or
defused (comments) here; and since the runtime trusts the tables, every offset is checked here.
"""

import hashlib
import re
import struct
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from math import prod

import numpy as np

from ...errors import EdgeError
from ..ir.types import DTYPES
from ..lower.plan import MAX_OPERANDS, Control, Operand, Plan, Port, Space, Step

WEIGHTS_ALIGNMENT = 64
WEIGHTS_TRAILER = 64
_MAGIC = b"EDGEWTS1"

FEATURES = {
    "dotprod": "EDGE_CPU_DOTPROD",
    "i8mm": "EDGE_CPU_I8MM",
    "fullfp16": "EDGE_CPU_FULLFP16",
    "bf16": "EDGE_CPU_BF16",
    "sve": "EDGE_CPU_SVE",
    "avx2": "EDGE_CPU_AVX2",
    "fma": "EDGE_CPU_FMA",
    "f16c": "EDGE_CPU_F16C",
    "avxvnni": "EDGE_CPU_AVXVNNI",
    "avx512": "EDGE_CPU_AVX512",
    "avx512vnni": "EDGE_CPU_AVX512VNNI",
}
"""CPU features that the runtime can ask for, and their names in `program.h`."""

_C_TYPES = {
    "float32": "float",
    "float16": "uint16_t",
    "float64": "double",
    "bool": "uint8_t",
    **{f"{sign}int{bits}": f"{sign}int{bits}_t" for sign in ("", "u") for bits in (8, 16, 32, 64)},
}

_SPACES = {
    Space.NONE: "EDGE_NONE",
    Space.ARENA: "EDGE_ARENA",
    Space.WEIGHTS: "EDGE_WEIGHTS",
    Space.INPUT: "EDGE_INPUT",
    Space.OUTPUT: "EDGE_OUTPUT",
}


@dataclass(frozen=True)
class Variant:
    """All kernels of a plan compiled for one set of CPU features: `symbols` maps kernel names to C symbols."""

    name: str
    features: frozenset[str]
    symbols: Mapping[str, str]


def c_identifier(name: str) -> str:
    """The model's name in C and in files: `name` with everything that C does not allow in an identifier made `_`.

    Names that begin like those of `edge.h` are the runtime's.
    """
    text = re.sub(r"[^A-Za-z0-9_]+", "_", name).strip("_") or "model"
    return f"model_{text}" if re.match(r"\d|edge(_|$)", text, re.IGNORECASE) else text


def weights_file(weights: bytes) -> bytes:
    """The content of weights.bin: the weights, padding, and a trailer that says whose they are."""
    padding = bytes(-len(weights) % WEIGHTS_ALIGNMENT)
    trailer = _MAGIC + struct.pack("<Q", len(weights)) + hashlib.sha256(weights).digest()
    return weights + padding + trailer.ljust(WEIGHTS_TRAILER, b"\0")


def check_weights_file(data: bytes) -> str:
    """Returns the weights' sha256 in hexadecimal, after checking that `data` is a whole, unchanged weights.bin."""
    magic, size, digest = struct.unpack_from("<8sQ32s", data[-WEIGHTS_TRAILER:].ljust(WEIGHTS_TRAILER, b"\0"))
    if magic != _MAGIC or len(data) != size + -size % WEIGHTS_ALIGNMENT + WEIGHTS_TRAILER:
        raise EdgeError("weights.bin is cut off or not a weights file; compile or copy the bundle again")
    if hashlib.sha256(memoryview(data)[:size]).digest() != digest:
        raise EdgeError("weights.bin was changed after it was written; compile or copy the bundle again")
    return str(digest.hex())


def runtime_memory(plan: Plan, threads: int = 1) -> int:
    """Bytes that a session of `threads` threads takes beside the arena and the weights: `edge_memory.runtime`.

    It follows the layout in `session.c` and `pool.c` (LP64); a test compares the two.
    """
    model, session, pool, ticket, thread, stack, slack = 40, 400, 192, 64, 48, 128 << 10, 64 + 128
    block = _align(session) + 8 * (len(plan.inputs) + len(plan.outputs))
    if threads > 1:
        block = _align(block) + pool + ticket * threads * len(plan.steps) + thread * threads
    return model + _align(block) + slack + stack * (threads - 1)


def _align(nbytes: int) -> int:
    return nbytes + -nbytes % WEIGHTS_ALIGNMENT


def program_source(plan: Plan, variants: Sequence[Variant], io_alignment: int | None = None) -> str:
    """C source of the plan's tables, for kernels of the given variants (best first, the plainest last).

    Addresses that users bind must be multiples of `io_alignment` bytes, or else of the element's size.
    """
    _check_plan(plan)
    kernels = list(dict.fromkeys(step.kernel for step in plan.steps if not step.control))
    _check_variants(variants, kernels)
    pools = _Pools()
    steps = [
        _control(step, pools) if step.control else _step(step, kernels.index(step.kernel), pools) for step in plan.steps
    ]
    kernel_names = [str(pools.text_at(kernel)) for kernel in kernels]
    symbols = sorted({variant.symbols[kernel] for variant in variants for kernel in kernels})
    name = c_identifier(plan.name)
    inputs, input_arrays = _ports("input", plan.inputs, io_alignment)
    outputs, output_arrays = _ports("output", plan.outputs, io_alignment)
    digest = hashlib.sha256(plan.weights).digest()
    parts = [
        '#include "program.h"',
        *(
            f"void {symbol}(void *, void *, void *, void *, void *, const int32_t *, int32_t, int32_t);"
            for symbol in symbols
        ),
        *input_arrays,
        *output_arrays,
        _array("edge_port", "inputs", inputs),
        _array("edge_port", "outputs", outputs),
        _array("edge_step", "steps", steps),
        _array("int32_t", "params", [_int32(value) for value in pools.params]),
        _array("uint32_t", "kernel_names", kernel_names),
        'static const char text[] = ""',
        *(f"    {c_string(entry)} {c_string(chr(0))}" for entry in pools.text),
        "    ;",
        *(
            _array("edge_kernel", f"kernels_{i}", [variant.symbols[kernel] for kernel in kernels])
            for i, variant in enumerate(variants)
        ),
        _array("edge_variant", "variants", [_variant(i, variant) for i, variant in enumerate(variants)]),
        "static const edge_program program = {",
        f"    EDGE_PROGRAM_VERSION, {len(inputs)}, {len(outputs)}, {len(kernels)}, {len(steps)}, {len(variants)},",
        f"    {c_string(plan.name)}, inputs, outputs, steps, variants, params, text, kernel_names,",
        f"    {plan.arena_size}u, {len(plan.weights)}u,",
        f"    {{{', '.join(str(byte) for byte in digest)}}},",
        "};",
        f"EDGE_API const edge_program *{name}_program(void);",
        f"const edge_program *{name}_program(void) {{ return &program; }}",
        "const edge_program *edge_default_program(void) { return &program; }",
    ]
    return "\n".join(parts) + "\n"


def exported_symbols(plan: Plan) -> list[str]:
    """What the shared library shows to the outside."""
    return ["edge_*", f"{c_identifier(plan.name)}_program"]


@dataclass
class _Pools:
    """Texts and parameters, each stored once; steps refer to them by position."""

    params: list[int] = field(default_factory=list)
    text: list[str] = field(default_factory=list)
    _param_at: dict[tuple[int, ...], int] = field(default_factory=dict)
    _text_at: dict[str, int] = field(default_factory=dict)
    _text_size: int = 0

    def params_at(self, params: tuple[int, ...]) -> int:
        if params not in self._param_at:
            self._param_at[params] = len(self.params)
            self.params += params
        return self._param_at[params]

    def text_at(self, text: str) -> int:
        text = text.replace("\0", " ")
        if text not in self._text_at:
            self._text_at[text] = self._text_size
            self._text_size += len(_utf8(text)) + 1
            self.text.append(text)
        return self._text_at[text]


def _step(step: Step, kernel: int, pools: _Pools) -> str:
    params, name = pools.params_at(step.params), pools.text_at(step.name)
    return f"{{{_operands(step)}, {step.macs}u, {kernel}, {params}, {name}, {step.tiles}, {int(step.barrier)}, 0}}"


def _control(step: Step, pools: _Pools) -> str:
    """A control step has no tiles; its target is where others have their kernel."""
    control, name = pools.text_at(step_kernel(step)), pools.text_at(step.name)
    return f"{{{_operands(step)}, 0u, {step.target}, {control}, {name}, 0, 1, EDGE_{step.control.name}}}"


def _operands(step: Step) -> str:
    operands = [*step.operands, *[Operand(Space.NONE)] * (MAX_OPERANDS - len(step.operands))]
    return "{" + ", ".join(f"EDGE_AT({_SPACES[o.space]}, {o.index}, {o.offset})" for o in operands) + "}"


def step_kernel(step: Step) -> str:
    """What computes the step, as profiles and manifests say it: its kernel, or what it does to the order of steps."""
    return step.control.name.lower() if step.control else step.kernel


def _variant(index: int, variant: Variant) -> str:
    features = " | ".join(FEATURES[feature] for feature in sorted(variant.features)) or "0"
    return f"{{{c_string(variant.name)}, {features}, kernels_{index}}}"


def _ports(kind: str, ports: Sequence[Port], alignment: int | None) -> tuple[list[str], list[str]]:
    """The entries of a port table, and the arrays that they point to."""
    entries, arrays = [], []
    for i, port in enumerate(ports):
        kind_type, quant = port.type, port.type.quant
        shape = f"{kind}_{i}_shape" if kind_type.rank else "0"
        scale, zero = (f"{kind}_{i}_scale", f"{kind}_{i}_zero_point") if quant else ("0", "0")
        if kind_type.rank:
            arrays.append(_array("int64_t", shape, [str(extent) for extent in kind_type.shape]))
        if quant:
            arrays.append(_array("float", scale, [f"{value.hex()}f" for value in quant.scale]))
            arrays.append(_array("int32_t", zero, [_int32(value) for value in quant.zero_point]))
        count, axis = (len(quant.scale), quant.axis or 0) if quant else (0, 0)
        entries.append(
            f"{{{c_string(port.name)}, {shape}, {scale}, {zero}, {kind_type.nbytes}u, "
            f"{alignment or np.dtype(kind_type.dtype).itemsize}, (edge_dtype){DTYPES.index(kind_type.dtype)}, "
            f"{kind_type.rank}, {count}, {axis}}}"
        )
    return entries, arrays


def _array(kind: str, name: str, entries: Sequence[str]) -> str:
    """A constant table; C has no empty arrays, so an empty one is a null pointer."""
    if not entries:
        return f"#define {name} 0"
    lines = "".join(f"\n    {entry}," for entry in entries)
    return f"static const {kind} {name}[] = {{{lines}\n}};"


def _int32(value: int) -> str:
    return str(value) if value != -(2**31) else "(-2147483647 - 1)"


def _utf8(text: str) -> bytes:
    return text.encode("utf-8", "backslashreplace")


def c_string(text: str) -> str:
    """A C string literal of any text: bytes outside plain ASCII become octal escapes of full length."""
    plain = set(range(0x20, 0x7F)) - set(b'"\\?')
    return '"' + "".join(chr(byte) if byte in plain else f"\\{byte:03o}" for byte in _utf8(text)) + '"'


def _check_variants(variants: Sequence[Variant], kernels: Iterable[str]) -> None:
    if not variants:
        raise ValueError("a program needs at least one variant")
    for variant in variants:
        if unknown := variant.features - FEATURES.keys():
            raise ValueError(f"variant {variant.name!r} needs {sorted(unknown)}, which the runtime cannot detect")
        for kernel in kernels:
            if not re.fullmatch(r"[A-Za-z_]\w*", variant.symbols[kernel], re.ASCII):
                raise ValueError(f"{variant.symbols[kernel]!r} (kernel {kernel!r}) is not a C symbol")


def _check_plan(plan: Plan) -> None:
    """Raises ValueError where a step could touch memory that is not its own: a fault of lowering, not of the model."""
    for port in (*plan.inputs, *plan.outputs):
        if "\0" in port.name:
            raise EdgeError(f"the name {port.name!r} of an input or output contains a NUL character; rename it")
    for index, step in enumerate(plan.steps):
        where = f"step {step.name!r} ({step_kernel(step)})"
        if len(step.operands) > MAX_OPERANDS:
            raise ValueError(f"{where} has {len(step.operands)} operands, a kernel takes {MAX_OPERANDS}")
        for operand in step.operands:
            _check_operand(plan, operand, where)
        if step.control:
            _check_control(plan, index, where)
        elif not 0 < step.tiles < 2**31:
            raise ValueError(f"{where} has {step.tiles} tiles")
        if any(not -(2**31) <= value < 2**31 for value in step.params):
            raise ValueError(f"{where} has a parameter beyond int32: {step.params}")


_CONTROL_READS = {Control.BRANCH: 1, Control.JUMP: 0}
"""Bytes at operand 0 of each control step that the runtime knows."""


def _check_control(plan: Plan, index: int, where: str) -> None:
    step = plan.steps[index]
    nbytes = _CONTROL_READS.get(step.control)
    if nbytes is None:
        raise ValueError(f"{where} is not implemented")
    room = [_space_size(plan, operand) - operand.offset for operand in step.operands if operand.space]
    if len(room) != min(nbytes, 1) or any(left < nbytes for left in room):
        raise ValueError(f"{where} reads {nbytes} bytes, but its operands are {step.operands}")
    if not 0 <= step.target <= len(plan.steps) or (step.control == Control.JUMP and step.target == index):
        raise ValueError(f"{where} goes to step {step.target} of {len(plan.steps)}")


def _check_operand(plan: Plan, operand: Operand, where: str) -> None:
    indices = len(_ports_in(plan, operand.space)) if operand.space in (Space.INPUT, Space.OUTPUT) else 1
    known = 0 <= operand.index < min(indices, 2**12)
    if not known or not 0 <= operand.offset <= min(_space_size(plan, operand), 2**48 - 1):
        raise ValueError(f"{where} has an operand outside of its space: {operand}")


def _ports_in(plan: Plan, space: Space) -> Sequence[Port]:
    return plan.inputs if space == Space.INPUT else plan.outputs


def _space_size(plan: Plan, operand: Operand) -> int:
    """Bytes of the memory that the operand lies in."""
    sizes = {Space.NONE: 0, Space.ARENA: plan.arena_size, Space.WEIGHTS: len(plan.weights)}
    return sizes[operand.space] if operand.space in sizes else _ports_in(plan, operand.space)[operand.index].type.nbytes


def header_source(plan: Plan) -> str:
    """The model's own C and C++ header: its ports as macros, and calls with typed arguments."""
    name = c_identifier(plan.name)
    ports = [("input", i, port) for i, port in enumerate(plan.inputs)]
    ports += [("output", i, port) for i, port in enumerate(plan.outputs)]
    arguments = ", ".join(
        f"{'const ' if kind == 'input' else ''}{_C_TYPES[port.type.dtype]} *{kind}_{i}" for kind, i, port in ports
    )
    return _HEADER.format(
        name=name,
        upper=name.upper(),
        inputs=len(plan.inputs),
        outputs=len(plan.outputs),
        macros="\n".join(_port_macros(name.upper(), kind, i, port) for kind, i, port in ports),
        arguments=", ".join(["edge_session *session", arguments] if arguments else ["edge_session *session"]),
        binds="\n".join(_bind(name.upper(), kind, i) for kind, i, _ in ports),
    )


def _bind(upper: str, kind: str, index: int) -> str:
    bytes_macro = f"{upper}_{kind.upper()}_{index}_BYTES"
    return (
        f"    status = edge_session_bind_{kind}(session, {index}, {kind}_{index}, {bytes_macro});\n"
        "    if (status != EDGE_OK) return status;"
    )


def _port_macros(upper: str, kind: str, index: int, port: Port) -> str:
    prefix, kind_type = f"{upper}_{kind.upper()}_{index}", port.type
    extents = ", ".join(str(extent) for extent in kind_type.shape)
    lines = [
        f"/* {kind} {index}: {_comment(port.name)}, {kind_type.dtype} [{extents}] */",
        f"#define {prefix}_NAME {c_string(port.name)}",
        f"#define {prefix}_RANK {kind_type.rank}",
        f"#define {prefix}_SHAPE {{{extents or 1}}}",
        f"#define {prefix}_ELEMENTS {prod(kind_type.shape)}",
        f"#define {prefix}_BYTES {kind_type.nbytes}",
    ]
    if kind_type.quant and kind_type.quant.axis is None:
        lines.append(f"#define {prefix}_SCALE {kind_type.quant.scale[0]!r}f /* real = (value - zero point) * scale */")
        lines.append(f"#define {prefix}_ZERO_POINT ({kind_type.quant.zero_point[0]})")
    return "\n".join(lines)


def _comment(text: str) -> str:
    """Text that cannot end a comment, start one or continue a line."""
    return re.sub(r"[^\x20-\x7e]|[*/\\?]", "_", text)


_HEADER = """\
/* {name}.h: generated by edgec. How to use it: edge.h. */
#ifndef EDGE_MODEL_{upper}_H
#define EDGE_MODEL_{upper}_H

#include "edge.h"

#define {upper}_INPUT_COUNT {inputs}
#define {upper}_OUTPUT_COUNT {outputs}

{macros}

#ifdef __cplusplus
extern "C" {{
#endif

EDGE_API const edge_program *{name}_program(void);

/* Opens the model with the weights.bin of its bundle. */
static inline edge_status {name}_open(const char *weights_path, edge_model **model, edge_error *error) {{
    return edge_model_open({name}_program(), weights_path, NULL, model, error);
}}

/* One inference. Tensors are dense and row-major; float16 is passed as uint16_t. */
static inline edge_status {name}_run({arguments}) {{
    edge_status status = EDGE_OK;
{binds}
    if (status == EDGE_OK) status = edge_session_run(session);
    return status;
}}

#ifdef __cplusplus
}}
#endif
#endif
"""
