"""Errors of the emulated service: a code of the table of behaviours, with its HTTP status."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Literal


@dataclass(frozen=True, slots=True)
class Code:
    """One error code of the service."""

    name: str
    http: int
    message: str
    basis: Literal["confirmed", "inferred"]
    source: str


@dataclass(frozen=True, slots=True)
class Behaviour:
    """Something the emulator does that no error code shows."""

    name: str
    what: str
    basis: Literal["confirmed", "inferred"]
    source: str


@cache
def _table() -> dict[str, Any]:
    return tomllib.loads(files(__package__).joinpath("behaviours.toml").read_text("utf-8"))


@cache
def codes() -> Mapping[str, Code]:
    """Every code the emulator answers by itself or on demand, by name."""
    return {row["name"]: Code(**row) for row in _table()["code"]}


@cache
def behaviours() -> tuple[Behaviour, ...]:
    """What the emulator assumes or copies, each with its basis."""
    return tuple(Behaviour(**row) for row in _table()["behaviour"])


def inferred() -> list[str]:
    """Names of the codes and behaviours that no document confirms."""
    found = [code.name for code in codes().values() if code.basis == "inferred"]
    return sorted([*found, *(row.name for row in behaviours() if row.basis == "inferred")])


class ApiError(Exception):
    """An answer other than 200.

    :param code: a name of the table; ``Missing<Parameter>`` stands for the row ``Missing*``.
    :param message: text instead of the table's.
    :param status: HTTP status instead of the table's.
    :param headers: extra response headers.
    :param extra: extra fields of the error body.
    """

    def __init__(
        self,
        code: str,
        *,
        message: str | None = None,
        status: int | None = None,
        headers: Mapping[str, str] | None = None,
        extra: Mapping[str, Any] | None = None,
        **texts: str,
    ) -> None:
        row = codes().get(code) or (codes()["Missing*"] if code.startswith("Missing") else None)
        self.code = code
        self.status = status if status is not None else (row.http if row else 400)
        template = message if message is not None else (row.message if row else code)
        self.message = template if message is not None else _fill(template, texts)
        self.headers = dict(headers or {})
        self.extra = dict(extra or {})
        super().__init__(f"{self.code} ({self.status}): {self.message}")


def _fill(template: str, texts: Mapping[str, str]) -> str:
    for name in ("parameter", "detail"):
        template = template.replace("{" + name + "}", texts.get(name, "").strip())
    return template.rstrip(": ").strip()


def missing(parameter: str) -> ApiError:
    """A parameter that the action requires was not sent."""
    return ApiError(f"Missing{parameter.replace('.', '')}", parameter=parameter)


def invalid(parameter: str, detail: str) -> ApiError:
    """A parameter that was sent breaks a rule of the action."""
    return ApiError("InvalidParameter", parameter=parameter, detail=detail)
