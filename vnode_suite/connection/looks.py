"""Which looks see the same whichever identity they are taken with."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

Look = TypeVar("Look", bound=Callable[..., Any])

_OF_THE_VERSION: set[Callable[..., Any]] = set()


def of_the_version(look: Look) -> Look:
    """Mark *look* as one that sees nothing of the identity: what it sees holds for every cell of a version."""
    _OF_THE_VERSION.add(look)
    return look


def is_of_the_version(look: Callable[..., Any]) -> bool:
    """Whether *look* was marked so."""
    return look in _OF_THE_VERSION
