"""The corpus: every known text is named rightly, no other text is named at all."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest

from vnode_suite.data.causes import load_causes
from vnode_suite.diagnosis import diagnose

_CORPUS: dict[str, list[dict[str, Any]]] = tomllib.loads(
    Path(__file__).with_name("corpus.toml").read_text(encoding="utf-8")
)
KNOWN = _CORPUS["known"]
UNKNOWN = _CORPUS["unknown"]


def test_the_corpus_is_large_and_half_of_it_is_foreign() -> None:
    """At least 150 different texts, half of them near-misses or of other components."""
    texts = {row["text"] for row in (*KNOWN, *UNKNOWN)}
    assert len(texts) == len(KNOWN) + len(UNKNOWN) >= 150
    assert len(UNKNOWN) >= len(KNOWN)


def numbered(rows: list[dict[str, Any]], key: str) -> list[Any]:
    """Parameters whose ids are the same in every process."""
    return [pytest.param(row, id=f"{number:03}-{row[key]}") for number, row in enumerate(rows)]


@pytest.mark.parametrize("row", numbered(KNOWN, "cause"))
def test_a_known_text_is_named_as_its_cause(row: dict[str, Any]) -> None:
    """The first cause is the right one, documented exactly where the page has it, and nothing is unknown."""
    found = diagnose([row["text"]])
    assert found.causes[0].cause == row["cause"]
    assert found.causes[0].documented is row.get("documented", False)
    assert found.causes[0].matched == row["text"]
    assert found.unknown == ()


@pytest.mark.parametrize("row", numbered(UNKNOWN, "from"))
def test_a_foreign_text_is_shown_raw(row: dict[str, Any]) -> None:
    """A near-miss or another component's text leads to no cause and comes back as it was."""
    found = diagnose([row["text"]])
    assert found.causes == ()
    assert found.unknown == (row["text"],)


def test_precision_on_documented_events_is_one() -> None:
    """Whatever is called documented is one of the page's two events, over the whole corpus."""
    named = {
        row["text"]: cause.cause
        for row in (*KNOWN, *UNKNOWN)
        for cause in diagnose([row["text"]]).causes
        if cause.documented
    }
    wanted = {row["text"]: row["cause"] for row in KNOWN if row.get("documented")}
    assert named == wanted
    assert set(wanted.values()) == {"api-server-unreachable", "dns-no-such-host"}


def test_every_cause_that_a_text_can_tell_has_one_in_the_corpus() -> None:
    """No cause is without an example; only the one that needs other knowledge has no text of its own."""
    shown = {row["cause"] for row in KNOWN}
    assert {cause.name for cause in load_causes() if cause.rules} == shown
    assert {cause.name for cause in load_causes() if not cause.rules} == {"dns-wrong-address"}
