"""Templates: matched whole, in linear time, whatever the text."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vnode_suite.data.causes import load_causes
from vnode_suite.diagnosis import patterns
from vnode_suite.diagnosis.patterns import LONGEST, compile_template, match, normalised

TEMPLATES = [text for cause in load_causes() for rule in cause.rules for text in rule.texts]


def test_a_field_that_is_not_known_is_refused() -> None:
    """A misspelt field in the table is found when it is compiled."""
    with pytest.raises(ValueError, match="unknown field <hots>"):
        compile_template("lookup <hots>: no such host")


def test_fields_of_one_kind_are_numbered() -> None:
    """The second field of a kind has its own name."""
    found = compile_template("<time> is after <time>").tail.fullmatch(
        "2024-03-01T08:00:00Z is after 2024-02-01T00:00:00Z"
    )
    assert found is not None
    assert found.groupdict() == {"time": "2024-03-01T08:00:00Z", "time_2": "2024-02-01T00:00:00Z"}


def test_every_template_is_anchored_at_both_ends() -> None:
    """No known text is still known with a word before or behind it."""
    for text in (
        "Unauthorized",
        "QuotaExceeded",
        "failed to bootstrap: tls: private key does not match public key",
    ):
        assert match(text) is not None
        assert match(f"then {text}") is None
        assert match(f"{text} then") is None


def _nodes(parsed: Any, atomic: bool) -> Iterator[tuple[str, bool, Any]]:
    """Each operation of a parsed pattern: name, whether it stands right inside an atomic group, argument."""
    for operation, argument in parsed:
        name = str(operation)
        yield name, atomic, argument
        if name in ("MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT"):
            yield from _nodes(argument[2], name == "POSSESSIVE_REPEAT")
        elif name == "ATOMIC_GROUP":
            yield from _nodes(argument, True)
        elif name == "SUBPATTERN":
            yield from _nodes(argument[3], False)
        elif name == "BRANCH":
            for branch in argument[1]:
                yield from _nodes(branch, False)
        elif name in ("ASSERT", "ASSERT_NOT"):
            yield from _nodes(argument[1], False)


@pytest.mark.parametrize(
    "pattern", [*(head.pattern for head in patterns._HEADS.values()), patterns._CODE.pattern]
)
def test_heads_and_codes_cannot_backtrack(pattern: str) -> None:
    """What is matched for every text gives nothing back."""
    assert_no_backtracking(pattern)


@pytest.mark.parametrize("template", TEMPLATES)
def test_no_template_can_backtrack(template: str) -> None:
    """Every repetition of a varying length is possessive and every choice is atomic."""
    assert_no_backtracking(compile_template(template).tail.pattern)


def assert_no_backtracking(pattern: str) -> None:
    """Fails if *pattern* has a place to which a matcher could come back."""
    parser = re._parser  # type: ignore[attr-defined]
    for name, atomic, argument in _nodes(parser.parse(pattern), False):
        assert name != "MIN_REPEAT", pattern
        assert name != "MAX_REPEAT" or argument[0] == argument[1], (pattern, argument)
        assert name != "BRANCH" or atomic, pattern


#: Texts that begin as a known one and then repeat what a field takes, so that each field runs to its bound.
ADVERSARIES = {
    "lead": "failed to " + "a " * 2000,
    "leads": "failed to a: " * 300,
    "path": 'failed to get kubernetes server version, Get "https://h:6443/version' + "/a" * 1900,
    "colons": "Get https://h:6443/api" + ":a" * 1900,
    "names": 'Get "https://h:6443/version": x509: certificate is valid for ' + "a, " * 1200,
    "nots": 'Get "https://h:6443/version": x509: certificate is valid for ' + "a, not " * 500,
    "host": 'Get "https://' + "a." * 1900,
    "lookup": 'Get "https://h/version": dial tcp: lookup ' + "a" * 3900,
    "quotes": '\\"' * 2000,
    "objects": "failed to " + "a." * 1000 + ' is forbidden: User "' + "b" * 1900,
    "code": "Ab" + ".Cd" * 1300,
    "spaces": " " * LONGEST,
    "parens": 'Get "https://h:6443/version": an error on the server (' + "(" * 3900,
}


@pytest.mark.parametrize("name", ADVERSARIES)
def test_hostile_texts_are_looked_at_in_linear_time(name: str) -> None:
    """The longest text of each hostile kind takes milliseconds, and a quarter of it no more than that."""
    match("warm")
    text = ADVERSARIES[name][:LONGEST]
    assert len(text) > 2000
    whole, quarter = _best(text), _best(text[: len(text) // 4])
    assert whole < 0.05
    # Linear is a factor of four; a quadratic matcher would show sixteen. Below 2 ms the clock says nothing.
    assert whole < max(10 * quarter, 0.002)


def test_a_text_beyond_the_longest_is_not_looked_at() -> None:
    """A text of a megabyte is unknown at once."""
    began = time.process_time()
    assert match("failed to " + "a" * 1_000_000) is None
    assert time.process_time() - began < 0.01


@settings(deadline=None)
@given(st.text(max_size=300))
def test_no_text_breaks_the_matcher(text: str) -> None:
    """Whatever the text, there is an answer, and spaces around it change nothing."""
    assert (match(text) is None) == (match(f"  {text}\n") is None)


@settings(deadline=None)
@given(st.sampled_from(TEMPLATES), st.text(alphabet='aA0 ."\\:/()-', max_size=80))
def test_no_tail_of_a_known_beginning_breaks_the_matcher(template: str, tail: str) -> None:
    """Beginnings of known texts with anything behind them are answered."""
    start = (
        template.replace("<request>", 'Get "https://h/version": ')
        .replace("<lead>", "failed to x: ")
        .split("<")[0]
    )
    found = match(start + tail)
    assert found is None or found.cause.name in load_causes().names


def test_quotes_and_spaces_are_brought_into_one_form() -> None:
    """Escaped, doubly escaped and bent quotes, wrapped lines and a quoted whole are one text."""
    plain = 'Get "https://h/version": EOF'
    for spelt in (
        'Get \\"https://h/version\\": EOF',
        'Get \\\\\\"https://h/version\\\\\\": EOF',
        "Get “https://h/version”: EOF",
        ' Get  "https://h/version":\n\tEOF ',
        '"Get \\"https://h/version\\": EOF"',
    ):
        assert normalised(spelt) == plain


def _best(text: str) -> float:
    """Seconds of the fastest of five looks at *text*."""

    def once() -> float:
        began = time.process_time()
        match(text)
        return time.process_time() - began

    return min(once() for _ in range(5))
