"""Frozen dataclasses to plain msgpack values and back, by their annotations.

Supported annotations: int, float, str, bytes, bool, Any, None, `X | Y`, `list[X]`, `dict[str, X]` and dataclasses
of these. What comes from the peer is checked: a value of another type raises `MessageError`, so that a broken peer
is noticed at the border.
"""

from __future__ import annotations

import dataclasses
import functools
import types
import typing
from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")


class MessageError(ValueError):
    """A value from the peer does not have the shape that the message's dataclass declares."""


def to_wire(value: Any) -> Any:
    """`value` as dicts, lists and scalars that msgpack can pack; dataclasses become dicts of their fields."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {name: to_wire(getattr(value, name)) for name in _field_names(type(value))}
    if isinstance(value, list | tuple):
        return [to_wire(item) for item in value]
    if isinstance(value, dict):
        return {key: to_wire(item) for key, item in value.items()}
    return value


def from_wire(kind: Callable[..., T], value: Any) -> T:
    """`value` (as `to_wire` made it) as a `kind`; raises MessageError naming the field that does not fit."""
    annotation: Any = kind
    result: T = _reader(annotation)(value, getattr(kind, "__name__", str(kind)))
    return result


@functools.cache
def _field_names(kind: type) -> tuple[str, ...]:
    return tuple(field.name for field in dataclasses.fields(kind))


Reader = Callable[[Any, str], Any]


@functools.cache
def _reader(annotation: Any) -> Reader:
    """A function (value, where) → checked value for one annotation; built once per annotation."""
    if annotation is Any:
        return lambda value, where: value
    if dataclasses.is_dataclass(annotation):
        return _dataclass_reader(typing.cast(type, annotation))
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is list:
        return _list_reader(arguments[0])
    if origin is dict:
        return _dict_reader(arguments[0], arguments[1])
    if origin in (types.UnionType, typing.Union):
        return _union_reader(arguments)
    return _scalar_reader(type(None) if annotation is None else annotation)


def _scalar_reader(kind: Any) -> Reader:
    accepted = (int, float) if kind is float else (kind,)

    def read(value: Any, where: str) -> Any:
        if not isinstance(value, accepted) or (kind is not bool and isinstance(value, bool)):
            raise MessageError(f"{where}: {kind.__name__} expected, got {type(value).__name__}")
        return float(value) if kind is float else value

    return read


def _list_reader(item: Any) -> Reader:
    read_item = _reader(item)

    def read(value: Any, where: str) -> Any:
        if not isinstance(value, list):
            raise MessageError(f"{where}: list expected, got {type(value).__name__}")
        return [read_item(entry, f"{where}[{index}]") for index, entry in enumerate(value)]

    return read


def _dict_reader(key: Any, item: Any) -> Reader:
    read_key, read_item = _reader(key), _reader(item)

    def read(value: Any, where: str) -> Any:
        if not isinstance(value, dict):
            raise MessageError(f"{where}: map expected, got {type(value).__name__}")
        return {read_key(name, where): read_item(entry, f"{where}[{name!r}]") for name, entry in value.items()}

    return read


def _union_reader(choices: tuple[Any, ...]) -> Reader:
    readers = [_reader(choice) for choice in choices]

    def read(value: Any, where: str) -> Any:
        failure = MessageError(f"{where}: no choice fits")
        for reader in readers:
            try:
                return reader(value, where)
            except MessageError as error:
                failure = error
        raise failure

    return read


def _dataclass_reader(kind: type) -> Reader:
    hints = typing.get_type_hints(kind)
    fields = [(field.name, _reader(hints[field.name]), _has_default(field)) for field in dataclasses.fields(kind)]

    def read(value: Any, where: str) -> Any:
        if not isinstance(value, dict):
            raise MessageError(f"{where}: map expected, got {type(value).__name__}")
        values = {}
        for name, reader, optional in fields:
            if name in value:
                values[name] = reader(value[name], f"{where}.{name}")
            elif not optional:
                raise MessageError(f"{where}: field {name} is missing")
        return kind(**values)

    return read


def _has_default(field: dataclasses.Field[Any]) -> bool:
    return field.default is not dataclasses.MISSING or field.default_factory is not dataclasses.MISSING
