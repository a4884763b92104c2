"""CLEAN: closing everything, and looking for what is left."""

from __future__ import annotations

from contextlib import suppress

from vnode_suite.checks.clean import Difference, Gone
from vnode_suite.connection import closing, leftovers
from vnode_suite.connection.looks import of_the_version
from vnode_suite.connection.steps import StepNotReached
from vnode_suite.connection.subject import Subject
from vnode_suite.connection.world import World
from vnode_suite.core.errors import DeadlineExceeded
from vnode_suite.core.polling import poll
from vnode_suite.eci.errors import EciError
from vnode_suite.eci.guard import RUN_TAG
from vnode_suite.model import Evidence, Observation, Source, Text, Unreached
from vnode_suite.probes.snapshots import compare, dump_again
from vnode_suite.probes.vnodes import ASK_AGAIN

_NOTHING = Text("the run made none whose end could be seen", "本次运行没有产生可供核对的对象")


def vnodes(subject: Subject) -> Observation[Gone]:
    """VNodes of this cell that the cloud still lists, by id and by the run's tag."""
    closed = _close(subject)
    if subject.has("delete-keeps-vnode"):
        closed = closing.close_twin(subject)
    mine, why, kept = closed.vnodes_of(subject), subject.cell.undeleted, _kept(subject, "VirtualNode")
    if not mine and not why and not kept:
        raise StepNotReached(_why_none(subject, "vnode"))
    try:
        listed = _listed(subject, mine)
    except EciError as problem:
        return Observation(Gone(mine, (), str(problem), problem.remedy or ""), Source.CLOUD)
    left = tuple(name for name in mine if name in listed)
    if subject.has("delete-keeps-vnode"):
        closing.purge(subject)
    seen = [Evidence("still listed with the run's tag", "\n".join(sorted(listed)) or "none")]
    if why:
        seen.append(Evidence("why it was not deleted", "\n".join(map(str, why))))
    gone = Gone(
        mine,
        left,
        str(why[0]) if why and not mine else "",
        next((problem.remedy for problem in why if problem.remedy), ""),
        kept=kept,
        may_be_none=bool(kept),
    )
    return Observation(gone, Source.CLOUD, evidence=tuple(seen))


def _listed(subject: Subject, mine: tuple[str, ...]) -> frozenset[str]:
    """VNodes with the run's tag, once those of *mine* are not among them any more: a list may lag behind."""
    client, run = subject.world.cloud.client, subject.cell.run
    seen: list[frozenset[str]] = []

    def gone() -> bool | None:
        seen.append(frozenset(found.id for found in client.describe_virtual_nodes(tags={RUN_TAG: run.id})))
        return True if seen[-1].isdisjoint(mine) else None

    patience = subject.seconds("vnode-gone", absent="vnode-still-listed")
    with suppress(DeadlineExceeded):
        poll(
            gone,
            what="the VNodes to be gone from the list",
            # What is known not to be deleted is not waited for, nor what was waited for already.
            deadline_seconds=0.0 if subject.cell.undeleted or subject.gone is False else patience,
            interval_seconds=ASK_AGAIN,
        )
    return seen[-1]


def _kept(subject: Subject, kind: str = "") -> tuple[str, ...]:
    """What of the cell stays because that was asked for."""
    return tuple(name for name in closing.kept_of(subject.cell) if name.startswith(kind))


def cluster_objects(subject: Subject) -> Observation[Gone]:
    """What this cell and its VNodes made that is still in the cluster."""
    closed = _close(subject)
    with leftovers.unlabelled_node(subject) as planted:
        left = leftovers.leftovers(subject)
        made = closed.objects_of(subject) + planted
    may_be_none = bool(closed.kept) or not subject.owns_vnode
    if not made and not left and not may_be_none:
        raise StepNotReached(_why_none(subject, "identity"))
    gone = Gone(made, left, kept=_kept(subject, "Node"), may_be_none=may_be_none)
    return Observation(gone, Source.CLUSTER, evidence=(Evidence("made", "\n".join(made)),))


@of_the_version
def foreign_objects(subject: Subject) -> Observation[Difference]:
    """Objects that the run did not make, before and after."""
    _close(subject)
    with leftovers.foreign_label(subject):
        after = dump_again(subject.world.kube, subject.world.before)
    difference = compare(subject.world.before, after)
    difference, asked = _without_exclusion(subject.world, difference)
    lines = "\n".join(difference.changes) or "no difference"
    seen = [Evidence("differences", lines), *asked]
    if after.unseen:
        seen.append(Evidence("not compared: this credential may not list them", "\n".join(after.unseen)))
    return Observation(difference, Source.CLUSTER, evidence=tuple(seen))


def _without_exclusion(world: World, difference: Difference) -> tuple[Difference, tuple[Evidence, ...]]:
    """The exclusion that stays on request is no difference; the evidence has it."""
    proxy, done = world.kube_proxy, world.exclusion
    stays = world.keeping.kept or world.run.settings.cluster.apply_exclusion == "keep"
    if proxy is None or done is None or done.at is None or not stays:
        return difference, ()
    name = f"DaemonSet {proxy.namespace}/{proxy.name}: "
    mine = [change for change in difference.changes if change.startswith(name) and "affinity" in change]
    rest = tuple(change for change in difference.changes if change not in mine)
    said = "\n".join(mine) or "no difference"
    return Difference(difference.looked_at, rest), (Evidence("the exclusion, which stays on request", said),)


def instances(subject: Subject) -> Observation[Gone]:
    """Instances of Pods of this cell that the cloud still has."""
    closed = _close(subject)
    if subject.has("instance-left"):
        closed = closing.close_twin(subject)
    made, left = closed.instances_of(subject)
    kept = _kept(subject, "VirtualNode")
    if not made and kept:
        gone = Gone((), (), kept=kept, may_be_none=True)
        return Observation(gone, Source.CLOUD)
    if not made:
        # No Pod of the run's ever had an instance: there is nothing whose end could be seen.
        raise StepNotReached(_why_none(subject, "pod"))
    if subject.has("instance-left"):
        for instance in left:
            subject.world.cloud.purge(instance)
    # In a replay the instances are the simulator's own.
    source = Source.CLOUD if subject.world.cloud.replay is None else Source.LOCAL
    return Observation(Gone(made, left), source, evidence=(Evidence("instances made", "\n".join(made)),))


def _close(subject: Subject) -> closing.Closed:
    """Close the world, once; what is to be closed must have been there, also where nothing else was selected."""
    world = subject.world
    if world.closed is None:
        for cell in world.cells:
            cell.sound.outcome(cell.sound.vnode)
    return closing.close_world(world)


def _why_none(subject: Subject, step: str) -> Unreached:
    """Why there is nothing whose end could be seen: the *step* that makes it, where it was not reached."""
    outcome = (subject if subject.sound is None else subject.sound).steps.known(step)
    return (outcome.unreached if outcome else None) or Unreached(step, "nothing-was-made", _NOTHING)
