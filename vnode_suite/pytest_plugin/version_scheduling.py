"""Which worker of pytest-xdist runs which item: whole versions, because the cells of one share a control plane."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

#: A worker needs two items to run one (it hands pytest the next one too); one more keeps it from waiting.
#: Not a whole version at once: ``-x`` and the death of a worker should stop what was not begun.
_AHEAD = 3


@dataclass(slots=True)
class _Load:
    """What one worker has to do: positions in the collection."""

    collection: list[str] | None = None
    to_send: deque[int] = field(default_factory=deque)
    sent: deque[int] = field(default_factory=deque)


class VersionScheduling:
    """Deals out whole versions; satisfies xdist's ``Scheduling`` protocol.

    When a worker dies, the rest of its version is dropped: another worker would have to start a second
    control plane, without the steps that came before. Versions that nobody has begun stay for the others.

    :param workers: how many take part at first.
    :param version_of: the version of a node id.
    """

    def __init__(self, workers: int, version_of: Callable[[str], str]) -> None:
        self._workers = workers
        self._version_of = version_of
        self._loads: dict[Any, _Load] = {}
        self._collected = 0
        self._waiting: deque[deque[int]] = deque()
        self.collection: list[str] | None = None
        #: Node ids that nobody will run, with the id of the worker that died.
        self.dropped: dict[str, str] = {}

    @property
    def nodes(self) -> list[Any]:
        """The workers that are alive."""
        return list(self._loads)

    @property
    def collection_is_completed(self) -> bool:
        """Whether as many workers as take part have collected."""
        return self._collected >= self._workers

    @property
    def tests_finished(self) -> bool:
        """Whether everything was handed out and each worker waits only for the word to run its last item."""
        if not self.collection_is_completed or self._waiting:
            return False
        return all(not load.to_send and len(load.sent) < 2 for load in self._loads.values())

    @property
    def has_pending(self) -> bool:
        """Whether anything is still to be run."""
        return bool(self._waiting) or any(load.to_send or load.sent for load in self._loads.values())

    def add_node(self, node: Any) -> None:
        """A worker is there; it has not collected yet."""
        self._loads[node] = _Load()

    def add_node_collection(self, node: Any, collection: Sequence[str]) -> None:
        """A worker has collected."""
        self._loads[node].collection = list(collection)
        self._collected += 1

    def schedule(self) -> None:
        """Give work to every worker that has none."""
        if self.collection is None:
            self.collection = next(
                (c for load in self._loads.values() if (c := load.collection) is not None), []
            )
            versions: dict[str, deque[int]] = {}
            for position, item in enumerate(self.collection):
                versions.setdefault(self._version_of(item), deque()).append(position)
            self._waiting.extend(versions.values())
        for node in self.nodes:
            self._feed(node)

    def mark_test_complete(self, node: Any, item_index: int, duration: float = 0) -> None:
        """A worker has run an item."""
        load = self._loads[node]
        load.sent.remove(item_index)
        self._feed(node)

    def remove_node(self, node: Any) -> str | None:
        """A worker is gone; returns the item that it was running, if it did not end in order."""
        load = self._loads.pop(node)
        # One that ended in order has told its output; it may have been stopped (-x) before its last item.
        if self.collection is None or hasattr(node, "workeroutput") or not (load.sent or load.to_send):
            return None
        lost = [self.collection[position] for position in (*load.sent, *load.to_send)]
        self.dropped.update(dict.fromkeys(lost, node.gateway.id))
        return lost[0]

    def mark_test_pending(self, item: str) -> None:
        """Not done: an item is run once."""
        raise NotImplementedError("an item of an acceptance run is not run again")

    def remove_pending_tests_from_node(self, node: Any, indices: Sequence[int]) -> None:
        """Not done: nothing is taken from a worker."""
        raise NotImplementedError("nothing is taken from a worker")

    def _feed(self, node: Any) -> None:
        load = self._loads[node]
        if load.collection is None or node.shutting_down:
            return
        if load.collection != self.collection:
            # The scenarios were changed meanwhile: positions would mean other items there.
            node.shutdown()
            return
        if not load.to_send and self._waiting:
            load.to_send = self._waiting.popleft()
        if more := [load.to_send.popleft() for _ in range(min(_AHEAD - len(load.sent), len(load.to_send)))]:
            load.sent.extend(more)
            # One that has just died is told of in a moment, and loses these with the others (`remove_node`).
            with suppress(OSError):
                node.send_runtest_some(more)
        if not load.to_send and not self._waiting:
            node.shutdown()
