"""The plan as C: constant tables for the runtime (`program.h`)."""

import hashlib
import struct
from collections.abc import Sequence

import numpy as np

from ...errors import EdgeError
from ..ir.extent import is_symbolic
from ..ir.types import DTYPES
from ..lower.plan import MAX_OPERANDS, Control, Operand, Plan, Port, Space, Step
from .bands import band_tables, check_bands
from .c_text import array, c_identifier, c_string, distances, int32, utf8
from .checks import check_plan, space_size
from .extents import Extents, Place
from .numbers import front_coded, signed, unsigned
from .variants import FEATURES, Variant, check_variants

WEIGHTS_ALIGNMENT = 64
WEIGHTS_TRAILER = 64
STEP_BYTES = 64
"""Of an `edge_step` (LP64)."""
_MOST_MACS = 2**56 - 1
_MAGIC = b"EDGEWTS1"


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


LARGE_PAGE = 2 << 20
SPARE = LARGE_PAGE // 32
"""So few bytes more are taken for a session where they fill a large page (`memory.c`)."""


def runtime_memory(plan: Plan, threads: int = 1) -> int:
    """Bytes that a session of `threads` threads takes beside the arena and the weights: `edge_memory.runtime`.

    It follows `model.c`, `session.c`, `memory.c`, `shapes.c` and `pool.c` (LP64); a test compares the two.
    """
    model, session, pool, ticket, thread, stack, slack = 72, 440, 320, 64, 48, 16 << 10, 64 + 128
    ports, tables = len(plan.inputs) + len(plan.outputs), _Tables(plan)
    block = _align(session) + 8 * ports
    if plan.symbols:
        shapes = 64
        words = sum(tables.extents.counts) + ports + (len(tables.params) + 1) // 2
        block += shapes + 8 * words + STEP_BYTES * len(plan.steps)
    if threads > 1:
        block = _align(block) + pool + ticket * threads * len(plan.steps) + thread * threads
    session_bytes = _align(block) + slack
    missing = -(session_bytes + plan.arena_size + plan.scratch_size * (threads - 1)) % LARGE_PAGE
    return model + tables.size + session_bytes + (missing if missing <= SPARE else 0) + stack * (threads - 1)


def _align(nbytes: int) -> int:
    return nbytes + -nbytes % WEIGHTS_ALIGNMENT


