"""All reports of a run, written from its ledger: also afterwards, also of a run that was killed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from vnode_suite.core.errors import UsageError
from vnode_suite.core.ledger import Event, merge
from vnode_suite.core.secrets import REGISTRY, Hit, Registry
from vnode_suite.data.catalogue import Catalogue
from vnode_suite.model import Language
from vnode_suite.report.collect import Collected, collect
from vnode_suite.report.ctrf import write_ctrf
from vnode_suite.report.document import build
from vnode_suite.report.html import write_html
from vnode_suite.report.integrity import digests_of, files_of, seal
from vnode_suite.report.json_report import write_json
from vnode_suite.report.junit import write_junit
from vnode_suite.report.types import Report


@dataclass(frozen=True, slots=True)
class Rendered:
    """A report and where it was written."""

    report: Report
    folder: Path
    json: Path
    html: Path
    junit: Path
    ctrf: Path
    statement: Path
    #: Secrets that were found in the finished files; the report then says error.
    leaks: tuple[Hit, ...] = ()

    @property
    def paths(self) -> tuple[Path, ...]:
        """Every file written."""
        return self.json, self.html, self.junit, self.ctrf, self.statement


def ledgers(source: Path) -> list[Path]:
    """The ledger's files at *source*: itself, or in a folder ``events.jsonl`` and the shards
    ``events-*.jsonl``.

    :raises UsageError: there is none.
    """
    if source.is_file():
        return [source]
    found = [*source.glob("events.jsonl"), *sorted(source.glob("events-*.jsonl"))]
    if not found:
        raise UsageError(
            "there is no ledger to render",
            wanted="events.jsonl",
            found=f"nothing of that name in {source.name}/",
        )
    return found


def render(
    source: Path,
    catalogue: Catalogue,
    language: Language | None = None,
    *,
    into: Path | None = None,
    events: Iterable[Event] | None = None,
    registry: Registry = REGISTRY,
) -> Rendered:
    """Write ``report.json``, ``report.html``, ``junit.xml``, ``ctrf.json`` and the statement of a run.

    :param source: its folder, or a ledger.
    :param language: of the page as it opens, of JUnit and of CTRF; the run's own by default.
    :param into: folder to write to; the ledger's own by default.
    :param events: read instead of the ledger in *source*.
    :param registry: every finished file is scanned for the secrets that it knows and for their shapes; a find
        makes the run an error.
    """
    folder = into or (source if source.is_dir() else source.parent)
    folder.mkdir(parents=True, exist_ok=True)
    told = collect(merge(ledgers(source)) if events is None else events)
    rendered = _write(folder, told, catalogue, language)
    leaks = tuple(hit for path in files_of(folder, rendered=True).values() for hit in registry.scan(path))
    if not leaks:
        return rendered
    told.problems.extend(_problem(hit, folder) for hit in leaks)
    return replace(_write(folder, told, catalogue, language), leaks=leaks)


def _write(folder: Path, told: Collected, catalogue: Catalogue, language: Language | None) -> Rendered:
    report = build(told, catalogue, digests_of(folder))
    chosen: Language = language or ("zh" if report.run.language == "zh" else "en")
    rendered = Rendered(
        report=report,
        folder=folder,
        json=write_json(report, folder / "report.json"),
        html=write_html(report, folder / "report.html", chosen),
        junit=write_junit(report, folder / "junit.xml", chosen),
        ctrf=write_ctrf(report, folder / "ctrf.json", chosen),
        statement=folder / "statement.intoto.json",
    )
    seal(folder, report)
    return rendered


def _problem(hit: Hit, folder: Path) -> Event:
    name = hit.path.relative_to(folder).as_posix() if hit.path else "?"
    place = f"{hit.length} characters at {hit.offset}"
    message = f"a secret ({hit.kind}) is in {name}, {place}: delete the file, replace the secret"
    return {"type": "harness-error", "where": "scan of the finished files", "message": message}
