"""Linked files: what they need, show and contain; the cache of compiled runtimes."""

import io
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from elftools.elf.dynamic import DynamicSection
from elftools.elf.elffile import ELFFile
from elftools.elf.sections import SymbolTableSection

from edgec.compiler.bundle import toolchain
from edgec.compiler.bundle.program import exported_symbols, program_source
from edgec.compiler.bundle.toolchain import Triple, compile_c, link_library, link_runner
from edgec.compiler.bundle.variants import Variant
from edgec.compiler.ir.types import TensorType
from edgec.compiler.lower.plan import Operand, Plan, Port, Space, Step
from edgec.errors import EdgeError

TENSOR = TensorType((16,), "float32")
STEP = Step("copy", (Operand(Space.INPUT), Operand(Space.OUTPUT)), (16,), 1, name="copy")
PLAN = Plan("net", [Port("x", TENSOR)], [Port("y", TENSOR)], [STEP])
KERNEL = """
#include <stdint.h>
void copy(float *x, float *y, void *b, void *c, void *d, const int32_t *params, int32_t begin, int32_t end);
void copy(float *x, float *y, void *b, void *c, void *d, const int32_t *params, int32_t begin, int32_t end) {
    (void)b, (void)c, (void)d, (void)begin, (void)end;
    for (int32_t i = 0; i < params[0]; i++) y[i] = x[i];
}
"""
TRIPLES = [Triple("x86_64"), Triple("aarch64"), Triple("x86_64", "android"), Triple("aarch64", "android")]


def objects(triple: Triple, kernel: str = KERNEL) -> list[bytes]:
    source = program_source(PLAN, [Variant("base", frozenset(), {"copy": "copy"})])
    return [compile_c(source, triple), compile_c(kernel, triple)]


def library(triple: Triple, kernel: str = KERNEL) -> bytes:
    return link_library("libnet.so", exported_symbols(PLAN), objects(triple, kernel), triple)


def elf(data: bytes) -> ELFFile:
    return ELFFile(io.BytesIO(data))


def dynamic(file: ELFFile, kind: str | None = None) -> list[Any]:
    """The dynamic tags, of one kind if given. Each has its text as an attribute: needed, soname ..."""
    section = file.get_section_by_name(".dynamic")
    assert isinstance(section, DynamicSection)
    return list(section.iter_tags(kind))


def symbols(file: ELFFile, defined: bool) -> set[str]:
    table = file.get_section_by_name(".dynsym")
    assert isinstance(table, SymbolTableSection)
    return {s.name for s in table.iter_symbols() if s.name and (s["st_shndx"] != "SHN_UNDEF") == defined}


@pytest.mark.parametrize("triple", TRIPLES, ids=str)
def test_library_form(triple: Triple) -> None:
    file = elf(library(triple))
    tags = {tag.entry.d_tag: tag for tag in dynamic(file)}
    needed = [tag.needed for tag in dynamic(file, "DT_NEEDED")]
    segments = [segment["p_type"] for segment in file.iter_segments()]
    loads = [segment for segment in file.iter_segments() if segment["p_type"] == "PT_LOAD"]
    assert file["e_machine"] == {"x86_64": "EM_X86_64", "aarch64": "EM_AARCH64"}[triple.arch]
    assert needed == (["libc.so"] if triple.os == "android" else [])
    assert tags["DT_SONAME"].soname == "libnet.so"
    assert {"DT_HASH", "DT_GNU_HASH"} <= tags.keys() and "DT_TEXTREL" not in tags
    assert "PT_TLS" not in segments and "PT_GNU_RELRO" in segments
    assert all(load["p_align"] == 16384 for load in loads)
    assert not any(load["p_flags"] & 3 == 3 for load in loads), "writable and executable"
    assert symbols(file, defined=False) <= (set(toolchain._BIONIC) if triple.os == "android" else set())


@pytest.mark.parametrize("triple", TRIPLES, ids=str)
def test_library_exports_the_interface_and_nothing_else(triple: Triple) -> None:
    header = (toolchain.NATIVE / "include" / "edge.h").read_text()
    exported = symbols(elf(library(triple)), defined=True)
    declared = {name for name in exported if f" {name}(" in header or f"*{name}(" in header}
    assert exported - declared == {"net_program"}
    assert len(declared) == header.count("EDGE_API ") - header.count("define EDGE_API ")


@pytest.mark.parametrize("arch", ["x86_64", "aarch64"])
def test_runner_is_static(arch: str) -> None:
    file = elf(link_runner(objects(Triple(arch)), Triple(arch)))
    segments = {segment["p_type"] for segment in file.iter_segments()}
    assert file["e_type"] == "ET_EXEC" and not segments & {"PT_INTERP", "PT_DYNAMIC", "PT_TLS"}


