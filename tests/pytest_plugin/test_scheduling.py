"""How versions are dealt out to workers, without xdist."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from vnode_suite.pytest_plugin.version_scheduling import VersionScheduling

ITEMS = [f"test_{name}[{version}]" for version in ("1.13", "1.14", "1.15") for name in "abcdef"]


class Worker:
    """A worker as the scheduler sees it: runs what it was sent, the last item only when told that it is."""

    def __init__(self, name: str) -> None:
        self.gateway = SimpleNamespace(id=name)
        self.shutting_down = False
        self.queue: list[int] = []
        self.ran: list[int] = []

    def send_runtest_some(self, indices: list[int]) -> None:
        assert not self.shutting_down, "work was sent to a worker that was told to end"
        self.queue += indices

    def shutdown(self) -> None:
        self.shutting_down = True

    @property
    def can_run(self) -> bool:
        """Whether it has an item and knows what comes after."""
        return len(self.queue) > (0 if self.shutting_down else 1)

    def run_one(self, scheduling: VersionScheduling) -> None:
        """Run the next item."""
        self.ran.append(self.queue.pop(0))
        scheduling.mark_test_complete(self, self.ran[-1])


def version_of(item: str) -> str:
    """The version in brackets."""
    return item.partition("[")[2].rstrip("]")


def dealt(workers: list[Worker], items: list[str] = ITEMS) -> VersionScheduling:
    """A scheduler that all workers told their collection."""
    scheduling = VersionScheduling(len(workers), version_of)
    for worker in workers:
        scheduling.add_node(worker)
    for worker in workers:
        scheduling.add_node_collection(worker, items)
    scheduling.schedule()
    return scheduling


def run_to_the_end(scheduling: VersionScheduling, workers: list[Worker]) -> None:
    """Let the workers run side by side, as xdist's session does."""
    while any(worker.can_run for worker in workers):
        for worker in workers:
            if worker.can_run:
                worker.run_one(scheduling)
        if scheduling.tests_finished:
            for worker in workers:
                worker.shutdown()


def versions_of(worker: Worker) -> set[str]:
    """The versions of which a worker ran something."""
    return {version_of(ITEMS[position]) for position in worker.ran}


@pytest.mark.parametrize("count", [1, 2, 3, 5])
def test_each_item_runs_once_and_each_version_on_one_worker(count: int) -> None:
    """However many workers there are."""
    workers = [Worker(f"gw{number}") for number in range(count)]
    scheduling = dealt(workers)
    run_to_the_end(scheduling, workers)
    assert sorted(position for worker in workers for position in worker.ran) == list(range(len(ITEMS)))
    assert sum(len(versions_of(worker)) for worker in workers) == 3
    assert not scheduling.has_pending
    assert not scheduling.dropped


def test_steps_stay_in_order() -> None:
    """A worker runs its version as it was collected."""
    workers = [Worker("gw0"), Worker("gw1")]
    run_to_the_end(dealt(workers), workers)
    assert all(worker.ran == sorted(worker.ran) for worker in workers)


def test_worker_without_a_version_is_sent_home() -> None:
    """With one version, the second worker idles."""
    workers = [Worker("gw0"), Worker("gw1")]
    dealt(workers, ITEMS[:6])
    assert [bool(worker.queue) for worker in workers] == [True, False]
    assert workers[1].shutting_down


def test_not_everything_is_sent_at_once() -> None:
    """What was not sent can be dropped when the run is to stop at a failure."""
    workers = [Worker("gw0"), Worker("gw1")]
    dealt(workers)
    assert all(len(worker.queue) < 6 for worker in workers)


def test_version_of_a_dead_worker_is_dropped_not_moved() -> None:
    """Nobody else runs the rest of it; versions that nobody has begun go on."""
    workers = [Worker("gw0"), Worker("gw1")]
    scheduling = dealt(workers)
    workers[0].run_one(scheduling)
    crashed = scheduling.remove_node(workers[0])
    run_to_the_end(scheduling, workers[1:])
    assert crashed == "test_b[1.13]"
    assert set(scheduling.dropped) == set(ITEMS[1:6])
    assert set(scheduling.dropped.values()) == {"gw0"}
    assert versions_of(workers[1]) == {"1.14", "1.15"}
    assert scheduling.tests_finished


def test_one_that_dies_before_it_can_be_fed_is_a_dead_worker_as_any() -> None:
    """execnet says that nobody listens any more; xdist tells of the death afterwards."""

    class Dying(Worker):
        def send_runtest_some(self, indices: list[int]) -> None:
            if self.ran:
                raise OSError("cannot send (already closed?)")
            super().send_runtest_some(indices)

    dying, other = Dying("gw0"), Worker("gw1")
    scheduling = dealt([dying, other])
    dying.run_one(scheduling)
    assert scheduling.remove_node(dying) == ITEMS[dying.ran[0] + 1]
    run_to_the_end(scheduling, [other])
    lost = {position for position, item in enumerate(ITEMS) if version_of(item) == "1.13"} - {dying.ran[0]}
    assert scheduling.dropped == {ITEMS[position]: "gw0" for position in lost}
    assert sorted(other.ran) == [position for position in range(len(ITEMS)) if position > 5]


def test_replacement_takes_a_version_that_nobody_has_begun() -> None:
    """The worker that xdist starts for a dead one is of use."""
    first, second = Worker("gw0"), Worker("gw1")
    scheduling = dealt([first])
    scheduling.remove_node(first)
    scheduling.add_node(second)
    scheduling.add_node_collection(second, ITEMS)
    scheduling.schedule()
    run_to_the_end(scheduling, [second])
    assert versions_of(second) == {"1.14", "1.15"}


def test_worker_with_another_collection_gets_nothing() -> None:
    """Positions would mean other items there."""
    first, second = Worker("gw0"), Worker("gw1")
    scheduling = dealt([first])
    scheduling.add_node(second)
    scheduling.add_node_collection(second, list(reversed(ITEMS)))
    scheduling.schedule()
    assert second.shutting_down
    assert not second.queue


def test_worker_that_ended_in_order_crashed_nothing() -> None:
    """Its removal names no item."""
    worker = Worker("gw0")
    scheduling = dealt([worker])
    run_to_the_end(scheduling, [worker])
    assert scheduling.remove_node(worker) is None


def test_worker_that_was_stopped_crashed_nothing() -> None:
    """``-x`` ends workers in order, with items that they were never sent."""
    stopped: Any = Worker("gw0")
    scheduling = dealt([stopped])
    stopped.run_one(scheduling)
    stopped.workeroutput = {"exitstatus": 0}
    assert scheduling.remove_node(stopped) is None
    assert not scheduling.dropped


def test_nothing_starts_before_all_have_collected() -> None:
    """Else the first would take every version while the second still starts."""
    scheduling: Any = VersionScheduling(2, version_of)
    scheduling.add_node(worker := Worker("gw0"))
    scheduling.add_node_collection(worker, ITEMS)
    assert not scheduling.collection_is_completed
    assert not scheduling.tests_finished
