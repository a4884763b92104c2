"""Stories as reports."""

from __future__ import annotations

from pathlib import Path

import pytest
import stories

from vnode_suite.core.ledger import read
from vnode_suite.report.document import build


@pytest.fixture
def ledger_path(tmp_path: Path) -> Path:
    """Where a story's ledger is written."""
    return tmp_path / "run" / "events.jsonl"


@pytest.fixture
def told() -> stories.Teller:
    """Tell a story and build its report."""
    return lambda story: build(read(story.tell()), story.catalogue)


@pytest.fixture(params=["passing", "failing", "incomplete", "killed"])
def any_story(request: pytest.FixtureRequest, ledger_path: Path) -> stories.Story:
    """Each kind of run in turn."""
    story: stories.Story = getattr(stories, request.param)(ledger_path)
    return story
