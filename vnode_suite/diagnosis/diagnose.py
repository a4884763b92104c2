"""Which causes a VNode's events name, best first, and why in that order."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from vnode_suite.data.causes import load_causes
from vnode_suite.diagnosis.events import EventText, Facts
from vnode_suite.diagnosis.patterns import match
from vnode_suite.diagnosis.ranking import Finding, ranked
from vnode_suite.diagnosis.refine import refined
from vnode_suite.model import Text


@dataclass(frozen=True, slots=True)
class CauseMatch:
    """A cause that the events name."""

    #: As in `data/causes.toml`.
    cause: str
    #: The clause that it is about.
    clause: str
    #: The page itself gives the text and its meaning; else it is inferred.
    documented: bool
    title: Text
    remedy: Text
    #: The text that named it, as it came.
    matched: str
    #: Why it stands where it stands in the list.
    rank_reason: Text
    #: Clauses whose checks could confirm it or rule it out.
    confirm: tuple[str, ...]
    #: What the text says besides: ``server``, ``address``, ``verb``, ``resource``, ``code``...
    fields: Mapping[str, str] = field(default_factory=dict)
    #: How many events named it.
    count: int = 1

    def as_dict(self) -> dict[str, Any]:
        """As the ledger and `diagnose --json` carry it."""
        return {
            "cause": self.cause,
            "clause": self.clause,
            "documented": self.documented,
            "title": self.title.as_dict(),
            "remedy": self.remedy.as_dict(),
            "matched": self.matched,
            "rank_reason": self.rank_reason.as_dict(),
            "confirm": list(self.confirm),
            "fields": dict(self.fields),
            "count": self.count,
        }


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What events say: causes, best first, and the texts that nobody knows."""

    causes: tuple[CauseMatch, ...] = ()
    #: Raw, in the order in which they came, each once.
    unknown: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """``{"causes": [...], "unknown": [...]}``."""
        return {"causes": [cause.as_dict() for cause in self.causes], "unknown": list(self.unknown)}


def diagnose(events: Iterable[str | EventText], facts: Facts | None = None) -> Diagnosis:
    """The causes that *events* name.

    :param events: texts, or events with their times; events of type ``Normal`` report nothing wrong and are
        left out.
    :param facts: what is known from elsewhere; tells causes apart whose events are the same.
    """
    findings: list[Finding] = []
    unknown: dict[str, None] = {}
    for event in (EventText(each) if isinstance(each, str) else each for each in events):
        if event.type == "Normal" or not (event.text.strip() or event.reason):
            continue
        found = match(event.text, event.reason)
        if found is None:
            unknown[event.text or event.reason] = None
        else:
            finding = Finding(found.cause, found.documented, event, found.fields, found.cause.stage)
            findings += refined(finding, facts or Facts())
    stages = load_causes().stages
    return Diagnosis(tuple(_said(finding, why) for finding, why in ranked(findings, stages)), tuple(unknown))


def _said(finding: Finding, why: Text) -> CauseMatch:
    cause = finding.cause
    return CauseMatch(
        cause=cause.name,
        clause=cause.clause,
        documented=finding.documented,
        title=cause.title,
        remedy=cause.remedy,
        matched=finding.event.text or finding.event.reason,
        rank_reason=why,
        confirm=cause.confirm,
        fields=finding.fields,
        count=finding.count,
    )