def program_source(plan: Plan, variants: Sequence[Variant], io_alignment: int | None = None) -> str:
    """C source of the plan's tables, for kernels of the given variants (best first, the plainest last).

    Addresses that users bind must be multiples of `io_alignment` bytes, or else of the element's size.
    """
    check_plan(plan)
    check_bands(plan)
    tables = _Tables(plan)
    tables.extents.check()
    check_variants(variants, tables.kernels)
    name = c_identifier(plan.name)
    digest = hashlib.sha256(plan.weights).digest()
    counts = [len(plan.inputs), len(plan.outputs), len(tables.kernels), len(plan.steps), len(variants)]
    counts += [len(plan.states), len(tables.params), tables.text_size]
    parts = [
        '#include "program.h"',
        *_ports("input", plan.inputs, io_alignment),
        *_ports("output", plan.outputs, io_alignment),
        *_states(plan),
        *tables.source(),
        *(tables.extents.tables() if plan.symbols else ()),
        *(band_tables(plan) if plan.bands else ()),
        *(
            distances(f"kernels_{i}", [variant.symbols[kernel] for kernel in tables.kernels])
            for i, variant in enumerate(variants)
        ),
        array("edge_variant", "variants", [_variant(i, variant) for i, variant in enumerate(variants)]),
        "static const edge_program program = {",
        f"    EDGE_PROGRAM_VERSION, {', '.join(map(str, counts))},",
        f"    {c_string(plan.name)}, inputs, outputs, variants, numbers, texts, kernel_names,",
        f"    {'&shapes' if plan.symbols else '0'}, {'&bands' if plan.bands else '0'}, states,",
        f"    {plan.arena_size}u, {plan.scratch_size}u, {len(plan.weights)}u, {plan.rows_size}u,",
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


class _Tables:
    """Steps, and the texts and parameters that they refer to by position, each stored once."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.kernels = list(dict.fromkeys(step.kernel for step in plan.steps if not step.control))
        self.extents = Extents(plan)
        self.params: list[int] = []
        self._text: list[str] = []
        self.text_size = 0
        self._param_at: dict[tuple[tuple[int, int | None], ...], int] = {}
        self._text_at: dict[str, int] = {}
        self._banded = {bands.first for bands in plan.bands}
        self._inner = {b.first + i for b in plan.bands for i in range(1, len(b.stages))}
        self._kernel_at = {kernel: index for index, kernel in enumerate(self.kernels)}
        self._params_before = self._name_before = 0
        self._steps = b"".join(self._step(index, step) for index, step in enumerate(plan.steps))
        self._kernel_names = [self._text_of(kernel) for kernel in self.kernels]

    @property
    def size(self) -> int:
        """Bytes that steps, parameters and texts take in the runtime's memory."""
        return STEP_BYTES * len(self.plan.steps) + 4 * len(self.params) + self.text_size

    def source(self) -> list[str]:
        """The tables as C."""
        numbers = self._steps + b"".join(map(signed, self.params))
        return [
            array("uint8_t", "numbers", list(map(str, numbers))),
            array("uint8_t", "texts", list(map(str, front_coded(self._text)))),
            array("uint32_t", "kernel_names", list(map(str, self._kernel_names))),
        ]

    def _step(self, index: int, step: Step) -> bytes:
        """An `edge_step` as `unpack.c` reads it. A control step has its target where others have their kernel, and the
        name of what it does for parameters."""
        where = f"step {step.name!r} ({step.action})"
        operands = b"".join(map(_at, self._operands(index, step, where)))
        self.extents.fix(Place.TILES, index, step.tiles, (0, 2**31 - 1), f"the number of tiles of {where}")
        code = step.target if step.control else self._kernel_at[step.kernel]
        params = self._text_of(step.action) if step.control else self._params_of(step.params, where)
        barrier = int(step.barrier or step.control != Control.NONE)
        name, tiles = self._text_of(step.name), 0 if step.control or index in self._inner else int(step.tiles)
        places = signed(params - self._params_before) + signed(name - self._name_before)
        self._params_before, self._name_before = params, name
        order = step.control << 2 | (index in self._banded) << 1 | barrier
        numbers = map(unsigned, (min(int(step.macs), _MOST_MACS), order, code))
        return operands + b"".join(numbers) + places + unsigned(tiles)

    def _operands(self, index: int, step: Step, where: str) -> list[Operand]:
        for number, operand in enumerate(step.operands):
            bounds = (0, space_size(self.plan, operand))
            at = index * MAX_OPERANDS + number
            self.extents.fix(Place.OFFSET, at, operand.offset, bounds, f"the offset of operand {number} of {where}")
        return [*step.operands, *[Operand(Space.NONE)] * (MAX_OPERANDS - len(step.operands))]

    def _params_of(self, params: tuple[int, ...], where: str) -> int:
        key = tuple((int(value), self.extents.of(value)) for value in params)
        if key not in self._param_at:
            self._param_at[key] = len(self.params)
            for value in params:
                bounds = (-(2**31), 2**31 - 1)
                self.extents.fix(Place.PARAM, len(self.params), value, bounds, f"a parameter of {where}")
                self.params.append(0 if is_symbolic(value) else int(value))
        return self._param_at[key]

    def _text_of(self, text: str) -> int:
        text = text.replace("\0", " ")
        if text not in self._text_at:
            self._text_at[text] = self.text_size
            self.text_size += len(utf8(text)) + 1
            self._text.append(text)
        return self._text_at[text]


def _at(operand: Operand) -> bytes:
    """An `edge_operand` turned by four bits, so that the space is lowest and the number small."""
    offset = 0 if is_symbolic(operand.offset) else operand.offset
    return unsigned(operand.index << 52 | offset << 4 | operand.space)


def _variant(index: int, variant: Variant) -> str:
    features = " | ".join(FEATURES[feature] for feature in sorted(variant.features)) or "0"
    return f"{{{c_string(variant.name)}, {features}, kernels_{index}}}"


def _ports(kind: str, ports: Sequence[Port], alignment: int | None) -> list[str]:
    """A port table `<kind>s`, after the arrays that it points to."""
    entries, arrays = [], []
    for i, port in enumerate(ports):
        arrays += _port_arrays(f"{kind}_{i}", port)
        entries.append(_port(f"{kind}_{i}", port, alignment))
    return [*arrays, array("edge_port", f"{kind}s", entries)]


def _states(plan: Plan) -> list[str]:
    entries, arrays = [], []
    for i, state in enumerate(sorted(plan.states, key=lambda state: state.offset)):
        port = Port(state.input, state.type)
        arrays += _port_arrays(f"state_{i}", port)
        entries.append(f"{{{_port(f'state_{i}', port, None)}, {c_string(state.output)}, {state.offset}u}}")
    return [*arrays, array("edge_state", "states", entries)]


def _port_arrays(name: str, port: Port) -> list[str]:
    arrays, quant = [], port.type.quant
    if port.type.rank:
        arrays.append(array("int64_t", f"{name}_shape", [str(int(extent)) for extent in port.type.shape]))
    if quant:
        arrays.append(array("float", f"{name}_scale", [f"{value.hex()}f" for value in quant.scale]))
        arrays.append(array("int32_t", f"{name}_zero_point", [int32(value) for value in quant.zero_point]))
    return arrays


def _port(name: str, port: Port, alignment: int | None) -> str:
    of_type, quant = port.type, port.type.quant
    shape = f"{name}_shape" if of_type.rank else "0"
    scale, zero = (f"{name}_scale", f"{name}_zero_point") if quant else ("0", "0")
    count, axis = (len(quant.scale), quant.axis or 0) if quant else (0, 0)
    return (
        f"{{{c_string(port.name)}, {shape}, {scale}, {zero}, {int(of_type.nbytes)}u, "
        f"{alignment or np.dtype(of_type.dtype).itemsize}, (edge_dtype){DTYPES.index(of_type.dtype)}, "
        f"{of_type.rank}, {count}, {axis}}}"
    )
