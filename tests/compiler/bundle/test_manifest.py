"""The manifest survives its JSON form, and JSON that is not a manifest is refused with its place named."""

import json
from dataclasses import replace
from typing import Any

import pytest

from edgec.compiler.bundle.manifest import (
    Affine,
    FileInfo,
    Manifest,
    Memory,
    Range,
    State,
    StepInfo,
    Target,
    Tensor,
    Variant,
    from_json,
    to_json,
)
from edgec.errors import EdgeError

MANIFEST = Manifest(
    model="mobilenet_v2",
    edgec="0.1.0",
    tools={"ziglang": "0.17.0", "apache-tvm": "0.27"},
    target=Target(
        "arm64-neon",
        "aarch64-linux-android",
        "aarch64",
        (Variant("v8_0", ()), Variant("dotprod", ("dotprod",))),
    ),
    precision="int8",
    inputs=(Tensor("x:0", (1, 3, 224, 224), "float32", ranges=(Range(3, "W", 32, 224, 32),)),),
    outputs=(Tensor("höhe", (1, 1000), "uint8", Affine(0.1 + 2**-30, 128)),),
    memory=Memory.of(arena=4096, weights=1 << 20, runtime=512),
    code_bytes=70_000,
    macs=300_000_000,
    steps=(StepInfo("conv_0", "qs8_conv_8x8c4_neondot", 1000),),
    files={"weights.bin": FileInfo("0" * 64, 1 << 20)},
    states=(State(Tensor("h", (2, 1, 64), "float32"), "hn"),),
)


def test_round_trip_is_exact() -> None:
    assert from_json(to_json(MANIFEST), "manifest.json") == MANIFEST


def test_text_does_not_depend_on_the_order_of_insertion() -> None:
    tools = dict(reversed(list(MANIFEST.tools.items())))
    assert to_json(MANIFEST) == to_json(replace(MANIFEST, tools=tools))


def test_peak_stands_in_the_text() -> None:
    assert json.loads(to_json(MANIFEST))["memory"]["peak"] == 4096 + (1 << 20) + 512


def _edited(path: tuple[str | int, ...], value: Any) -> str:
    table = json.loads(to_json(MANIFEST))
    place = table
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    return json.dumps(table)


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        (("format",), 1, "bundle format 1"),
        (("format",), True, "format is bool"),
        (("edgec",), 1, "edgec is int where str"),
        (("model",), "../evil", "model name"),
        (("precision",), "int3", "precision"),
        (("surprise",), 1, "unknown field 'surprise'"),
        (("inputs", 0, "shape"), [1, -3], r"inputs\[0\] has the impossible shape"),
        (("inputs", 0, "shape"), [2**31 - 1] * 8, r"inputs\[0\] has the absurd shape"),
        (("inputs", 0, "shape"), [1] * 9, "9 dimensions"),
        (("inputs", 0, "shape"), "1,3", r"inputs\[0\].shape is str where list"),
        (("inputs", 0, "shape", 0), 1.5, r"inputs\[0\].shape\[0\] is float where int"),
        (("inputs", 0, "ranges", 0, "min"), 225, r"inputs\[0\].ranges\[0\] is 225 to 224"),
        (("inputs", 0, "ranges", 0, "step"), 0, "in steps of 0"),
        (("inputs", 0, "ranges", 0, "axis"), 4, r"inputs\[0\] has ranges that are not its shape's"),
        (("inputs", 0, "ranges", 0, "max"), 640, r"inputs\[0\] has ranges that are not its shape's"),
        (("states", 0, "tensor", "shape"), [-1], r"states\[0\].tensor has the impossible shape"),
        (("inputs", 0, "dtype"), "object", "dtype 'object'"),
        (("inputs", 0, "name"), "a\x1b[31m", "printable"),
        (("inputs", 0, "name"), "a" * 5000, "short printable"),
        (("outputs", 0, "quant", "scale"), 0.0, r"outputs\[0\].quant has scale 0.0"),
        (("outputs", 0, "quant", "zero_point"), 2**40, "zero point outside int32"),
        (("memory", "arena"), -1, "memory is out of range"),
        (("memory", "arena"), 8192, "parts add up"),
        (("macs",), 2**70, "macs is out of range"),
        (("files",), {"../../etc/passwd": {"sha256": "0" * 64, "bytes": 1}}, "file name"),
        (("files",), {"manifest.json": {"sha256": "0" * 64, "bytes": 1}}, "file name"),
        (("files", "weights.bin", "sha256"), "zz", "64 hex digits"),
        (("files", "weights.bin", "bytes"), 2**50, "size out of range"),
    ],
)
def test_refuses(path: tuple[str | int, ...], value: Any, said: str) -> None:
    with pytest.raises(EdgeError, match=said):
        from_json(_edited(path, value), "m")


@pytest.mark.parametrize("field", ["model", "memory", "files", "format"])
def test_refuses_a_missing_field(field: str) -> None:
    table = json.loads(to_json(MANIFEST))
    del table[field]
    with pytest.raises(EdgeError, match=f"the document lacks '{field}'"):
        from_json(json.dumps(table), "m")


def test_refuses_two_inputs_of_one_name() -> None:
    table = json.loads(to_json(MANIFEST))
    table["inputs"] *= 2
    with pytest.raises(EdgeError, match="same name"):
        from_json(json.dumps(table), "m")


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "nul", "[" * 200_000, '{"a": 1, "a": 1}', '{"format": NaN}', '{"format": 1e999}', "9" * 10_000],
)
def test_refuses_what_is_no_manifest(text: str) -> None:
    with pytest.raises(EdgeError, match=r"^m: "):
        from_json(text, "m")
