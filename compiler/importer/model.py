"""Reads model files. They are untrusted: whatever is wrong with one is an `EdgeError`."""

import stat
from dataclasses import dataclass
from pathlib import Path

import onnx
from google.protobuf.message import DecodeError, Message  # type: ignore[import-untyped]

from ...errors import EdgeError

OLDEST_OPSET = 7

MAX_FILE_BYTES = 2**31 - 1
"""Protobuf's limit: a larger file cannot be a model."""


@dataclass(frozen=True)
class Model:
    """A decoded model and where its external data may lie (nowhere, when it did not come from a file)."""

    proto: onnx.ModelProto
    folder: Path | None
    opsets: dict[str, int]
    """Domain -> version; the default domain is ""."""


Source = str | Path | onnx.ModelProto | Model
"""What a model may be given as: a path, decoded, or loaded already."""


def load_model(source: Source) -> Model:
    """The model in the file `source`, or around a decoded one; its opset and graph are checked to exist."""
    if isinstance(source, Model):
        return source
    if isinstance(source, onnx.ModelProto):
        return _checked(source, None, "the model")
    path = Path(source)
    try:
        data = _read(path)
    except OSError as e:
        raise EdgeError(f"cannot read the model {path}: {e.strerror or e}") from None
    proto = onnx.ModelProto()
    try:
        proto.ParseFromString(data)
    except DecodeError:
        raise EdgeError(f"{path} is not an ONNX model, or is truncated: its protobuf cannot be decoded") from None
    return _checked(proto, path.parent, str(path))


def _read(path: Path) -> bytes:
    """The file's bytes. Pipes and devices are refused: they may never end."""
    status = path.stat()
    if not stat.S_ISREG(status.st_mode) and not path.is_dir():  # of which the system says that it is one
        raise EdgeError(f"cannot read the model {path}: it is not a regular file")
    if status.st_size > MAX_FILE_BYTES:
        raise EdgeError(
            f"{path} has {status.st_size} bytes, but a model's file at most {MAX_FILE_BYTES}; "
            "larger models have their weights in external files"
        )
    return path.read_bytes()


def _checked(proto: onnx.ModelProto, folder: Path | None, what: str) -> Model:
    if not _is_text(proto):
        raise EdgeError(f"{what} is damaged: it holds names that are not UTF-8; export the model again")
    newest = onnx.defs.onnx_opset_version()
    opsets = {"" if o.domain == "ai.onnx" else o.domain: o.version for o in proto.opset_import}
    if not proto.graph.node and not proto.graph.output:
        raise EdgeError(f"{what} holds no graph; export the model again")
    if opsets and not any(node.domain in ("", "ai.onnx") for node in proto.graph.node):
        opsets.setdefault("", newest)  # nothing is of that domain
    version = opsets.get("")
    if version is None or not OLDEST_OPSET <= version <= newest:
        found = "no ONNX opset" if version is None else f"ONNX opset {version}"
        raise EdgeError(
            f"{what} imports {found}; opsets {OLDEST_OPSET} to {newest} are accepted: export or convert it to one"
        )
    return Model(proto, folder, opsets)


def _is_text(message: Message) -> bool:
    """Whether every string in the message is one: protobuf hands out what is not UTF-8 as bytes."""
    for field, value in message.ListFields():
        if field.type not in (field.TYPE_STRING, field.TYPE_MESSAGE):
            continue
        for item in (value,) if isinstance(value, str | bytes | Message) else value:
            if isinstance(item, bytes) or (isinstance(item, Message) and not _is_text(item)):
                return False
    return True
