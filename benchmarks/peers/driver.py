"""One engine with one model in a process of its own: loads it, runs it once, then times inferences on request.

    python driver.py ENGINE MODEL FEEDS.npz OUTPUTS.npz THREADS CPU,CPU...|mark

Runs in whatever Python has the engine, so it needs nothing of edgec but for the engine `edgec` itself. On standard
output stands a line of JSON (`Start`); then each line N on standard input is answered by the nanoseconds of N
inferences, which one that is not timed precedes. With `mark` there is but one more inference, between two hints to the
processor, by which an emulator knows what to count.
"""

import ctypes
import importlib
import json
import mmap
import os
import struct
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np

Array = np.ndarray[Any, Any]
Feeds = Mapping[str, Array]


class Engine(Protocol):
    """Made before memory and time count; `load` gets the model ready, `infer` does everything from arrays to arrays."""

    def load(self, model: Path, feeds: Feeds, threads: int) -> None:
        """Read the model; the inputs are always `feeds`."""

    def infer(self) -> list[Array]:
        """The outputs, in the model's order."""


class Edgec:
    """A bundle, through the C interface that applications use."""

    def __init__(self) -> None:
        self.binding = importlib.import_module("edgec.runtimes.python.binding")

    def load(self, model: Path, feeds: Feeds, threads: int) -> None:
        """`model` is a bundle's folder."""
        (library,) = model.glob("lib*.so")
        self.model = self.binding.Model(library, model / "weights.bin", threads=threads)
        self.feeds = feeds

    def infer(self) -> list[Array]:
        """See `Engine`."""
        return list(self.model.run(self.feeds).values())


class OnnxRuntime:
    """ONNX Runtime's CPU provider, with its defaults."""

    def __init__(self) -> None:
        self.ort = importlib.import_module("onnxruntime")

    def load(self, model: Path, feeds: Feeds, threads: int) -> None:
        """`model` is an .onnx file."""
        options = self.ort.SessionOptions()
        options.log_severity_level = 3
        options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
        self.session = self.ort.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
        self.feeds = dict(feeds)

    def infer(self) -> list[Array]:
        """See `Engine`."""
        found: list[Array] = self.session.run(None, self.feeds)
        return found


class OpenVino:
    """OpenVINO's CPU plugin for one inference at a time; float32 stays float32 where the CPU has bfloat16."""

    def __init__(self) -> None:
        self.openvino = importlib.import_module("openvino")

    def load(self, model: Path, feeds: Feeds, threads: int) -> None:
        """`model` is an .onnx file of fixed shapes."""
        options = {
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_NUM_THREADS": threads,
            "NUM_STREAMS": 1,
            "INFERENCE_PRECISION_HINT": "f32",
        }
        self.request = self.openvino.Core().compile_model(str(model), "CPU", options).create_infer_request()
        self.feeds = dict(feeds)

    def infer(self) -> list[Array]:
        """See `Engine`."""
        return list(self.request.infer(self.feeds, share_inputs=True).to_tuple())


class LiteRt:
    """LiteRT with XNNPACK, its default on a CPU."""

    def __init__(self) -> None:
        self.interpreter = importlib.import_module("ai_edge_litert.interpreter")

    def load(self, model: Path, feeds: Feeds, threads: int) -> None:
        """`model` is a .tflite file. Images become NHWC, and int8 where the model wants that, before time counts."""
        self.net = self.interpreter.Interpreter(model_path=str(model), num_threads=threads)
        self.net.allocate_tensors()
        inputs = self.net.get_input_details()
        self.feeds = [(port["index"], _litert_input(port, feeds)) for port in inputs]
        self.outputs = self.net.get_output_details()

    def infer(self) -> list[Array]:
        """See `Engine`."""
        for index, array in self.feeds:
            self.net.set_tensor(index, array)
        self.net.invoke()
        return [_real(port, self.net.get_tensor(port["index"])) for port in self.outputs]


def _litert_input(port: Mapping[str, Any], feeds: Feeds) -> Array:
    array = next(feeds[name] for name in feeds if name in port["name"])
    if array.ndim == 4 and array.shape != tuple(port["shape"]):
        array = np.ascontiguousarray(array.transpose(0, 2, 3, 1))
    if port["dtype"] == np.int8 != array.dtype:
        scale, zero = port["quantization"]
        array = np.clip(np.rint(array / scale) + zero, -128, 127)
    return array.astype(port["dtype"])


def _real(port: Mapping[str, Any], array: Array) -> Array:
    scale, zero = port["quantization"]
    return (array.astype(np.float32) - zero) * np.float32(scale) if array.dtype == np.int8 else array


