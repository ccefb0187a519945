"""The runtime on real models: clean under sanitizers, allocating nothing, with the figures that it states."""

import re
import signal
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import edgec
from edgec import __version__
from edgec.compiler.bundle.assemble import assemble, program_code
from edgec.compiler.bundle.reader import Bundle, open_bundle
from edgec.compiler.bundle.writer import write_bundle
from edgec.compiler.cache import cache_dir
from edgec.compiler.codegen.kernels import compile_kernels
from edgec.compiler.lower.lower import lower
from edgec.runtimes.devices import RunOptions, open_device
from edgec.runtimes.python import Model
from edgec.targets.host import host
from edgec.tests import native_build
from edgec.tests.native_build import ADDRESS, THREAD

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("mobilenet_v2")]

Cases = Callable[[str], Any]
ROOT = Path(edgec.__file__).parent
FENCED = ("-Wl,--wrap=edge_os_alloc", "-Wl,--wrap=edge_os_free")
NETS = [("mobilenet_v2", "int8"), ("mobilenet_v2", "float"), ("ppocr_cls", "int8")]


@dataclass(frozen=True, eq=False)
class Built:
    """A model compiled for this machine to `model.edge`, and all that `native/models.c` takes to run it."""

    bundle: Bundle
    objects: list[Path]
    feeds: Mapping[str, np.ndarray]
    expected: bytes

    def test(self, program: Path, test: str, *, threads: int, users: int = 1, runs: int = 4) -> Any:
        """Runs one test of the program."""
        folder = self.bundle.path.parent
        return native_build.run(
            program, test, self.bundle.weights, folder / "inputs", folder / "expected", threads, users, runs
        )

    def program(self, name: str, *flags: str, platform: str = "posix") -> Path:
        """The model with the runtime as gcc builds it with the flags."""
        path = self.bundle.path.with_name(name)
        if not path.exists():
            files = [ROOT / "tests" / "runtimes" / "native" / "models.c", *self.objects]
            native_build.build(path, files, [*flags, *FENCED], platform)
        return path


@pytest.fixture(scope="module")
def built(case: Cases, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, str], Built]:
    """Compiles step by step, so that the kernels' objects can be had. int8 outputs are those of the reference."""

    @cache
    def make(name: str, form: str) -> Built:
        this, target, folder = case(name), host(), tmp_path_factory.mktemp("built")
        graph = this.graph(form)
        graph.name = "model"
        lowered = lower(graph, target)
        kernels = compile_kernels(lowered.kernels.values(), target, cache_dir())
        write_bundle(folder / "model.edge", *assemble(lowered, kernels, target, __version__))
        bundle = open_bundle(folder / "model.edge")
        code = program_code(lowered, kernels, target)
        objects = [folder / "program.c", *(folder / f"{i}.o" for i in range(len(code.kernels)))]
        for path, content in zip(objects, [code.source.encode(), *code.kernels], strict=True):
            path.write_bytes(content)
        (feeds,) = this.samples(1)
        with Model(bundle.library, bundle.weights) as model:
            outputs = this.reference(feeds, form) if form == "int8" else model.run(feeds)
        expected = b"".join(y.tobytes() for y in outputs.values())
        (folder / "inputs").write_bytes(b"".join(x.tobytes() for x in feeds.values()))
        (folder / "expected").write_bytes(expected)
        return Built(bundle, objects, feeds, expected)

    return make


@pytest.mark.parametrize("threads, users", [(1, 2), (4, 3)])
@pytest.mark.parametrize("flags", [ADDRESS, THREAD], ids=["asan", "tsan"])
@pytest.mark.parametrize("net, form", NETS)
def test_sessions_at_once_are_clean_and_right(
    built: Callable[[str, str], Built], net: str, form: str, flags: tuple[str, ...], threads: int, users: int
) -> None:
    """Arena, weights, inputs and outputs end where no access is allowed, so kernels are held to their memory too."""
    model = built(net, form)
    done = model.test(model.program(flags[0].rpartition("=")[2], *flags), "users", threads=threads, users=users)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("platform", ["posix", "raw"])
@pytest.mark.parametrize("threads", [1, 4])
def test_a_session_allocates_nothing_and_asks_the_system_only_to_wait_and_where_threads_run(
    built: Callable[[str, str], Built], platform: str, threads: int
) -> None:
    """malloc is counted; and with a filter on system calls, one that maps memory is the last of its process."""
    model = built("mobilenet_v2", "int8")
    program = model.program(f"sealed-{platform}", "-DCOUNT_ALLOCATIONS", platform=platform)
    done = model.test(program, "sealed", threads=threads, runs=10)
    assert done.returncode == 0, done.stderr
    assert model.test(program, "sealed, then allocate", threads=threads).returncode == -signal.SIGSYS


def test_profile_names_each_step_and_accounts_for_the_time(case: Cases) -> None:
    bundle = case("mobilenet_v2").bundle("host", "int8")
    manifest, options = bundle.manifest, RunOptions(repeat=5, profile=True)
    report = open_device("local").run(bundle.path, manifest.inputs, manifest.outputs, {}, None, options)
    with Model(bundle.library, bundle.weights) as model, model.session(profile=True) as session:
        session.run(case("mobilenet_v2").samples(1)[0])
        rows = session.profile()
    stated = [(step.name, step.kernel, step.macs) for step in manifest.steps]
    assert [(row.name, row.kernel, row.macs) for row in report.profile] == stated
    assert [(row.name, row.kernel, row.macs) for row in rows] == stated
    assert all(row.runs == 5 for row in report.profile) and all(row.runs == 1 for row in rows)
    total = sum(row.ns for row in report.profile) / 5
    assert 0.5 * report.latency.min < total < report.latency.max


def test_an_application_gets_the_bytes_that_python_gets(built: Callable[[str, str], Built], tmp_path: Path) -> None:
    """The README's program, which here reads its input and writes its output."""
    model = built("mobilenet_v2", "int8")
    (code,) = re.findall(r"```c\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    for old, new in [
        ("    edge_status status = model_run", "    if (fread(x, sizeof x, 1, stdin) != 1) return 2;\n\\g<0>"),
        (r"    printf\(.*;", "    if (fwrite(y, sizeof y, 1, stdout) != 1) return 3;"),
        ("host/model.edge/weights.bin", str(model.bundle.weights)),
    ]:
        code, changed = re.subn(old, new, code)
        assert changed == 1, old
    source = tmp_path / "app.c"
    source.write_text(code)
    folder = model.bundle.path
    flags = ["-std=c11", "-Wall", "-Wextra", "-Werror", f"-I{folder}", f"-L{folder}", "-lmodel"]
    subprocess.run(["gcc", source, "-o", tmp_path / "app", *flags, f"-Wl,-rpath,{folder}"], check=True)
    native_build.compile_cplusplus(code, tmp_path / "app.cc", "-std=c++17", f"-I{folder}")
    data = b"".join(x.tobytes() for x in model.feeds.values())
    done = subprocess.run([tmp_path / "app"], input=data, capture_output=True, check=True)
    assert done.stdout == model.expected
    with edgec.load(folder) as loaded:
        assert b"".join(y.tobytes() for y in loaded.run(model.feeds).values()) == model.expected
