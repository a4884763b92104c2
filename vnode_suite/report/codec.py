"""Between a report's data classes and JSON: English under a field's name, Chinese under ``zh.<name>``."""

from __future__ import annotations

import functools
import types
import typing
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from enum import Enum
from typing import Any, TypeVar, cast

from vnode_suite.model import Text

T = TypeVar("T")


#: Types whose values are in JSON as they are: nine of ten values, so they are told first.
_PLAIN = frozenset({str, int, float, bool, types.NoneType})


def encode(value: object) -> Any:
    """*value* as JSON has it."""
    if type(value) in _PLAIN:
        return value
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, tuple | list):
        return [encode(item) for item in value]
    if isinstance(value, Mapping):
        return {str(key): encode(item) for key, item in value.items()}
    if is_dataclass(value) and not isinstance(value, type):
        return _encode_object(value)
    return value


def _encode_object(value: Any) -> dict[str, Any]:
    out: dict[str, Any] = {}
    chinese: dict[str, Any] = {}
    kind: Any = type(value)
    for name in _names(kind):
        item = getattr(value, name)
        if isinstance(item, Text):
            out[name], chinese[name] = item.en, item.zh
        elif isinstance(item, tuple) and item and isinstance(item[0], Text):
            out[name], chinese[name] = [text.en for text in item], [text.zh for text in item]
        else:
            out[name] = encode(item)
    if chinese:
        out["zh"] = chinese
    return out


@functools.cache
def _names(kind: Any) -> tuple[str, ...]:
    return tuple(field.name for field in fields(kind))


@functools.cache
def _hints(kind: Any) -> dict[str, Any]:
    return typing.get_type_hints(kind)


def decode(kind: type[T], data: Mapping[str, Any]) -> T:
    """An object of *kind* from JSON; unknown fields are ignored, absent ones take their default.

    :raises ValueError: a field is missing that has no default, or holds what it may not.
    """
    chinese = data.get("zh") or {}
    hints = _hints(cast("Any", kind))
    values: dict[str, Any] = {}
    for field in fields(cast("Any", kind)):
        if field.name in data:
            values[field.name] = _decode(hints[field.name], data[field.name], chinese.get(field.name))
        elif field.default is MISSING and field.default_factory is MISSING:
            raise ValueError(f"{kind.__name__} without {field.name}")
    return kind(**values)


def _decode(hint: Any, value: Any, chinese: Any) -> Any:
    origin = typing.get_origin(hint)
    if origin in (typing.Union, types.UnionType):
        if value is None:
            return None
        return _decode(next(arg for arg in typing.get_args(hint) if arg is not type(None)), value, chinese)
    if hint is Text:
        return Text(str(value), str(value if chinese is None else chinese))
    if origin is tuple:
        inner = typing.get_args(hint)[0]
        others = chinese if isinstance(chinese, list) else [None] * len(value)
        return tuple(_decode(inner, item, other) for item, other in zip(value, others, strict=True))
    if isinstance(hint, type) and issubclass(hint, Enum):
        return hint(value)
    if isinstance(hint, type) and is_dataclass(hint):
        return decode(hint, value)
    return value
