"""Read TOML into frozen dataclasses. Unknown keys are refused, with the nearest known one as a suggestion."""

import dataclasses
import difflib
import re
import reprlib
import textwrap
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar, cast, dataclass_transform, get_args

from pydantic import ConfigDict, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass as pydantic_dataclass

from caloforge.errors import ConfigError

__all__ = ["load", "strict_dataclass", "to_dict", "to_toml"]

T = TypeVar("T")

_UNKNOWN = ("unexpected_keyword_argument", "extra_forbidden")
_WIDTH = 90
_REPR = reprlib.Repr()
_REPR.maxstring = _REPR.maxother = 80
_ARRAY = re.compile(r"= \[\n((?: +[^\[\]{}\n]+,\n)+)\]")  # of numbers or texts


@dataclass_transform(frozen_default=True)
def strict_dataclass(cls: type[T]) -> type[T]:
    """Make a frozen, validated dataclass that refuses unknown keys."""
    config = ConfigDict(extra="forbid", arbitrary_types_allowed=True)
    return cast(type[T], pydantic_dataclass(frozen=True, config=config)(cls))


def load(cls: type[T], source: Path | Mapping[str, Any]) -> T:
    """Build a configuration from a TOML file or a mapping.

    Parameters
    ----------
    cls
        A class made by `strict_dataclass`.
    source
        Path of a TOML file, or its content.

    Raises
    ------
    ConfigError
        The file can't be read, is not TOML, has an unknown key or a value of the wrong kind.
    """
    where, content = _read(source)
    try:
        return TypeAdapter(cls).validate_python(dict(content))
    except ValidationError as error:
        raise ConfigError(f"{where}: {_first_fault(error, cls)}") from None


def to_dict(config: object) -> dict[str, Any]:
    """Turn a configuration into plain values: the inverse of `load` with a mapping."""
    plain: dict[str, Any] = TypeAdapter(type(config)).dump_python(config, mode="json")
    return plain


def to_toml(content: Mapping[str, Any]) -> str:
    """Write plain values as TOML, lists of tables as ``[[name]]``: what `load` reads from a file.

    Examples
    --------
    >>> print(to_toml({"edges": [0.0, 1.0, 2.0]}), end="")
    edges = [0.0, 1.0, 2.0]
    """
    import tomli_w

    return _ARRAY.sub(_in_few_lines, tomli_w.dumps(content))


def _in_few_lines(array: re.Match[str]) -> str:
    """Put the values of an array on one line: tomli_w writes one line per value."""
    values = ", ".join(line.strip().rstrip(",") for line in array[1].splitlines())
    if len(values) < _WIDTH or '"' in values:  # a text must not be broken
        return f"= [{values}]"
    return "= [\n" + textwrap.indent(textwrap.fill(values, _WIDTH), "    ") + ",\n]"


def _read(source: Path | Mapping[str, Any]) -> tuple[str, Mapping[str, Any]]:
    if not isinstance(source, Path):
        return "configuration", source
    try:
        return str(source), tomllib.loads(source.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{source} can't be read: {error.strerror}.") from None
    except RecursionError:
        raise ConfigError(f"{source} is not a TOML file that can be read: it is nested too deeply.") from None
    except ValueError as error:  # not TOML, not UTF-8, or a number of thousands of digits
        raise ConfigError(f"{source} is not a TOML file: {error}.") from None


def _first_fault(error: ValidationError, cls: type) -> str:
    """Return a sentence about the first error."""
    faults = error.errors(include_url=False)
    # A misspelt key is reported both as unknown and as missing; "unknown" is more helpful.
    fault = next((fault for fault in faults if fault["type"] in _UNKNOWN), faults[0])
    keys, known = _followed(cls, fault["loc"])
    key = ".".join(keys)
    if fault["type"] in _UNKNOWN:
        return f"unknown key '{key}'. {_suggestion(keys[-1], known)}"
    if fault["type"] in ("missing", "missing_argument"):
        return f"the key '{key}' is missing."
    message = fault["msg"].removeprefix("Value error, ")
    at = f"'{key}': " if key else ""
    return f"{at}{message}" + ("" if message.endswith(".") else f" (found {_shown(fault['input'])}).")


def _shown(value: object) -> str:
    """Return a value as it would be written, shortened if it is long."""
    try:
        return _REPR.repr(value)
    except ValueError:  # an integer of more digits than Python writes
        return "a number of thousands of digits"


def _suggestion(key: str, known: list[str]) -> str:
    near = difflib.get_close_matches(key, known, n=1)
    return f"Did you mean '{near[0]}'?" if near else f"Known keys: {', '.join(known)}."


def _followed(cls: type, location: tuple[int | str, ...]) -> tuple[list[str], list[str]]:
    """Follow a location through nested dataclasses.

    Returns the keys on the way, without the class names that pydantic adds for alternatives, and the keys
    that are known at its end.
    """
    keys: list[str] = []
    inside: list[Any] = [cls]
    known: list[str] = []
    for part in location:
        chosen = [kind for kind in inside if kind.__name__ == part]
        if chosen:
            inside = chosen
            continue
        keys.append(str(part))
        fields = {f.name: f.type for kind in inside for f in dataclasses.fields(kind)}
        if not isinstance(part, int):
            known = list(fields)
            inside = _dataclasses(fields.get(part))
    return keys, known


def _dataclasses(annotation: Any) -> list[Any]:
    """Return the dataclasses that a type annotation names."""
    if isinstance(annotation, type) and dataclasses.is_dataclass(annotation):
        return [annotation]
    return [found for part in get_args(annotation) for found in _dataclasses(part)]
