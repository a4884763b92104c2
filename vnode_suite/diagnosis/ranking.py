"""The order of causes when several are named.

1. What was seen last before what was seen earlier: a VNode tries again, and what it overcame is over.
2. A later stage before an earlier one: whoever is told "forbidden" had been let through by network, TLS and
   authentication.
3. What other knowledge points to before what the text alone says.
4. The page's own texts before inferred ones, then the more frequent.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from vnode_suite.data.causes import Cause
from vnode_suite.diagnosis.events import EventText
from vnode_suite.model import Text

#: Events that close together belong to one round of attempts (the service's own time-out is 32 s).
SAME_TIME = timedelta(seconds=60)


@dataclass(frozen=True, slots=True)
class Finding:
    """A cause that one event names."""

    cause: Cause
    documented: bool
    event: EventText
    fields: Mapping[str, str]
    #: Rank of the stage at which the event was written; a better reading of it does not change that.
    stage: int
    #: Why it is not simply what the text says; None where it is.
    because: Text | None = None
    #: 0 for what is known besides the text, 1 for the text's own word, 2 for the rarer reading of it.
    reading: int = 1
    count: int = 1

    def instead(self, cause: Cause, because: Text, *, likelier: bool = True) -> Finding:
        """The same event, read as another cause."""
        return dataclasses.replace(
            self, cause=cause, documented=False, because=because, reading=0 if likelier else 2
        )

    @property
    def last(self) -> datetime | None:
        """When it was last seen; None where that is not known."""
        return max(self.event.seen, default=None)


def ranked(findings: Iterable[Finding], stages: Sequence[str]) -> Iterator[tuple[Finding, Text]]:
    """Each cause once, best first, with the reason for its place."""
    merged = _merged(findings)
    newest = max((finding.last for finding in merged if finding.last), default=None)
    order = sorted(merged, key=lambda finding: _key(finding, newest))
    for place, finding in enumerate(order):
        yield finding, _why(finding, order[place - 1] if place else None, len(order), newest, stages)


def _merged(findings: Iterable[Finding]) -> list[Finding]:
    """One finding a cause: its latest, else its first event, with the counts added up."""
    best: dict[str, Finding] = {}
    counts: dict[str, int] = {}
    for finding in findings:
        name = finding.cause.name
        counts[name] = counts.get(name, 0) + finding.event.count
        known = best.get(name)
        if known is None or _better(finding, known):
            best[name] = finding
    return [dataclasses.replace(finding, count=counts[name]) for name, finding in best.items()]


def _better(finding: Finding, known: Finding) -> bool:
    if finding.documented != known.documented:
        return finding.documented
    return finding.last is not None and (known.last is None or finding.last > known.last)


def _age(finding: Finding, newest: datetime | None) -> int:
    """0 for what was seen in the last round, 1 for what was seen before; without a time it is recent."""
    if newest is None or finding.last is None:
        return 0
    return int(newest - finding.last > SAME_TIME)


def _key(finding: Finding, newest: datetime | None) -> tuple[int, int, int, bool, int]:
    return (
        _age(finding, newest),
        -finding.stage,
        finding.reading,
        not finding.documented,
        -finding.count,
    )


def _why(
    finding: Finding, above: Finding | None, total: int, newest: datetime | None, stages: Sequence[str]
) -> Text:
    if finding.because is not None:
        return finding.because
    if total == 1:
        return Text("the only cause that the events name", "事件只指向这一个原因")
    stage = stages[finding.stage]
    if above is None:
        return Text(
            f"seen last, at the latest stage ({stage}): what comes before it was passed",
            f"最近出现且处于最靠后的阶段（{stage}），说明此前各阶段曾经通过",
        )
    if _age(finding, newest) > _age(above, newest):
        seen = finding.last.isoformat() if finding.last else ""
        return Text(f"seen earlier, last at {seen}", f"较早出现，最后一次为 {seen}")
    if finding.stage < above.stage:
        return Text(
            f"an earlier stage ({stage}): what stands above got past it at least once",
            f"属于更早的阶段（{stage}），排在前面的原因表明它至少曾经通过",
        )
    if finding.reading > above.reading:
        return Text(
            "what the text alone says; what stands above is known besides", "仅凭文本得出；排在前面的另有依据"
        )
    if above.documented and not finding.documented:
        return Text(
            "inferred; what stands above is the page's own text", "属于推断；排在前面的是页面明示的文本"
        )
    return Text(
        f"the same stage, seen {finding.count} times against {above.count}",
        f"同一阶段，出现 {finding.count} 次，少于或等于前者的 {above.count} 次",
    )
