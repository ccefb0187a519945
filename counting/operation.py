"""What an AArch64 instruction, as LLVM writes it, needs of a core: registers, a unit, and for how long."""

import re
from dataclasses import dataclass, replace
from enum import Enum, auto
from functools import cache

FLAGS = "flags"


class Unit(Enum):
    """What executes an instruction."""

    INTEGER = auto()
    MULTIPLY = auto()
    DIVIDE = auto()
    BRANCH = auto()
    LOAD = auto()
    STORE = auto()
    VECTOR = auto()
    VECTOR_DIVIDE = auto()


class Latency(Enum):
    """Classes of instructions whose results take equally long."""

    INTEGER = auto()
    SHIFTED = auto()
    MULTIPLY = auto()
    DIVIDE = auto()
    LOAD = auto()
    VECTOR_LOAD = auto()
    VECTOR = auto()
    VECTOR_LONG = auto()
    FLOAT_MAC = auto()
    MOVE = auto()
    TABLE = auto()
    FLOAT_DIVIDE = auto()


@dataclass(frozen=True)
class Operation:
    """`reads` and `writes`: registers, FLAGS among them. `sums`: the register that a multiply-accumulate or an
    insertion adds to; it is read as well, but may come later. `base`: an address that is written back.

    `width`: 64-bit halves that a vector unit or a memory port handles. `registers`: how many are loaded or stored,
    looked up in, or lanes that are divided. `more`: cycles on top of those of the latency's class. `vector`: vector
    registers hold the data. `structured`: a load or store that (de)interleaves. `mac`: a multiply-accumulate of
    vectors, or a part of one."""

    unit: Unit
    latency: Latency
    reads: tuple[str, ...] = ()
    writes: tuple[str, ...] = ()
    sums: str | None = None
    base: str | None = None
    width: int = 1
    registers: int = 1
    more: int = 0
    vector: bool = False
    structured: bool = False
    mac: bool = False


_REGISTER = re.compile(r"\b(?:[wx](\d+)|[vqdshb](\d+)|(w?sp))\b")
_ADDRESS = re.compile(r"\[(?:x\d+|sp)")
_QUAD = re.compile(r"\bv\d+\.(16b|8h|4s|2d)|\bq\d")
_ELEMENT_BITS = {"b": 8, "h": 16, "s": 32, "d": 64}

_BRANCHES = re.compile(r"(b|bl|br|blr|ret|b\..*|cbn?z|tbn?z)$")
_NO_RESULT = re.compile(r"(cmp|cmn|tst|ccmp|ccmn|fcmpe?|fccmpe?)$")
_SETS_FLAGS = re.compile(r"(adds|subs|ands|bics|negs|adcs|sbcs|cmp|cmn|tst|ccmp|ccmn|fcmpe?|fccmpe?)$")
_READS_FLAGS = re.compile(r"(b\..*|csel|csetm?|csin[cv]|csneg|cin[cv]|cneg|adcs?|sbcs?|fcsel|ccmp|ccmn|fccmpe?)$")
_BARRIERS = re.compile(r"(nop|hint|dmb|dsb|isb|svc|msr|mrs|bti|pac.*|aut.*|yield)$")

_INTEGER_MAC = re.compile(r"(ml[as]|[su]ml[as]l2?|sqr?dml[as][hl]2?|([su]|us|su)dot|([su]|us)mmla)$")
_FLOAT_MAC = re.compile(r"(fml[as]|fml[as]l2?|bf(dot|mmla|mlal[bt]))$")
_SCALAR_MAC = re.compile(r"fn?m(add|sub)$")
_INSERTS = re.compile(r"([su]abal?2?|[su]adalp|[su]r?sra|sli|sri|bsl|bit|bif|ins|tbx|movk|bfi|bfxil|.*x?t?u?n2)$")
_LONG = re.compile(r".*(mul|shrn|rshr|xtn|qadd|qsub|adal|addl?v|(max|min)v|addlp)")
_INTEGER_MULTIPLY = re.compile(r"(mul|madd|msub|mneg|[su]mulh|[su]mull|[su]maddl|[su]msubl)$")
_PART_OF_MAC = re.compile(r"([su]mull2?|[su]adalp)$")


@cache
def decode(text: str) -> Operation:
    """The operation of one instruction: mnemonic, a space, operands."""
    mnemonic, _, operands = text.partition(" ")
    if _ADDRESS.search(operands) and not mnemonic.startswith("adr"):
        return _memory(mnemonic, operands)
    registers = _registers(operands)
    if _BRANCHES.match(mnemonic):
        flags = (FLAGS,) if _READS_FLAGS.match(mnemonic) else ()
        return Operation(Unit.BRANCH, Latency.INTEGER, registers + flags)
    if _BARRIERS.match(mnemonic):
        return Operation(Unit.INTEGER, Latency.INTEGER, (), registers if mnemonic == "mrs" else ())
    return _with_flags(mnemonic, _arithmetic(mnemonic, operands, registers))


def _registers(text: str) -> tuple[str, ...]:
    """Names of the registers in a text, in order: x0 and w0 are r0, q0 and s0 are v0."""
    found = []
    for match in _REGISTER.finditer(text):
        integer, vector, _ = match.groups()
        found.append(f"r{integer}" if integer else f"v{vector}" if vector else "sp")
    return tuple(found)


