"""Configuration files: YAML read into dataclasses, every key checked before anything runs.

A dataclass is the schema: its fields are the keys, their annotations the types, their defaults what may be left out. Fields may
be bool, int, float, str, Path, Literal, a dataclass, `X | None`, list[X], tuple[X, ...] and dict[str, X].
"""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

import yaml

from edgefusion.errors import UserError

Schema = TypeVar("Schema")


def read(path: Path, schema: type[Schema], overrides: Sequence[str] = ()) -> Schema:
    """The one document of the YAML file `path` as a `schema`; `overrides` are KEY=VALUE, a nested key written a.b."""
    documents = read_documents(path)
    if len(documents) != 1:
        raise UserError(f"{path}: has {len(documents)} documents; this command takes a file of one")
    return parse(documents[0], schema, str(path), overrides)


def read_documents(path: Path) -> list[dict[str, Any]]:
    """The documents of a YAML file, each a mapping; empty ones are left out."""
    try:
        documents = list(yaml.safe_load_all(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror or error})") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: is not YAML ({' '.join(str(error).split())})") from None
    kept = [document for document in documents if document is not None]
    for document in kept:
        if not isinstance(document, dict):
            raise UserError(f"{path}: expected keys with values (key: value), found {_name_of(document)}")
    return kept


def parse(values: dict[str, Any], schema: type[Schema], where: str, overrides: Sequence[str] = ()) -> Schema:
    """`values` as a `schema`; `where` names their origin in errors."""
    merged = _copied(values)
    for override in overrides:
        _override(merged, override)
    return _convert(merged, schema, where, "")


def as_dict(config: Any) -> dict[str, Any]:  # noqa: ANN401 - any dataclass
    """A configuration as JSON and YAML hold it (paths as text, tuples as lists): parse(as_dict(c)) == c."""

    def plain(value: Any) -> Any:  # noqa: ANN401 - any JSON value
        if isinstance(value, dict):
            return {key: plain(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [plain(item) for item in value]
        return str(value) if isinstance(value, Path) else value

    return plain(dataclasses.asdict(config))


def _copied(value: Any) -> Any:  # noqa: ANN401 - any YAML value
    return {key: _copied(item) for key, item in value.items()} if isinstance(value, dict) else value


def _override(values: dict[str, Any], override: str) -> None:
    name, equals, text = override.partition("=")
    if not equals or not name:
        raise UserError(f"--set {override}: expected KEY=VALUE")
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError:
        raise UserError(f"--set {override}: the value is not YAML") from None
    *outer, last = name.split(".")
    for key in outer:
        if values.get(key) is None:
            values[key] = {}
        values = values[key]
        if not isinstance(values, dict):
            raise UserError(f"--set {override}: {key} has no keys of its own")
    values[last] = value


def _name_of(value: Any) -> str:  # noqa: ANN401 - any YAML value
    if value is None:
        return "nothing"
    names = {bool: "a truth value", int: "a whole number", float: "a number", str: "text", list: "a list", dict: "keys"}
    return f"{names.get(type(value), type(value).__name__)} ({str(value)[:40]})"


def _fail(where: str, key: str, expected: str, value: Any) -> typing.NoReturn:  # noqa: ANN401 - any YAML value
    raise UserError(f"{where}: {key or 'the document'}: expected {expected}, found {_name_of(value)}")


def _convert(value: Any, kind: Any, where: str, key: str) -> Any:  # noqa: ANN401 - a type, and a value of it
    if dataclasses.is_dataclass(kind):
        return _convert_keys(value, kind, where, key)
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        return _convert_optional(value, arguments, where, key)
    if origin is typing.Literal:
        if value not in arguments or isinstance(value, bool):
            _fail(where, key, " or ".join(str(choice) for choice in arguments), value)
        return value
    if origin in (list, tuple):
        if not isinstance(value, list | tuple):
            _fail(where, key, "a list", value)
        return origin(_convert(item, arguments[0], where, f"{key}[{index}]") for index, item in enumerate(value))
    if origin is dict:
        if not isinstance(value, dict):
            _fail(where, key, "keys with values", value)
        return {str(name): _convert(item, arguments[1], where, f"{key}.{name}") for name, item in value.items()}
    return _convert_scalar(value, kind, where, key)


def _convert_scalar(value: Any, kind: Any, where: str, key: str) -> Any:  # noqa: ANN401 - a type, and a value of it
    if kind is typing.Any:
        return value
    if kind is Path and isinstance(value, str):
        return Path(value)
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if kind is float and isinstance(value, str):
        # YAML 1.1 reads 5e-5, without a point, as text.
        try:
            return float(value)
        except ValueError:
            pass
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        expected = {bool: "true or false", int: "a whole number", float: "a number", str: "text", Path: "a path"}
        _fail(where, key, expected.get(kind, str(kind)), value)
    return value


def _convert_optional(value: Any, kinds: tuple, where: str, key: str) -> Any:  # noqa: ANN401 - a value of one of the types
    if value is None and type(None) in kinds:
        return None
    choices = [kind for kind in kinds if kind is not type(None)]
    for kind in choices[:-1]:
        try:
            return _convert(value, kind, where, key)
        except UserError:
            continue
    return _convert(value, choices[-1], where, key)


def _convert_keys(value: Any, schema: type, where: str, key: str) -> Any:  # noqa: ANN401 - an instance of the dataclass
    if not isinstance(value, dict):
        _fail(where, key, "keys with values", value)
    kinds = typing.get_type_hints(schema)
    fields = {field.name: field for field in dataclasses.fields(schema) if field.init}
    prefix = f"{key}." if key else ""
    for name in value:
        if name not in fields:
            raise UserError(f"{where}: unknown key {prefix}{name}; the keys are {', '.join(fields)}")
    for name, field in fields.items():
        required = field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
        if required and name not in value:
            raise UserError(f"{where}: the key {prefix}{name} is missing")
    converted = {name: _convert(item, kinds[name], where, prefix + name) for name, item in value.items()}
    try:
        return schema(**converted)
    except ValueError as error:
        raise UserError(f"{where}: {prefix}{error}") from None
