"""Waivers: which of them excuse a failure of this run, and which are no longer good."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from vnode_suite.report.types import Row, WaiverUse

_FAILING = ("failed", "could-not-run", "error")
_JUDGED_WELL = ("passed", "info")


@dataclass(frozen=True, slots=True)
class Waiver:
    """A failure that somebody answers for."""

    clause: str
    #: A cell's id, or ``*``.
    cell: str
    reason: str
    owner: str
    #: ISO date; the waiver holds until the end of that day.
    expires: str

    def covers(self, clause: str, cell: str) -> bool:
        """Whether it speaks of this clause in this cell."""
        return self.clause == clause and self.cell in ("*", cell)

    def expired(self, at: str) -> bool:
        """Whether its last day was over at *at* (RFC 3339)."""
        return bool(self.expires) and self.expires[:10] < at[:10]


def waivers_of(run: Mapping[str, Any]) -> tuple[Waiver, ...]:
    """The waivers that a ``run-started`` event lists."""
    return tuple(
        Waiver(
            clause=str(item.get("clause", "")),
            cell=str(item.get("cell") or "*"),
            reason=str(item.get("reason") or ""),
            owner=str(item.get("owner") or ""),
            expires=str(item.get("expires") or ""),
        )
        for item in run.get("waivers") or ()
    )


def waived(
    waivers: Iterable[Waiver], results: Mapping[tuple[str, str], Mapping[str, Any]], at: str
) -> dict[tuple[str, str], str]:
    """Reason by (clause, cell) of the failed results for which a waiver held at *at*."""
    return {
        key: waiver.reason
        for waiver in waivers
        if not waiver.expired(at)
        for key, event in results.items()
        if event.get("status") == "failed" and waiver.covers(*key)
    }


def uses(waivers: Iterable[Waiver], rows: Sequence[Row], at: str) -> tuple[WaiverUse, ...]:
    """What became of each waiver."""
    return tuple(
        WaiverUse(w.clause, w.cell, w.reason, w.owner, w.expires, _state(w, rows, at)) for w in waivers
    )


def _state(waiver: Waiver, rows: Sequence[Row], at: str) -> str:
    if waiver.expired(at):
        return "expired"
    statuses = [row.status.value for row in rows if waiver.covers(row.clause, row.cell)]
    if any(status in _FAILING for status in statuses):
        return "used" if "failed" in statuses else "idle"
    # A waiver for a clause that is not in the catalogue, or that passes, excuses nothing.
    return "stale" if not statuses or any(status in _JUDGED_WELL for status in statuses) else "idle"
