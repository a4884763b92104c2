"""Faults as data: what an action is told to do wrong, how often, and when relative to its effect."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Final

#: Kinds of fault, with what each does.
KINDS: Final[Mapping[str, str]] = {
    "error": "answers `code` (and `message`, `status`), without any effect",
    "throttle": "answers Throttling.User (or `code`), with x-acs-retry-after when `retry_after` is given",
    "timeout-before": "has no effect and never answers, for `seconds`",
    "timeout-after": "takes effect and never answers, for `seconds`",
    "reset-before": "has no effect and resets the connection",
    "reset-after": "takes effect and resets the connection",
    "error-after": "takes effect and answers `code` all the same (a gateway's 5xx)",
    "slow": "answers as always, `seconds` late",
    "malformed": "takes effect and answers text that is not JSON",
    "html": "has no effect and answers an HTML page with `status` (a proxy's error)",
    "unseen": "DescribeVirtualNodes shows no VNode younger than `seconds` (eventual consistency)",
    "lingering": "DescribeVirtualNodes still shows a deleted VNode for `seconds`",
}
_AFTER: Final = frozenset({"timeout-after", "reset-after", "error-after", "malformed"})


class FaultError(ValueError):
    """A fault that cannot be carried out as written; says what is allowed."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One rule: the `times` calls of `action` after the first `skip` go wrong by `kind`."""

    action: str
    kind: str
    code: str = ""
    message: str = ""
    #: HTTP status; 0 for the code's own.
    status: int = 0
    #: How many calls go wrong; 0 for every one.
    times: int = 1
    #: How many calls pass before the first goes wrong.
    skip: int = 0
    #: Delay or duration, in seconds.
    seconds: float = 30.0
    #: Value of x-acs-retry-after in milliseconds; 0 for no header.
    retry_after: int = 0
    id: str = ""

    @property
    def takes_effect(self) -> bool:
        """Whether the action is carried out before things go wrong."""
        return self.kind in _AFTER


def parse(row: Mapping[str, Any]) -> Fault:
    """A fault from a table of TOML or JSON."""
    if not isinstance(row, Mapping):
        raise FaultError("a fault is a table of keys and values")
    known = {field.name: field.type for field in fields(Fault)}
    unknown = sorted(row.keys() - known.keys())
    if unknown:
        raise FaultError(f"unknown keys {', '.join(unknown)}; allowed: {', '.join(sorted(known))}")
    for name, value in row.items():
        wanted: tuple[type, ...] = {"int": (int,), "float": (int, float)}.get(str(known[name]), (str,))
        if not isinstance(value, wanted) or isinstance(value, bool):
            raise FaultError(f"{name} must be {known[name]}")
        if isinstance(value, int | float) and not 0 <= value <= 86400:
            raise FaultError(f"{name} must be from 0 to 86400")
    if row.get("kind") not in KINDS:
        raise FaultError(f"kind must be one of {', '.join(KINDS)}")
    if not row.get("action"):
        raise FaultError("action must be the name of an action, or *")
    if row["kind"] in ("error", "error-after") and not row.get("code"):
        raise FaultError(f"kind {row['kind']} needs a code")
    status = int(row.get("status", 0))
    if status and not 400 <= status <= 599:
        raise FaultError("status must be from 400 to 599")
    if not re.fullmatch(r"[A-Za-z0-9_.-]{0,100}", str(row.get("code", ""))):
        raise FaultError("code must be letters, digits, dots, hyphens")
    return Fault(**row)


def load(path: Path) -> tuple[Fault, ...]:
    """Faults from a TOML file: one ``[[fault]]`` each."""
    try:
        table = tomllib.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise FaultError(f"{path.name}: {error}") from None
    rows = table.get("fault", [])
    if table.keys() - {"fault"} or not isinstance(rows, list):
        raise FaultError(f"{path.name}: only [[fault]] tables are allowed")
    return tuple(parse(row) for row in rows)


@dataclass(slots=True)
class _Armed:
    fault: Fault
    seen: int = 0
    fired: int = 0

    @property
    def spent(self) -> bool:
        return self.fault.times > 0 and self.fired >= self.fault.times


class Faults:
    """The rules in force, first match first."""

    def __init__(self, rows: Iterable[Fault] = ()) -> None:
        self._armed: dict[str, _Armed] = {}
        self._next = 1
        for fault in rows:
            self.add(fault)

    def add(self, fault: Fault) -> str:
        """Put a rule in force; answers its id."""
        name = fault.id or f"fault-{self._next}"
        self._next += 1
        self._armed[name] = _Armed(fault)
        return name

    def clear(self, name: str | None = None) -> int:
        """Take one rule away, or all; answers how many."""
        if name is None:
            count = len(self._armed)
            self._armed.clear()
            return count
        return 1 if self._armed.pop(name, None) else 0

    def next_for(self, action: str) -> Fault | None:
        """The fault that this call of the action suffers, counted as used."""
        for armed in self._armed.values():
            if armed.fault.action not in ("*", action) or armed.spent:
                continue
            armed.seen += 1
            if armed.seen > armed.fault.skip:
                armed.fired += 1
                return armed.fault
        return None

    def rows(self) -> list[dict[str, Any]]:
        """Every rule with how often it was seen and fired."""
        return [
            asdict(armed.fault) | {"id": name, "seen": armed.seen, "fired": armed.fired}
            for name, armed in self._armed.items()
        ]
