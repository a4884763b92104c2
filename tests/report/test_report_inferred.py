"""What the emulator infers is told in the report."""

from __future__ import annotations

from vnode_suite.report.collect import Collected
from vnode_suite.report.limits import limits


def test_what_is_inferred_is_counted_and_named() -> None:
    """In both languages, each once although two versions tell it; nothing is said where nothing is inferred."""
    told = Collected(runs=[{"cloud": "emulator"}])
    without = limits(told, (), ())
    names = ["name-grammar", "placement", "list-order", "tag-filter", "token-lifetime"]
    told.clusters |= {version: {"inferred": names} for version in ("1.13", "1.22")}
    (said,) = [text for text in limits(told, (), ()) if text not in without]
    assert (
        "5 of the emulator's answers and ways are inferred (name-grammar, placement, list-order and 2 more)"
        in said.en
    )
    assert "5 项" in said.zh