@pytest.mark.parametrize("triple", TRIPLES, ids=str)
def test_the_runtime_is_small(triple: Triple) -> None:
    text = elf(library(triple)).get_section_by_name(".text")
    assert text is not None and text["sh_size"] < 14 * 1024


def test_same_input_same_bytes_without_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def build(cache: str) -> list[bytes]:
        monkeypatch.setenv("EDGEC_CACHE_DIR", str(tmp_path / cache))
        monkeypatch.setattr("tempfile.tempdir", str(tmp_path / cache))
        (tmp_path / cache).mkdir()
        return [library(Triple("aarch64")), link_runner(objects(Triple("aarch64")), Triple("aarch64"))]

    first, second = build("one"), build("two-longer")
    assert first == second
    for data in first:
        assert b"/work" not in data and str(tmp_path).encode() not in data and b"edgec-" not in data


def test_undefined_functions_are_named() -> None:
    kernel = KERNEL.replace("y[i] = x[i]", "y[i] = expf(x[i])").replace("void copy", "float expf(float);\nvoid copy", 1)
    for triple in (Triple("aarch64"), Triple("aarch64", "android")):
        with pytest.raises(EdgeError, match="the kernels call expf, but"):
            library(triple, kernel)
    with pytest.raises(EdgeError, match="the kernels call expf, but"):
        link_runner(objects(Triple("aarch64"), kernel), Triple("aarch64"))


def test_compiler_errors_are_passed_on() -> None:
    with pytest.raises(EdgeError, match=r"zig cc failed: .*unknown type"):
        compile_c("nonsense x;", Triple("aarch64"))


def test_memory_functions_may_be_called() -> None:
    kernel = KERNEL.replace("for (", "__builtin_memcpy(y, x, (unsigned)params[0] * 4u);\n    for (")
    for triple in TRIPLES:
        library(triple, kernel)


@pytest.mark.parametrize("arch, os_name", [("mips", "linux"), ("x86_64", "windows"), ("", "android")])
def test_unknown_triples(arch: str, os_name: str) -> None:
    with pytest.raises(EdgeError, match="known are x86_64, aarch64"):
        Triple(arch, os_name)


def test_host(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.machine", lambda: "arm64")
    assert str(Triple.host()) == "aarch64-linux"
    monkeypatch.setattr("platform.machine", lambda: "AMD64")
    assert str(Triple.host()) == "x86_64-linux"


def test_the_runtime_is_compiled_once_and_quickly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGEC_CACHE_DIR", str(tmp_path))
    made = objects(Triple("aarch64"))
    start = time.monotonic()
    first = link_library("libnet.so", exported_symbols(PLAN), made, Triple("aarch64"))
    assert time.monotonic() - start < 20  # about 1 s; anything that builds a libc takes minutes
    monkeypatch.setattr(toolchain, "_compile", None)
    assert link_library("libnet.so", exported_symbols(PLAN), made, Triple("aarch64")) == first
    assert not [path for path in tmp_path.rglob(".*")]


@pytest.mark.parametrize("damage", [b"", b"!<arch>\n", None])
def test_a_damaged_runtime_is_compiled_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damage: bytes | None
) -> None:
    """lld takes an empty file for a script without a command, and would link a library without its functions."""
    monkeypatch.setenv("EDGEC_CACHE_DIR", str(tmp_path))
    first = library(Triple("aarch64"))
    (kept,) = (tmp_path / "runtime").rglob("src-session.o")
    kept.unlink()
    if damage is not None:
        kept.write_bytes(damage)
    assert library(Triple("aarch64")) == first


def test_a_cache_that_cannot_be_written_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("EDGEC_CACHE_DIR", str(tmp_path / "file"))
    with pytest.raises(EdgeError, match="set EDGEC_CACHE_DIR to one that can"):
        library(Triple("aarch64"))


def test_the_cache_may_be_given_relative_to_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("EDGEC_CACHE_DIR", "cache")
    assert library(Triple("aarch64")) and (tmp_path / "cache" / "runtime").is_dir()


def test_several_processes_may_fill_the_cache(tmp_path: Path) -> None:
    script = """
from edgec.compiler.bundle.toolchain import Triple, _runtime
made = _runtime(Triple("x86_64"), "runner")
print(len(made), all(made))
"""
    environment = {**os.environ, "EDGEC_CACHE_DIR": str(tmp_path)}
    running = [
        subprocess.Popen([sys.executable, "-c", script], env=environment, stdout=subprocess.PIPE, text=True)
        for _ in range(4)
    ]
    outputs = {process.communicate(timeout=120)[0] for process in running}
    assert all(process.returncode == 0 for process in running)
    assert len(outputs) == 1 and "True" in outputs.pop()
