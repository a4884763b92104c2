"""How long the reports of the full matrix take, and how much memory a ledger of 200,000 events needs.

Run it as ``python benchmarks/report_rendering.py``. The run is made up: ten versions, two identities, every
clause of the catalogue with evidence and a negative control. Figures are the best of five, in seconds of wall
time.
"""

from __future__ import annotations

import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[1] / "tests" / "report")]

import stories  # noqa: E402  (found by the path above)

from vnode_suite.core.ledger import Event, Ledger, read  # noqa: E402
from vnode_suite.core.secrets import Registry, Secret  # noqa: E402
from vnode_suite.report.document import build  # noqa: E402
from vnode_suite.report.html import render_html  # noqa: E402
from vnode_suite.report.json_report import render_json  # noqa: E402
from vnode_suite.report.junit import render_junit  # noqa: E402

#: The most that rendering the page of the full matrix may take, in seconds.
PAGE_LIMIT_SECONDS = 1.0
#: The most that reading 200,000 events may add to the process, in MiB.
MEMORY_LIMIT_MIB = 100
EVENTS = 200_000


def best_of(times: int, work: Callable[[], object]) -> float:
    """Seconds that the fastest of several tries took."""
    best = float("inf")
    for _ in range(times):
        began = time.perf_counter()
        work()
        best = min(best, time.perf_counter() - began)
    return best


def many_events(path: Path) -> Iterator[Event]:
    """The matrix's events, with as many more of waiting as make 200,000."""
    told = list(read(path))
    yield from told[:-1]
    for number in range(EVENTS - len(told)):
        yield {
            "seq": number,
            "at": told[-2]["at"],
            "shard": "main",
            "type": "waiting",
            "cell": "1.22-bootstrap",
            "for": "x",
        }
    yield told[-1]


def main() -> int:
    """Measure, print, and end 1 if a limit is passed."""
    with tempfile.TemporaryDirectory() as folder:
        story = stories.matrix(Path(folder) / "events.jsonl")
        path = story.tell()
        first = time.perf_counter()
        report = build(read(path), story.catalogue)
        page = render_html(report)
        first = time.perf_counter() - first
        figures = {
            "events in the ledger": sum(1 for _ in read(path)),
            "rows": len(report.results),
            "events to page, first time (templates compiled)": first,
            "events to report": best_of(5, lambda: build(read(path), story.catalogue)),
            "report to page": best_of(5, lambda: render_html(report)),
            "report to JSON": best_of(5, lambda: render_json(report)),
            "report to JUnit": best_of(5, lambda: render_junit(report)),
            "page, MB": len(page.encode()) / 1e6,
        }
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        figures["200,000 events to report"] = best_of(1, lambda: build(many_events(path), story.catalogue))
        more = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
        figures["memory that they added, MiB"] = more
        figures |= redaction(Path(folder))
    for name, value in figures.items():
        print(f"{name:50} {value:10.3f}" if isinstance(value, float) else f"{name:50} {value:10}")
    return int(first > PAGE_LIMIT_SECONDS or more > MEMORY_LIMIT_MIB)


def redaction(folder: Path) -> dict[str, float]:
    """Writing and redacting, with as many secrets known as a matrix has."""
    registry = Registry()
    for number in range(60):
        Secret(f"{number:06x}.{number * 7919:016x}", "bootstrap-token", registry)
        Secret("eyJ" + f"{number:04d}" * 200, "jwt", registry)
    text = (
        "I0301 08:00:00.123456 1 node.go:17] Node cn-shanghai.vnd-2zeexample is Ready, conditions updated\n"
    ) * 10_000
    with Ledger(folder / "more.jsonl", registry) as ledger:
        small = best_of(
            3, lambda: [ledger.write("note", text="Node is Ready", detail="x" * 80) for _ in range(1000)]
        )
    return {
        "redaction of a log, MB/s": len(text) / 1e6 / best_of(3, lambda: registry.redact(text)),
        "writing an event, microseconds": small * 1e3,
    }


if __name__ == "__main__":
    raise SystemExit(main())