class Ncnn:
    """ncnn; float32 stays float32 where the CPU has smaller types, but for a model called .fp16."""

    def __init__(self) -> None:
        self.ncnn = importlib.import_module("ncnn")

    def load(self, model: Path, feeds: Feeds, threads: int) -> None:
        """`model` is the .param file; the .bin file lies beside it. Inputs and outputs are named as pnnx does."""
        self.net = self.ncnn.Net()
        self.net.opt.num_threads = threads
        for option in ("vulkan_compute", "fp16_packed", "fp16_storage", "fp16_arithmetic", "bf16_storage"):
            setattr(self.net.opt, f"use_{option}", option.startswith("fp16") and ".fp16" in model.suffixes)
        if self.net.load_param(str(model)) or self.net.load_model(str(model.with_suffix(".bin"))):
            raise RuntimeError("ncnn cannot load the model")
        arrays = [a.astype(np.int32) if a.dtype == np.int64 else a for a in feeds.values()]
        self.feeds = {f"in{i}": np.ascontiguousarray(array[0]) for i, array in enumerate(arrays)}
        self.outputs = self.net.output_names()

    def infer(self) -> list[Array]:
        """See `Engine`."""
        extractor = self.net.create_extractor()
        for name, array in self.feeds.items():
            extractor.input(name, self.ncnn.Mat(array))
        found = [extractor.extract(name) for name in self.outputs]
        if any(status for status, _ in found):
            raise RuntimeError("ncnn cannot run the model")
        return [np.array(mat)[None] for _, mat in found]


class Mnn:
    """MNN, without float16 where the CPU has it, but for a model called .fp16."""

    def __init__(self) -> None:
        self.mnn = importlib.import_module("MNN")

    def load(self, model: Path, feeds: Feeds, threads: int) -> None:
        """`model` is an .mnn file; output names stand beside it in .outputs, one a line."""
        precision = "low" if ".fp16" in model.suffixes else "high"
        config = {"backend": "CPU", "numThread": threads, "precision": precision}
        runtime = self.mnn.nn.create_runtime_manager((config,))
        names = model.with_suffix(".outputs").read_text().split("\n")
        self.net = self.mnn.nn.load_module_from_file(str(model), list(feeds), names, runtime_manager=runtime)
        self.feeds = [a.astype(np.int32) if a.dtype == np.int64 else a for a in feeds.values()]

    def infer(self) -> list[Array]:
        """See `Engine`."""
        expr = self.mnn.expr
        inputs = []
        for array in self.feeds:
            kind = expr.float if array.dtype == np.float32 else expr.int
            inputs.append(expr.placeholder(list(array.shape), expr.NCHW, kind))
            inputs[-1].write(array)
        return [np.array(expr.convert(y, expr.NCHW).read()) for y in self.net.forward(inputs)]


ENGINES: Mapping[str, type[Engine]] = {
    "edgec": Edgec,
    "onnxruntime": OnnxRuntime,
    "openvino": OpenVino,
    "litert": LiteRt,
    "ncnn": Ncnn,
    "mnn": Mnn,
}
"""Every engine, by name."""


ARM64_HINT_72, ARM64_HINT_73, ARM64_RETURN = 0xD503291F, 0xD503293F, 0xD65F03C0


def status_kib(field: str) -> int:
    """A line of /proc/self/status in KiB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(f"{field}:")).split()[1])


def timed(engine: Engine) -> int:
    """Nanoseconds of one inference."""
    start = time.perf_counter_ns()
    engine.infer()
    return time.perf_counter_ns() - start


class Instruction:
    """A function that executes one arm64 instruction."""

    def __init__(self, word: int) -> None:
        self._code = mmap.mmap(-1, mmap.PAGESIZE, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
        self._code.write(struct.pack("<II", word, ARM64_RETURN))
        self.execute = ctypes.CFUNCTYPE(None)(ctypes.addressof(ctypes.c_char.from_buffer(self._code)))


def marked(engine: Engine) -> None:
    """An inference between the hints."""
    begin, end = Instruction(ARM64_HINT_72), Instruction(ARM64_HINT_73)
    begin.execute()
    engine.infer()
    end.execute()


def main(name: str, model: str, feeds_path: str, outputs_path: str, threads: str, cpus: str) -> None:
    """See the module."""
    if cpus != "mark":
        os.sched_setaffinity(0, {int(cpu) for cpu in cpus.split(",")})
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # what engines print is no answer
    with np.load(feeds_path) as file:
        feeds = {key: np.ascontiguousarray(file[key]) for key in file.files}
    before_import = status_kib("VmRSS")
    engine = ENGINES[name]()
    before = status_kib("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts again
    start = time.perf_counter_ns()
    engine.load(Path(model), feeds, int(threads))
    loaded = time.perf_counter_ns()
    outputs = engine.infer()
    done = time.perf_counter_ns()
    peak = status_kib("VmHWM")
    np.savez(outputs_path, *outputs)
    figures = {
        "load_ns": loaded - start,
        "first_ns": done - loaded,
        "import_kib": before - before_import,
        "peak_kib": peak - before,
    }
    print(json.dumps(figures), file=answers)
    if cpus == "mark":
        marked(engine)
        os._exit(0)  # engines that fall over themselves at exit have been counted all the same
    for line in sys.stdin:
        engine.infer()
        print(*(timed(engine) for _ in range(int(line))), file=answers)


if __name__ == "__main__":
    main(*sys.argv[1:])
