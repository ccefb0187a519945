"""Untrusted JSON -> dataclasses: the dataclass is the schema, and nothing outside it is accepted.

Every object must have exactly the fields of its dataclass, every value exactly its declared type; numbers,
strings and lists are bounded, so a hostile file costs no more than its own size. What types cannot say is
checked by `__post_init__` (ValueError), and is reported with the place in the file.
"""

import json
import types
import typing
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any, TypeVar

from ...errors import EdgeError

T = TypeVar("T")

MAX_INTEGER = 2**53
MAX_STRING = 4096
MAX_ITEMS = 1 << 17


class _Invalid(Exception):
    """Where in the document, and what is wrong there."""

    def __init__(self, where: str, problem: str) -> None:
        super().__init__(f"{where or 'the document'} {problem}")


def parse(cls: type[T], text: str, source: str) -> T:
    """`text` as an instance of the dataclass `cls`. EdgeError names `source` and the offending place."""
    try:
        document = json.loads(text, object_pairs_hook=_unique_keys, parse_constant=_no_constant)
        return typing.cast(T, _convert(cls, document, ""))
    except (_Invalid, ValueError, RecursionError) as error:
        problem = "nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise EdgeError(f"{source}: {problem}; the file is damaged or not edgec's, compile the model again") from error


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    table = dict(pairs)
    if len(table) != len(pairs):
        raise ValueError("an object has the same key twice")
    return table


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not a JSON number")


def _convert(kind: Any, value: Any, where: str) -> Any:
    if is_dataclass(kind):
        return _object(typing.cast(type[Any], kind), value, where)
    origin = typing.get_origin(kind)
    if origin is types.UnionType:
        return None if value is None else _convert(typing.get_args(kind)[0], value, where)
    if origin is tuple:
        return _list(typing.get_args(kind)[0], value, where)
    if origin is not None and issubclass(origin, Mapping):
        return _mapping(typing.get_args(kind)[1], value, where)
    return _scalar(kind, value, where)


def _object(cls: type[Any], value: Any, where: str) -> Any:
    table = _expect(dict, value, where)
    hints = typing.get_type_hints(cls)
    names = [f.name for f in fields(cls)]
    if missing := [n for n in names if n not in table]:
        raise _Invalid(where, f"lacks {missing[0]!r}")
    if unknown := [n for n in table if n not in names]:
        raise _Invalid(where, f"has an unknown field {unknown[0][:64]!r}")
    values = {n: _convert(hints[n], table[n], f"{where}.{n}" if where else n) for n in names}
    try:
        return cls(**values)
    except ValueError as error:
        raise _Invalid(where, str(error)) from error


def _list(kind: Any, value: Any, where: str) -> tuple[Any, ...]:
    items = _expect(list, value, where)
    if len(items) > MAX_ITEMS:
        raise _Invalid(where, f"has {len(items)} entries; at most {MAX_ITEMS} are accepted")
    return tuple(_convert(kind, item, f"{where}[{i}]") for i, item in enumerate(items))


def _mapping(kind: Any, value: Any, where: str) -> dict[str, Any]:
    table = _expect(dict, value, where)
    if len(table) > MAX_ITEMS:
        raise _Invalid(where, f"has {len(table)} entries; at most {MAX_ITEMS} are accepted")
    return {_scalar(str, k, where): _convert(kind, v, f"{where}[{k[:64]!r}]") for k, v in table.items()}


def _scalar(kind: Any, value: Any, where: str) -> Any:
    if kind is float and type(value) is int:
        value = float(value) if abs(value) <= MAX_INTEGER else value
    value = _expect(kind, value, where)
    if kind is int and abs(value) > MAX_INTEGER:
        raise _Invalid(where, "is out of range")
    if kind is str and (len(value) > MAX_STRING or not value.isprintable()):
        raise _Invalid(where, "is not a short printable string")
    return value


def _expect(kind: type[T], value: Any, where: str) -> T:
    if type(value) is not kind:
        raise _Invalid(where, f"is {type(value).__name__} where {kind.__name__} is expected")
    return value
