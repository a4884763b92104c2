"""Waivers: failures that somebody has accepted, for a while and in writing.

A file in TOML, one ``[[waiver]]`` a row:

    [[waiver]]
    clause = "DS-04"
    cell = "*"                    # or the id of one cell, such as "1.19-bootstrap"
    reason = "the log agent is being moved"
    owner = "platform team"
    expires = 2026-12-31          # last day on which it holds (UTC)

A waiver never hides a status, it stands beside it; which of them still excuse something is told by the
report, from the ledger.
"""

from __future__ import annotations

import tomllib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from vnode_suite.core.errors import UsageError
from vnode_suite.data.tables import unknown_name

#: Stands for every cell.
ANY_CELL = "*"
_WORDS = ("clause", "cell", "reason", "owner")
_KEYS = (*_WORDS, "expires")


@dataclass(frozen=True, slots=True)
class Waiver:
    """One accepted failure."""

    clause: str
    #: A cell's id, or ``*``.
    cell: str
    reason: str
    owner: str
    #: Last day on which it holds (UTC).
    expires: date

    def as_dict(self) -> dict[str, str]:
        """As the ledger carries it; the day as ``YYYY-MM-DD``."""
        return {
            "clause": self.clause,
            "cell": self.cell,
            "reason": self.reason,
            "owner": self.owner,
            "expires": self.expires.isoformat(),
        }


def load_waivers(
    path: Path, *, clauses: Collection[str], cells: Collection[str] | None = None
) -> tuple[Waiver, ...]:
    """The waivers in a file.

    :param clauses: ids that there are; an unknown one is refused.
    :param cells: ids that there are; None takes any (a file may serve runs of other cells).
    :raises UsageError: the file cannot be read, or a row is not of the shape above; says which and why.
    """
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"waivers {path} cannot be read", found=error.strerror) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"waivers {path} is no TOML", found=str(error)) from None
    return parse_waivers(table, origin=path.name, clauses=clauses, cells=cells)


def parse_waivers(
    table: Mapping[str, Any], *, origin: str, clauses: Collection[str], cells: Collection[str] | None = None
) -> tuple[Waiver, ...]:
    """The waivers in a parsed table; *origin* names it in errors (see `load_waivers`)."""
    if stray := sorted(set(table) - {"waiver"}):
        raise UsageError(f"{origin}: {', '.join(stray)} is not known", wanted="[[waiver]] rows only")
    records = table.get("waiver", [])
    if not isinstance(records, list) or not all(isinstance(record, dict) for record in records):
        raise UsageError(f"{origin}: waiver is no list of rows", wanted="[[waiver]], one for each row")
    waivers: list[Waiver] = []
    for number, record in enumerate(records, 1):
        waiver = _waiver(record, f"{origin}, waiver {number}")
        _check_names(waiver, f"{origin}, waiver {number}", clauses, cells)
        if any((other.clause, other.cell) == (waiver.clause, waiver.cell) for other in waivers):
            raise UsageError(f"{origin}: {waiver.clause} is waived twice for {waiver.cell}")
        waivers.append(waiver)
    return tuple(waivers)


def _waiver(record: Mapping[str, Any], where: str) -> Waiver:
    missing = [key for key in _KEYS if key not in record]
    stray = sorted(set(record) - set(_KEYS))
    if missing or stray:
        said = [f"{name} is missing" for name in missing] + [f"{name} is not known" for name in stray]
        raise UsageError(f"{where}: {'; '.join(said)}", wanted=", ".join(_KEYS))
    for key in _WORDS:
        if not isinstance(record[key], str) or not record[key].strip():
            raise UsageError(f"{where}: {key} is empty or no text", wanted=f'{key} = "..."')
    return Waiver(
        clause=record["clause"].strip(),
        cell=record["cell"].strip(),
        reason=record["reason"].strip(),
        owner=record["owner"].strip(),
        expires=_day(record["expires"], where),
    )


def _day(value: object, where: str) -> date:
    if isinstance(value, datetime):
        return value.astimezone(UTC).date() if value.tzinfo else value.date()
    if isinstance(value, date):
        return value
    try:
        return date.fromisoformat(str(value))
    except ValueError:
        raise UsageError(
            f"{where}: expires is no day", wanted="expires = 2026-12-31", found=str(value)
        ) from None


def _check_names(waiver: Waiver, where: str, clauses: Collection[str], cells: Collection[str] | None) -> None:
    if waiver.clause not in clauses:
        error = unknown_name("clause", waiver.clause, clauses)
        raise UsageError(f"{where}: {error.summary}", wanted=error.wanted)
    if cells is not None and waiver.cell not in (ANY_CELL, *cells):
        error = unknown_name("cell", waiver.cell, (ANY_CELL, *cells))
        raise UsageError(f"{where}: {error.summary}", wanted=error.wanted)
