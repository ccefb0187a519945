"""An arm64 Linux of Debian's packages with Python and the engines' wheels, to run under qemu: nothing on this machine
changes, all lies in one folder."""

import hashlib
import os
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ...counting.cores import CORES, Cache
from ...errors import EdgeError
from .environment import ENGINES

PACKAGES = ("python3-minimal", "libpython3-stdlib", "libstdc++6", "libgomp1", "zlib1g", "libatomic1")
NOT_HERE = ("openvino", "ai-edge-quantizer")
"""OpenVINO makes its code when it runs, for the CPU that it finds: not the one that is modelled. What quantizes runs on
this machine."""
PLATFORMS = ("manylinux_2_28", "manylinux_2_27", "manylinux_2_24", "manylinux_2_17", "manylinux2014")

_V8_0 = "fp asimd evtstrm aes pmull sha1 sha2 crc32 cpuid"
_V8_2 = f"{_V8_0} atomics fphp asimdhp asimdrdm lrcpc dcpop asimddp"
_V9_0 = (
    f"{_V8_2} jscvt fcma sha3 sm3 sm4 sha512 asimdfhm dit uscat ilrcpc flagm sb paca pacg dcpodp flagm2 frint i8mm bf16"
)
FEATURES = {
    "cortex-a53": (0xD03, _V8_0),
    "cortex-a55": (0xD05, _V8_2),
    "cortex-a76": (0xD0B, _V8_2),
    "cortex-a710": (0xD47, _V9_0),
}
"""What Linux says of each core: the number of the part, and its features."""
WITHOUT = {"cortex-a710": "max,sve=off,sme=off"}
"""qemu's `max` has more than these features: SME, for which engines have kernels, and SVE of 2048 bits."""


@dataclass(frozen=True)
class Arm64:
    """`program` is Python in `root`; `site` has the engines."""

    root: Path
    program: Path
    site: Path

    def machine(self, core: str) -> Path:
        """A root that looks like a machine with one such core: qemu shows programs the files of this machine's /proc
        and /sys, and engines that read there choose kernels for another CPU, or crash."""
        place = self.root.with_name(f"machine-{core}")
        if not place.exists():
            made = place.with_name(f".{place.name}")
            shutil.rmtree(made, ignore_errors=True)
            made.mkdir()
            for entry in self.root.iterdir():
                if entry.name not in ("proc", "sys"):
                    (made / entry.name).symlink_to(entry)
            for name, text in _kernel_files(core).items():
                file = made / name
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(text)
            made.rename(place)
        return place

    def command(self, core: str, script: Path, arguments: Sequence[str | Path]) -> list[str]:
        """Options of qemu and the program, for `count_marked`."""
        cpu = ["-cpu", WITHOUT[core]] if core in WITHOUT else []  # the last -cpu counts
        return [*cpu, "-L", str(self.machine(core)), str(self.program), *map(str, (script, *arguments))]

    @property
    def environment(self) -> Mapping[str, str]:
        """One thread for all, and nothing of this machine's."""
        return {
            "PATH": os.defpath,
            "PYTHONPATH": str(self.site),
            "OMP_NUM_THREADS": "1",
            "OPENBLAS_NUM_THREADS": "1",
            "OPENBLAS_CORETYPE": "ARMV8",
        }


def arm64(folder: Path) -> Arm64:
    """Made on first use. EdgeError where that is not a Debian, or a package does not come."""
    key = hashlib.sha256("\n".join((*PACKAGES, *_wheels())).encode()).hexdigest()[:8]
    home = (folder / f"arm64-{key}").absolute()
    root, site = home / "root", home / "site"
    if not site.exists():
        shutil.rmtree(home, ignore_errors=True)
        _unpack_debian(home / "apt", root)
        version = _python(root).name.removeprefix("python")
        pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--quiet", "--only-binary=:all:"]
        tags = [word for platform in PLATFORMS for word in ("--platform", f"{platform}_aarch64")]
        target = ["--python-version", version, "--implementation", "cp", "--target", str(home / "making")]
        _run([*pip, *tags, *target, *_wheels()])
        (home / "making").rename(site)
    return Arm64(root, _python(root), site)


