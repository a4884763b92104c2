"""The one mark of a scenario: the clause that it judges."""

from __future__ import annotations

import pytest


def clause(id: str) -> pytest.MarkDecorator:
    """Mark a scenario as judging the clause *id*; select it with ``-m "clause(id='DS-02')"``."""
    return pytest.mark.clause(id=id)


def clause_of(definition: pytest.Item | pytest.Function) -> str | None:
    """The clause that a test judges, or ``None`` for somebody else's test."""
    mark = definition.get_closest_marker("clause")
    return str(mark.kwargs["id"]) if mark else None
