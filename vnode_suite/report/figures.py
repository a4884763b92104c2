"""The pictures of a report, as SVG: the timeline of a join in lanes, and the time to Ready by version."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from markupsafe import Markup, escape

from vnode_suite.model import Text
from vnode_suite.report.types import CellReport, TimelineEntry

LANES: tuple[tuple[str, Text], ...] = (
    ("cloud", Text("Cloud", "云")),
    ("cluster", Text("Cluster", "集群")),
    ("network", Text("Network", "网络")),
    ("suite", Text("Suite", "套件")),
)

# All lengths in units of the drawing; 960 is the width of the text column of the report in CSS pixels.
_WIDTH = 960
_LEFT = 92
_RIGHT = 24
_LANE = 54
_TOP = 14
_RADIUS = 10
_BAR = 16
_BAR_STEP = 24


@dataclass(frozen=True, slots=True)
class Mark:
    """One numbered entry of a timeline."""

    number: int
    #: Since the first entry.
    seconds: float
    entry: TimelineEntry


def marks(entries: Sequence[TimelineEntry]) -> tuple[Mark, ...]:
    """Entries in order of time, numbered, with their distance from the first."""
    ordered = sorted(entries, key=lambda entry: entry.at)
    if not ordered:
        return ()
    first = _moment(ordered[0].at)
    return tuple(
        Mark(number, (_moment(entry.at) - first).total_seconds(), entry)
        for number, entry in enumerate(ordered, 1)
    )


def _moment(at: str) -> datetime:
    try:
        return datetime.fromisoformat(at.replace("Z", "+00:00"))
    except ValueError:
        return datetime.fromisoformat("1970-01-01T00:00:00+00:00")


def _both(text: Text, **attributes: object) -> str:
    """A `<text>` in each language; the style sheet shows one of them."""
    given = "".join(f' {name.replace("_", "-")}="{escape(value)}"' for name, value in attributes.items())
    if text.en == text.zh:
        return f"<text{given}>{escape(text.en)}</text>"
    return (
        f'<text lang="en"{given}>{escape(text.en)}</text><text lang="zh-CN"{given}>{escape(text.zh)}</text>'
    )


def timeline(told: Sequence[Mark], name: str) -> Markup:
    """The lanes of one join.

    :param name: unique in the document, for the picture's label.
    """
    if not told:
        return Markup("")
    span = max(told[-1].seconds, 0.001)
    scale = (_WIDTH - _LEFT - _RIGHT - 2 * _RADIUS) / span
    height = _TOP + len(LANES) * _LANE + 30
    label = f"{escape(name)}-label"
    parts = [
        f'<svg class="timeline" viewBox="0 0 {_WIDTH} {height}" role="img" aria-labelledby="{label}">',
        f'<title id="{label}">Timeline · 时间线: {escape(name)}</title>',
    ]
    parts += _lanes()
    parts += _axis(span, scale, height)
    parts += _points(told, scale)
    return Markup("".join([*parts, "</svg>"]))  # noqa: S704  (every text above is escaped)


def _lane_y(lane: str) -> float:
    names = [name for name, _ in LANES]
    return _TOP + (names.index(lane) if lane in names else len(names) - 1) * _LANE + _LANE / 2


def _lanes() -> list[str]:
    parts = []
    for number, (lane, title) in enumerate(LANES):
        y = _lane_y(lane)
        if number % 2 == 0:
            parts.append(
                f'<rect class="band" x="0" y="{y - _LANE / 2:g}" width="{_WIDTH}" height="{_LANE}"/>'
            )
        parts.append(f'<line class="lane" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y:g}" y2="{y:g}"/>')
        parts.append(_both(title, x=12, y=f"{y + 5:g}", **{"class": "lane-name"}))
    return parts


def _axis(span: float, scale: float, height: float) -> list[str]:
    step = _nice(span / 8)
    parts = []
    bottom = _TOP + len(LANES) * _LANE
    ticks = int(span / step) + 1
    for tick in range(ticks):
        x = _LEFT + _RADIUS + tick * step * scale
        parts.append(f'<line class="tick" x1="{x:.1f}" x2="{x:.1f}" y1="{_TOP}" y2="{bottom + 4}"/>')
        label = f"{tick * step:g} s"
        parts.append(
            f'<text class="tick-name" x="{x:.1f}" y="{bottom + 20}" text-anchor="middle">{label}</text>'
        )
    return parts


def _nice(rough: float) -> float:
    """A step of the axis that a person would choose, in seconds."""
    size = 0.1
    while True:
        for factor in (1, 2, 5):
            if size * factor >= rough:
                return size * factor
        size *= 10


def _points(told: Sequence[Mark], scale: float) -> list[str]:
    """Numbered discs; one that would cover another of its lane is moved right, with a line to its time."""
    parts: list[str] = []
    last: dict[str, float] = {}
    before: tuple[float, float] | None = None
    for mark in told:
        y = _lane_y(mark.entry.lane)
        true_x = _LEFT + _RADIUS + mark.seconds * scale
        x = max(true_x, last.get(mark.entry.lane, 0.0) + 2 * _RADIUS + 3)
        last[mark.entry.lane] = x
        if before is not None and before[1] != y:
            parts.insert(
                0, f'<line class="thread" x1="{before[0]:.1f}" y1="{before[1]:g}" x2="{x:.1f}" y2="{y:g}"/>'
            )
        before = (x, y)
        if x - true_x > _RADIUS / 2:
            parts.append(
                f'<line class="leader" x1="{true_x:.1f}" y1="{y + _RADIUS + 6:g}" x2="{x:.1f}" y2="{y:g}"/>'
            )
        warning = mark.entry.severity == "warning"
        if warning:
            r = _RADIUS + 3
            parts.append(f'<path class="point warning" d="M{x:.1f} {y - r:g}l{r} {2 * r - 3}h-{2 * r}z"/>')
        else:
            parts.append(f'<circle class="point" cx="{x:.1f}" cy="{y:g}" r="{_RADIUS}"/>')
        offset = 5 if warning else 4
        parts.append(
            f'<text class="number" x="{x:.1f}" y="{y + offset:g}" text-anchor="middle">{mark.number}</text>'
        )
    return parts


def ready_chart(cells: Sequence[CellReport]) -> Markup:
    """Seconds from the creating call to the Node's Ready, a bar a cell; empty for fewer than two."""
    measured = [
        (cell, cell.timings.ready_seconds) for cell in cells if cell.timings.ready_seconds is not None
    ]
    if len(measured) < 2:
        return Markup("")
    most = max(seconds for _, seconds in measured)
    left, right = 190, 70
    scale = (_WIDTH - left - right) / max(most, 0.001)
    height = _TOP + len(measured) * _BAR_STEP + 10
    parts = [
        f'<svg class="bars" viewBox="0 0 {_WIDTH} {height}" role="img" aria-labelledby="ready-label">',
        '<title id="ready-label">Time to Ready by version, in seconds · 各版本就绪耗时（秒）</title>',
    ]
    for number, (cell, seconds) in enumerate(measured):
        y = _TOP + number * _BAR_STEP
        kind = "bar" if cell.identity == "bootstrap" else "bar other"
        parts.append(
            f'<text class="bar-name" x="{left - 12}" y="{y + 13}" text-anchor="end">{escape(cell.id)}</text>'
        )
        parts.append(
            f'<rect class="{kind}" x="{left}" y="{y}" width="{seconds * scale:.1f}" height="{_BAR}"/>'
        )
        parts.append(
            f'<text class="bar-value" x="{left + seconds * scale + 8:.1f}" y="{y + 13}">'
            f"{seconds:.1f} s</text>"
        )
    return Markup("".join([*parts, "</svg>"]))  # noqa: S704  (every text above is escaped)
