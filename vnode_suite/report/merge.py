"""Joins the runs of several jobs, or the shards of one, into one report."""

from __future__ import annotations

import heapq
import json
import shutil
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vnode_suite.core.errors import UsageError
from vnode_suite.core.ledger import Event, merge, read
from vnode_suite.data.catalogue import Catalogue
from vnode_suite.model import Language
from vnode_suite.report.render import Rendered, ledgers, render

#: What the parts of one acceptance run were all asked for; one verdict over different questions would mean
#: nothing.
SAME = (
    "suite_version",
    "page_revision",
    "profile",
    "cloud",
    "site",
    "region",
    "selection",
    "strict_should",
    "controls",
)


@dataclass(frozen=True, slots=True)
class _Part:
    name: str
    folder: Path
    ledgers: tuple[Path, ...]
    run: Event
    cells: frozenset[str]


def merge_runs(
    sources: Sequence[Path], into: Path, catalogue: Catalogue, language: Language | None = None
) -> Rendered:
    """Write one ledger and its reports from those of several jobs.

    :param sources: folders of runs, or ledgers.
    :param into: a folder that has no ledger yet.
    :raises UsageError: the parts were not asked for the same (suite version, page revision, profile, ...),
        judged the same cell twice, or one of them holds no run.
    """
    parts = [_part(source) for source in sources]
    _refuse(parts, into)
    into.mkdir(parents=True, exist_ok=True)
    with (into / "events.jsonl").open("w", encoding="utf-8") as stream:
        for event in _joined(parts):
            stream.write(json.dumps(event, ensure_ascii=False, separators=(",", ":")) + "\n")
    for part in parts:
        evidence = part.folder / "evidence"
        if evidence.is_dir():
            shutil.copytree(evidence, into / "evidence" / part.name, dirs_exist_ok=True)
    return render(into, catalogue, language)


def _part(source: Path) -> _Part:
    files = tuple(ledgers(source))
    run: Event = {}
    cells: set[str] = set()
    for file in files:
        for event in read(file):
            if event.get("type") == "run-started" and not run:
                run = event
            elif event.get("type") == "cell-started":
                cells.add(str(event.get("cell")))
    if not run:
        raise UsageError(f"{source.name} holds no run", wanted="a ledger with a run-started event")
    name = str(run.get("run_id") or source.name)
    return _Part(name, source if source.is_dir() else source.parent, files, run, frozenset(cells))


def _refuse(parts: Sequence[_Part], into: Path) -> None:
    if not parts:
        raise UsageError("there is nothing to merge", wanted="folders of runs")
    if any((into / name).exists() for name in ("events.jsonl", "report.json")):
        raise UsageError(f"{into.name} holds a run already", wanted="an empty folder to write to")
    first = parts[0]
    for other in parts[1:]:
        for field in SAME:
            one, another = _asked(first.run, field), _asked(other.run, field)
            if one != another:
                raise UsageError(
                    f"{first.name} and {other.name} differ in {field.replace('_', ' ')}",
                    wanted=f"the same in all of them, as in {first.name}: {one}",
                    found=str(another),
                    remedy="merge only jobs of one acceptance run; compare others with report diff",
                )
    _refuse_twice(parts)


def _asked(run: Event, field: str) -> Any:
    value = run.get(field)
    return sorted(value) if isinstance(value, list) else value


def _refuse_twice(parts: Sequence[_Part]) -> None:
    owner: dict[str, str] = {}
    names: set[str] = set()
    for part in parts:
        if part.name in names:
            raise UsageError(f"run {part.name} is given twice", wanted="each run once")
        names.add(part.name)
        for cell in sorted(part.cells):
            if cell in owner:
                raise UsageError(
                    f"cell {cell} was judged twice, in {owner[cell]} and in {part.name}",
                    wanted="each cell once",
                )
            owner[cell] = part.name


def _joined(parts: Iterable[_Part]) -> Iterator[Event]:
    """All events in order of time; each shard is named after its run, so that its numbers stay unique."""

    def renamed(part: _Part) -> Iterator[Event]:
        for event in merge(part.ledgers):
            yield {**event, "shard": f"{part.name}/{event.get('shard') or 'main'}"}

    return heapq.merge(*(renamed(part) for part in parts), key=lambda event: str(event.get("at", "")))