def _with_flags(mnemonic: str, operation: Operation) -> Operation:
    reads = operation.reads + ((FLAGS,) if _READS_FLAGS.match(mnemonic) else ())
    writes = operation.writes + ((FLAGS,) if _SETS_FLAGS.match(mnemonic) else ())
    return replace(operation, reads=reads, writes=writes)


# ---- memory ----


def _memory(mnemonic: str, operands: str) -> Operation:
    """A load, a store or a prefetch. The port moves 64 bits at a time."""
    at = _ADDRESS.search(operands)
    assert at is not None
    data, address = operands[: at.start()], operands[at.start() :]
    registers, addressed = _registers(data), _registers(address)
    written_back = "!" in address or re.search(r"\],\s*[#x]", address)
    whole = Operation(Unit.LOAD, Latency.LOAD, base=addressed[0] if written_back else None)
    if mnemonic.startswith("prf"):
        return replace(whole, reads=addressed)
    vector = bool(registers) and registers[0].startswith("v")
    lane = vector and re.search(r"\}\s*\[\d", data) is not None
    width = len(registers) if lane else max(1, -(-_bits(data) * len(registers) // 64))
    if mnemonic.endswith("r") and mnemonic.startswith("ld1"):
        width = 1
    whole = replace(
        whole,
        width=width,
        registers=len(registers),
        vector=vector,
        structured=re.match(r"(ld|st)[234]$", mnemonic) is not None,
    )
    if mnemonic.startswith("st"):
        return replace(whole, unit=Unit.STORE, reads=registers + addressed)
    latency = Latency.VECTOR_LOAD if vector else Latency.LOAD
    return replace(whole, latency=latency, reads=addressed + (registers if lane else ()), writes=registers)


def _bits(data: str) -> int:
    """Of one of the registers that are loaded or stored."""
    if arranged := re.search(r"v\d+\.(\d*)([bhsd])", data):
        return int(arranged[1] or 1) * _ELEMENT_BITS[arranged[2]]
    kind = data.strip()[:1]
    return {"q": 128, "s": 32, "w": 32, "h": 32, "b": 32}.get(kind, 64)


# ---- arithmetic ----


def _arithmetic(mnemonic: str, operands: str, registers: tuple[str, ...]) -> Operation:
    first, _, rest = operands.partition(",")
    writes = () if _NO_RESULT.match(mnemonic) else _registers(first)[:1]
    reads = registers if _NO_RESULT.match(mnemonic) else _registers(rest)
    lane = mnemonic == "mov" and re.match(r"v\d+\.[bhsd]\[", first)
    sums = lane or any(kind.match(mnemonic) for kind in (_INTEGER_MAC, _FLOAT_MAC, _INSERTS))
    plain = Operation(Unit.INTEGER, Latency.INTEGER, reads, writes, sums=writes[0] if sums and writes else None)
    if not any(register.startswith("v") for register in registers):
        return _integer(mnemonic, rest, plain)
    quad = _QUAD.search(operands) is not None or mnemonic.endswith("2")
    return _vector(mnemonic, operands, replace(plain, unit=Unit.VECTOR, vector=True, width=2 if quad else 1))


def _integer(mnemonic: str, rest: str, plain: Operation) -> Operation:
    if mnemonic in ("sdiv", "udiv"):
        return replace(plain, unit=Unit.DIVIDE, latency=Latency.DIVIDE)
    if _INTEGER_MULTIPLY.match(mnemonic):
        return replace(plain, unit=Unit.MULTIPLY, latency=Latency.MULTIPLY)
    if "," in rest and re.search(r"lsl #[1-9]|lsr|asr|ror|[su]xt[bhwx]", rest):
        return replace(plain, latency=Latency.SHIFTED)
    return plain


def _vector(mnemonic: str, operands: str, plain: Operation) -> Operation:
    if mnemonic in ("fdiv", "fsqrt"):
        lanes = 4 if ".4s" in operands else 2 if re.search(r"\.2[sd]", operands) else 1
        return replace(plain, unit=Unit.VECTOR_DIVIDE, latency=Latency.FLOAT_DIVIDE, registers=lanes)
    if _FLOAT_MAC.match(mnemonic) or _SCALAR_MAC.match(mnemonic):
        return replace(plain, latency=Latency.FLOAT_MAC, mac=True)
    if _INTEGER_MAC.match(mnemonic):
        return replace(plain, latency=Latency.VECTOR_LONG, mac=True)
    if mnemonic in ("tbl", "tbx"):
        tables = len(plain.reads) - 1
        return replace(plain, latency=Latency.TABLE, width=2, registers=tables, more=tables - 1)
    between = any(register[0] == "r" for register in plain.reads + plain.writes)
    if mnemonic in ("umov", "smov", "fmov", "dup") or (mnemonic in ("mov", "ins") and between):
        return replace(plain, latency=Latency.MOVE)
    mac = _PART_OF_MAC.match(mnemonic) is not None
    long = mnemonic.startswith(("f", "scvtf", "ucvtf")) or _LONG.match(mnemonic)
    return replace(plain, latency=Latency.VECTOR_LONG if long else Latency.VECTOR, mac=mac)
