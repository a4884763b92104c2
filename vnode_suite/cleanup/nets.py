"""The nets of one run, so that nothing it made outlives it unnoticed.

1. A step undoes what it made if it fails halfway (`Nets.making`).
2. The scenarios of CLEAN close on purpose and judge what is left (`Nets.close`).
3. Fixtures close again when they are torn down (`Nets.close`, idempotent, never raises).
4. What a killed run left is found in its journal (`vnode_suite.cleanup.sweep`).
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from vnode_suite.cleanup.journal import Entry, Journal, Where
from vnode_suite.cleanup.undo import Left, UndoRegistry


class Nets:
    """What a run made and how it is undone. Thread-safe."""

    def __init__(self, journal: Journal, registry: UndoRegistry) -> None:
        self.journal, self.registry = journal, registry
        self._closing = threading.RLock()

    @contextmanager
    def making(
        self, kind: str, name: str, undo: Mapping[str, Any], *, where: Where = "cluster"
    ) -> Iterator[Entry]:
        """The making of one thing, as a block: written down before, undone at once if the block raises.

        Call `entry.done(...)` inside as soon as it is made; otherwise that is done at the end of the block.
        """
        entry = self.journal.intend(kind, name, undo, where=where)
        try:
            yield entry
        except BaseException:
            self.registry.undo(entry)
            raise
        if entry.state == "intended":
            entry.done()

    def close(self, wanted: Callable[[Entry], bool] = lambda _: True) -> tuple[Left, ...]:
        """Undo everything that `wanted` takes, the last made first, and return what is left.

        Idempotent, and never raises.
        """
        with self._closing:
            return self.registry.undo_all(entry for entry in self.journal.left if wanted(entry))
