"""Reading the tables that ship with the suite: TOML beside this module, each with a JSON schema.

A table that is not of its schema's shape is a bug of the suite and no user's mistake, so loaders do not
validate; `violations` does, in tests and on demand (importing jsonschema costs more than every table).
"""

from __future__ import annotations

import difflib
import json
import tomllib
from collections.abc import Iterable, Mapping
from importlib import resources
from typing import Any

from vnode_suite.core.errors import UsageError
from vnode_suite.model import Text


def read_table(name: str) -> dict[str, Any]:
    """The parsed table at *name*, such as ``clauses/2024-02.toml``."""
    return tomllib.loads(resources.files("vnode_suite.data").joinpath(name).read_text(encoding="utf-8"))


def read_schema(kind: str) -> dict[str, Any]:
    """The schema of a *kind* of table: ``clauses``, ``defects``, ``causes``, ``deadlines``, ``waivers``."""
    file = resources.files("vnode_suite.data").joinpath(f"schemas/{kind}.schema.json")
    document: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return document


def violations(table: Mapping[str, Any], kind: str) -> list[str]:
    """What of *table* its schema forbids, as ``place: message`` lines; empty where nothing is wrong."""
    import jsonschema

    checker = jsonschema.Draft202012Validator(
        read_schema(kind), format_checker=jsonschema.Draft202012Validator.FORMAT_CHECKER
    )
    errors = sorted(checker.iter_errors(table), key=lambda error: list(map(str, error.absolute_path)))
    return [f"{'.'.join(map(str, error.absolute_path)) or '(top)'}: {error.message}" for error in errors]


def text_of(record: Mapping[str, str] | None) -> Text | None:
    """``{en = ..., zh = ...}`` as a `Text`; None for None."""
    return None if record is None else Text(record["en"], record["zh"])


def unknown_name(what: str, name: str, known: Iterable[str]) -> UsageError:
    """The error that says that there is no *what* called *name*, with what comes near it."""
    names = tuple(known)
    folded = {each.lower(): each for each in names}
    near = [folded[each] for each in difflib.get_close_matches(name.lower(), folded, n=3, cutoff=0.5)]
    return UsageError(
        f"there is no {what} {name!r}",
        wanted=f"such as {', '.join(near)}" if near else f"one of {', '.join(names)}",
    )
