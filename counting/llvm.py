"""LLVM's tools on machine code: what it says, and how long out-of-order cores take for it."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from ..errors import EdgeError

OLDEST, NEWEST = 17, 40
"""Releases that are looked for; from the oldest on LLVM has a scheduling model of Neoverse N1."""

SHORT_RUN, LONG_RUN = 25, 75
REGIONS_A_CALL = 400
_CALL = re.compile(r"(bl|blr|br|ret)\b")


@dataclass(frozen=True)
class Llvm:
    """The assembler and the analyzer of one release."""

    mc: str
    mca: str
    version: str


@cache
def find_llvm() -> Llvm:
    """The newest release installed here; EdgeError where there is none that serves."""
    for suffix in (*(f"-{release}" for release in range(NEWEST, OLDEST - 1, -1)), ""):
        mc, mca = shutil.which(f"llvm-mc{suffix}"), shutil.which(f"llvm-mca{suffix}")
        if mc and mca and int((version := _version(mca)).partition(".")[0]) >= OLDEST:
            return Llvm(mc, mca, version)
    raise EdgeError(
        f"cycles are modelled with llvm-mca of LLVM {OLDEST} or newer, which is not installed; "
        "install it with: sudo apt-get install -y --no-install-recommends llvm-22"
    )


def _version(program: str) -> str:
    said = subprocess.run([program, "--version"], capture_output=True, text=True, check=False).stdout
    found = re.search(r"version (\d+[\d.]*)", said)
    return found[1] if found else "0"


def disassemble(words: Iterable[int]) -> dict[int, str]:
    """Assembly text of AArch64 instruction words: mnemonic, a space, operands. What LLVM does not know is a nop."""
    distinct = sorted(set(words))
    source = "\n".join(" ".join(f"{byte:#04x}" for byte in word.to_bytes(4, "little")) for word in distinct)
    command = [find_llvm().mc, "--disassemble", "-triple=aarch64", "-mattr=+all"]
    done = subprocess.run(command, input=source, capture_output=True, text=True, check=False)
    unknown = {int(line) for line in re.findall(r"<stdin>:(\d+):\d+: warning: invalid", done.stderr)}
    known = [word for line, word in enumerate(distinct, 1) if line not in unknown]
    texts = [" ".join(line.split("//")[0].split()) for line in done.stdout.splitlines() if re.match(r"\t[a-z]", line)]
    if len(texts) != len(known):
        raise EdgeError(f"{find_llvm().mc} read {len(texts)} of {len(known)} instructions: {done.stderr.strip()[:200]}")
    return {**dict.fromkeys(distinct, "nop"), **dict(zip(known, texts, strict=True))}


def steady_cycles(traces: Sequence[tuple[str, ...]], cpu: str, dispatch: int) -> Mapping[tuple[str, ...], float]:
    """Cycles that a pass over each trace (lines of assembly) takes when it is repeated for ever, by the scheduling
    model of `cpu`, where at most `dispatch` instructions enter a cycle."""
    distinct = sorted(set(traces))
    short, long = (_total_cycles(distinct, cpu, dispatch, runs) for runs in (SHORT_RUN, LONG_RUN))
    return {
        trace: (more - less) / (LONG_RUN - SHORT_RUN) for trace, less, more in zip(distinct, short, long, strict=True)
    }


def _total_cycles(traces: Sequence[tuple[str, ...]], cpu: str, dispatch: int, runs: int) -> list[int]:
    command = [find_llvm().mca, "-mtriple=aarch64", f"-mcpu={cpu}", "-mattr=+all", "--json", f"--iterations={runs}"]
    command += [f"--dispatch={dispatch}", "--instruction-info=false", "--resource-pressure=false"]
    cycles: list[int] = []
    for start in range(0, len(traces), REGIONS_A_CALL):
        part = traces[start : start + REGIONS_A_CALL]
        said = _analyzed(command, part)
        regions = {int(r["Name"]): r for r in json.loads(said[said.index("{") :])["CodeRegions"]}
        cycles += [regions[i]["SummaryView"]["TotalCycles"] for i in range(len(part))]
    return cycles


def _analyzed(command: Sequence[str], traces: Sequence[tuple[str, ...]]) -> str:
    """What the analyzer says of the traces. Instructions that the core's model lacks, such as the atomic ones of locks,
    are nops."""
    lacking: set[str] = set()
    while True:
        source = "".join(
            f"# LLVM-MCA-BEGIN {i}\n{_source(trace, lacking)}\n# LLVM-MCA-END\n" for i, trace in enumerate(traces)
        )
        done = subprocess.run(command, input=source, capture_output=True, text=True, check=False)
        if done.returncode == 0:
            return done.stdout
        found = re.search(r"unsupported instruction[^\n]*\n(?:.*\n)*?note: instruction:\s*(\S+)", done.stderr)
        if not found or found[1] in lacking:
            raise EdgeError(f"llvm-mca failed: {done.stderr.strip()[:200]}")
        lacking.add(found[1])


def _source(trace: tuple[str, ...], lacking: set[str]) -> str:
    lines = ("nop" if line.split()[0] in lacking else _without_call(line) for line in trace)
    return "\n".join(lines)


def _without_call(text: str) -> str:
    """Calls and returns as plain branches: the analyzer adds 100 cycles for what it does not see behind them."""
    return "b #4" if _CALL.match(text) else text