def _wheels() -> list[str]:
    return [wheel for wheel in ENGINES if wheel.split("==")[0] not in NOT_HERE]


def _python(root: Path) -> Path:
    """The interpreter in `root`, `python3.N`."""
    (found,) = (p for p in (root / "usr/bin").glob("python3.*") if p.name.removeprefix("python3.").isdigit())
    return found


def _unpack_debian(apt: Path, root: Path) -> None:
    """The packages with all that they depend on, from where this machine's own packages come."""
    if not shutil.which("apt-get"):
        raise EdgeError(
            "the engines for arm64 are run on Debian's packages, and apt-get is not here; use Debian or Ubuntu"
        )
    for name in ("state/lists/partial", "cache/archives/partial"):
        (apt / name).mkdir(parents=True)
    (apt / "status").touch()
    settings = {
        "APT::Architecture": "arm64",
        "APT::Architectures": "arm64",
        "APT::Install-Recommends": "false",
        "APT::Sandbox::User": "",
        "Dir::State": apt / "state",
        "Dir::State::status": apt / "status",
        "Dir::Cache": apt / "cache",
        "Dir::Etc::preferencesparts": "-",
    }
    (apt / "apt.conf").write_text("".join(f'{name} "{value}";\n' for name, value in settings.items()))
    environment = {**os.environ, "APT_CONFIG": str(apt / "apt.conf")}
    _run(["apt-get", "-qq", "update"], environment)
    _run(["apt-get", "-qq", "-y", "--download-only", "install", *PACKAGES], environment)
    for package in sorted((apt / "cache/archives").glob("*.deb")):
        _run(["dpkg-deb", "-x", str(package), str(root)])


def _run(command: Sequence[str], environment: Mapping[str, str] | None = None) -> None:
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        said = (done.stderr.strip().splitlines() or ["nothing"])[-1]
        raise EdgeError(f"'{' '.join(command[:4])} ...' failed: {said[-300:]}")


def _kernel_files(core: str) -> dict[str, str]:
    """Files of /proc and /sys on a machine with one such core."""
    part, features = FEATURES[core]
    cpus, model = "sys/devices/system/cpu", CORES[core]
    cpuinfo = f"""\
        processor\t: 0
        BogoMIPS\t: 52.00
        Features\t: {features}
        CPU implementer\t: 0x41
        CPU architecture: 8
        CPU variant\t: 0x1
        CPU part\t: {part:#x}
        CPU revision\t: 0

        """
    files = {"proc/cpuinfo": textwrap.dedent(cpuinfo)}
    files |= {f"{cpus}/{name}": "0\n" for name in ("possible", "present", "online")}
    files[f"{cpus}/kernel_max"] = "255\n"
    for name in ("core_id", "physical_package_id", "core_siblings_list", "thread_siblings_list"):
        files[f"{cpus}/cpu0/topology/{name}"] = "0\n"
    for name in ("core_siblings", "thread_siblings"):
        files[f"{cpus}/cpu0/topology/{name}"] = "1\n"
    files |= {f"{cpus}/cpu0/cpufreq/cpuinfo_{end}_freq": "2000000\n" for end in ("min", "max")}
    caches = ((1, "Data", model.l1), (1, "Instruction", model.l1), (2, "Unified", model.l2))
    for index, (level, kind, cache) in enumerate(caches):
        files |= {f"{cpus}/cpu0/cache/index{index}/{k}": f"{v}\n" for k, v in _cache_files(level, kind, cache)}
    return files


def _cache_files(level: int, kind: str, cache: Cache) -> Sequence[tuple[str, object]]:
    return (
        ("level", level), ("type", kind), ("size", f"{cache.kib}K"), ("ways_of_associativity", cache.ways),
        ("coherency_line_size", 64), ("shared_cpu_list", 0), ("shared_cpu_map", 1),
    )  # fmt: skip
