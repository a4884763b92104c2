"""From when it is waited for what is not expected of a Pod."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from vnode_suite.core.errors import DeadlineExceeded
from vnode_suite.probes.pods import INSTANCE_ANNOTATION, await_running, instance_annotation

LONG, SHORT = 60.0, 1.0
SCHEDULED = {"type": "PodScheduled", "status": "True"}
UNSCHEDULABLE = {"type": "PodScheduled", "status": "False", "message": "0/2 nodes are available"}


def pod(phase: str = "Pending", *, node: str = "", annotated: bool = False, condition: Any = None) -> Any:
    """A Pod as the API server shows it."""
    return {
        "metadata": {"name": "probe", "annotations": {INSTANCE_ANNOTATION: "eci-1"} if annotated else {}},
        "spec": {"nodeName": node},
        "status": {"phase": phase, "conditions": [condition] if condition else []},
    }


class Scripted:
    """A cluster in which a Pod is seen in one state after the other, and then no more."""

    def __init__(self, *states: Any) -> None:
        self.states = list(states)
        #: How long was waited at most, each time.
        self.waits: list[float] = []

    def wait_for(
        self, path: str, predicate: Callable[[Any], Any], *, deadline_seconds: float, what: str
    ) -> Any:
        """As a client's: true for the state that is there, or for one that comes."""
        self.waits.append(deadline_seconds)
        while not predicate(self.states[0]):
            if len(self.states) == 1:
                raise DeadlineExceeded(f"waited for {what}")
            self.states.pop(0)

    def raw(self, path: str) -> Any:
        """No node but the VNode is there."""
        return type("Answer", (), {"status": 200})


def test_what_is_expected_may_take_its_deadline() -> None:
    """The VNode under test: one wait, as long as the table says."""
    kube = Scripted(pod(), pod(node="vnode"), pod("Running", node="vnode"))
    seen = await_running(kube, "probe", "vnode", deadline_seconds=LONG)  # type: ignore[arg-type]
    assert (seen.value.phase, kube.waits) == ("Running", [LONG])


@pytest.mark.parametrize(
    ("states", "phase"),
    [
        ([pod(), pod(condition=UNSCHEDULABLE)], "Pending"),
        ([pod(), pod(node="vnode", condition=SCHEDULED)], "Pending"),
        ([pod(), pod(node="vnode"), pod("Running", node="vnode")], "Running"),
    ],
)
def test_a_pod_that_is_not_to_run_is_looked_at_for_a_while_once_it_has_its_place(
    states: list[Any], phase: str
) -> None:
    """Until the scheduler has spoken it may take its deadline; what runs all the same is seen."""
    kube = Scripted(*states)
    seen = await_running(
        kube,  # type: ignore[arg-type]
        "probe",
        "vnode",
        deadline_seconds=LONG,
        absent_seconds=SHORT,
    )
    assert (seen.value.phase, kube.waits) == (phase, [LONG, SHORT])


def test_an_annotation_that_is_not_to_come_is_looked_for_once_the_pod_runs() -> None:
    """A slow Pod is not taken for one without its annotation."""
    kube = Scripted(pod(), pod("Running", node="vnode"))
    seen = instance_annotation(
        kube,  # type: ignore[arg-type]
        "probe",
        deadline_seconds=LONG,
        absent_seconds=SHORT,
    )
    assert (seen.value.instance_id, kube.waits) == ("", [LONG, SHORT])


def test_an_annotation_that_was_there_before_the_pod_ran_took_no_time() -> None:
    """So that a twin's absence need not be waited for any longer than at least."""
    kube = Scripted(pod(), pod(annotated=True), pod("Running", annotated=True))
    seen = instance_annotation(kube, "probe", deadline_seconds=LONG)  # type: ignore[arg-type]
    assert (seen.value.instance_id, seen.value.seconds_after_running) == ("eci-1", 0.0)
