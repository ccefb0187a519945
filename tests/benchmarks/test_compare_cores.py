"""The tables of counted engines, and the machines that engines are made to see."""

from edgec.benchmarks.compare_cores import Row, markdown
from edgec.benchmarks.peers import counted
from edgec.benchmarks.peers.arm64 import FEATURES, Arm64
from edgec.benchmarks.peers.counted import Counted
from edgec.benchmarks.peers.forms import Form
from edgec.counting.cores import CORES
from edgec.counting.costs import price
from edgec.counting.counts import OUTSIDE, Block, Counts, Runs


def test_tables_have_the_best_form_that_is_right_for_each_core() -> None:
    engines = [
        Counted("edgec", 20_000_000, 9e6, 0.99),
        Counted("litert static", 10_000_000, 5e6, 0.1),
        Counted("litert dynamic", 40_000_000, 18e6, 0.99),
        Counted("onnxruntime s8s8", 25_000_000, 10e6, 0.99),
        Counted("onnxruntime u8s8", 30_000_000, 30e6, 0.99),
        Counted("mnn w8", 1_000_000, 1e6, 0.2),
    ]
    rows = [Row("m", "int8", core, engines, {"ncnn": "no quantizer"}) for core in ("cortex-a53", "cortex-a76")]
    assert rows[0].ratio == 0.9
    line = "| m | int8 | 20.0 / 9.0 | 25.0 / 10.0 s8s8 | 40.0 / 18.0 dynamic | - | 1.0 / 1.0 w8 (wrong) | 0.80 / 0.90 |"
    text = markdown(rows).splitlines()
    assert text.count(line) == 2 and text.count("**cortex-a76**") == 1
    assert text[-1] == "- not measured: m int8, ncnn: no quantizer"


def test_what_an_engine_executes_is_kept(tmp_path, monkeypatch) -> None:
    """Four instructions ten times, with two misses: counted once, priced each time."""
    words = (0x8B020020,) * 4  # add x0, x1, x2
    executed = Counts({3: Block(3, 4096, words)}, (Runs(OUTSIDE, None, 3, 10, 2, 1),), 5)
    asked = []

    def theirs(form, *rest):
        asked.append(form)
        return executed, 0.5

    monkeypatch.setattr(counted, "_theirs", theirs)
    form, model = Form("mnn", "w8", "model.mnn", lambda folder, case: None), tmp_path / "m-mnn-w8" / "model.mnn"
    found = [counted.counted(form, model, "cortex-a55", {}, [], tmp_path) for _ in range(2)]
    assert len(asked) == 1 and found[0] == found[1]
    core = CORES["cortex-a55"]
    assert (found[0].label, found[0].instructions, found[0].cosine) == ("mnn w8", 45, 0.5)
    assert found[0].cycles == price(executed, core, 0)[OUTSIDE].cycles
    counted.counted(form, model, "cortex-a76", {}, [], tmp_path)
    assert len(asked) == 2  # another core has other caches


def test_every_core_is_a_machine_with_its_own_features(tmp_path) -> None:
    (tmp_path / "root/usr/bin").mkdir(parents=True)
    machines = Arm64(tmp_path / "root", tmp_path / "root/usr/bin/python3.11", tmp_path / "site")
    assert set(FEATURES) == set(CORES)
    for core, (part, _) in FEATURES.items():
        place = machines.machine(core)
        info = (place / "proc/cpuinfo").read_text()
        assert f"CPU part\t: {part:#x}\n" in info and info.startswith("processor\t: 0\n")
        assert ("asimddp" in info, "i8mm" in info) == (core != "cortex-a53", core == "cortex-a710")
        caches = place / "sys/devices/system/cpu/cpu0/cache"
        assert (caches / "index2/size").read_text() == f"{CORES[core].l2.kib}K\n"
        assert (place / "usr/bin").is_dir()
