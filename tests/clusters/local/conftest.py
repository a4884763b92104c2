"""Fixtures for the local provider: a store of its own and a release server for each test."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from release_server import ReleaseServer, release_server

from vnode_suite.clusters.local.store import Store


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """An empty store."""
    return Store(tmp_path / "assets")


@pytest.fixture
def releases() -> Iterator[ReleaseServer]:
    """A release server that has 1.22.17."""
    with release_server("1.22.17") as server:
        yield server
