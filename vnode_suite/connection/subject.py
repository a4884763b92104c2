"""A VNode's way into a cluster, step by step; the one under test, or a twin with one defect.

A twin shares with the VNode under test every step that its defect does not touch, and takes the others itself:
so a control differs from the real thing in one respect only.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from vnode_suite.access import limited
from vnode_suite.access.bootstrap import Issuance, bootstrap
from vnode_suite.access.generate import Generated
from vnode_suite.cleanup.journal import Entry
from vnode_suite.clusters.kube import KubeClient
from vnode_suite.connection import creating, exclusion, finding, identities
from vnode_suite.connection.exclusive import stray_daemonset
from vnode_suite.connection.gate import first_obstacle
from vnode_suite.connection.looks import is_of_the_version
from vnode_suite.connection.products import Created, Handed, Joined, RunningPod
from vnode_suite.connection.steps import Outcome, StepNotReached, Steps, outcome_of, reason_of, step
from vnode_suite.core.errors import HarnessError
from vnode_suite.core.polling import poll
from vnode_suite.eci.errors import EciError, NotFound, WrongState
from vnode_suite.model import Defect, Identity, Observation, Text, Unreached
from vnode_suite.probes import pods
from vnode_suite.probes.nodes import NOT_READY_TAINT, NodeHistory, Transition
from vnode_suite.probes.vnodes import await_absence

if TYPE_CHECKING:
    from vnode_suite.connection.cell import CellRun
    from vnode_suite.connection.world import World

T = TypeVar("T")

#: How much longer than the real thing took, and how many seconds at least, a control waits for what must not come.
ABSENCE_FACTOR = 4.0
ABSENCE_FLOOR = 0.6
#: Seconds.
ABSENCE_MARGIN = 1.5


class Subject:
    """See the module. Every method marked as a step runs once and is remembered.

    :param sound: the VNode under test, for a twin; ``None`` for that one itself.
    :param gated: whether known obstacles forbid the call (not for a VNode that is to fail on purpose).
    :param fresh: nothing that was observed of the VNode under test may be reused (a defect of the whole cell).
    :param number: which of the cell's VNodes it is, from 1.
    """

    def __init__(
        self,
        cell: CellRun,
        name: str,
        defects: frozenset[str],
        *,
        sound: Subject | None = None,
        gated: bool = True,
        fresh: bool = False,
        number: int = 1,
    ) -> None:
        self.cell = cell
        self.name = name
        self.defects = defects
        self.sound = sound
        self.gated = gated
        self.fresh = fresh
        self.number = number
        self.steps = Steps(partial(cell.announce, name))
        self.journal_entry: Entry | None = None
        #: Whether its VNode was seen to go, once it was told to.
        self.gone: bool | None = None
        #: Names of the Pods that were made for it, in namespace default.
        self.pods_made: list[str] = []
        self._clients: list[KubeClient] = []
        self._guard = threading.RLock()
        self._looks: dict[Callable[..., Any], Future[Any]] = {}

    # -- what a subject is ----------------------------------------------------------------------------------

    @property
    def world(self) -> World:
        """The world of the cell's version."""
        return self.cell.world

    @property
    def identity_kind(self) -> Identity:
        """The identity of the cell."""
        return self.cell.cell.identity

    @property
    def under_test(self) -> bool:
        """Whether this is what the run accepts, and no twin."""
        return self.sound is None

    @property
    def owns_vnode(self) -> bool:
        """Whether the VNode is the run's own, to be deleted at the end."""
        return True

    @property
    def reviewed_only(self) -> bool:
        """Whether rights can be asked about and not exercised, since nobody has the credential."""
        return False

    def has(self, *names: str) -> bool:
        """Whether one of these defects is this subject's."""
        return not self.defects.isdisjoint(names)

    def defects_at(self, *places: str) -> frozenset[str]:
        """The subject's defects that live in one of *places* (``vnode``, ``eci``, ...)."""
        catalogue = self.cell.run.defects
        return frozenset(name for name in self.defects if catalogue.defect(name).where in places)

    def seconds(self, deadline: str, *, absent: str = "", took: float | None = None) -> float:
        """How long this subject waits, by the table of deadlines.

        What must come may take its whole deadline. What a defect keeps from coming is waited for a while only
        (:meth:`absence_seconds`).
        """
        absence = self.absence_seconds(deadline, absent=absent, took=took)
        return self.cell.seconds(deadline) if absence is None else absence

    def absence_seconds(self, deadline: str, *, absent: str, took: float | None = None) -> float | None:
        """How long this subject waits for what its defect keeps from coming; ``None`` where none of its defects does.

        At least :data:`ABSENCE_FACTOR` times what the VNode under test took for it in this very run, but no more than
        :data:`ABSENCE_MARGIN` longer: most of what takes long is a timer, which takes no longer on a busy machine.

        :param absent: the reason by which a check says that it did not come.
        :param took: seconds that it took for the VNode under test, where that is known.
        """
        if not absent or not any(absent in dict(d.fails).values() for d in self._own_defects()):
            return None
        known = took or 0.0
        waited = max(ABSENCE_FLOOR, min(ABSENCE_FACTOR * known, known + ABSENCE_MARGIN))
        return min(self.cell.seconds(deadline), waited)

    def _own_defects(self) -> list[Defect]:
        return [self.cell.run.defects.defect(name) for name in sorted(self.defects)]

    def outcome(self, product: Callable[[], T]) -> Outcome[T]:
        """A step's outcome, for the clause that judges the step itself."""
        return outcome_of(product)

    def observe(self, look: Callable[[Subject], Observation[T]]) -> Observation[T]:
        """What *look* sees of this subject; looked at once, perhaps long before it is judged.

        What sees nothing of the identity (`looks.py`) is looked at for the VNode under test of the version's first
        cell, and holds for the others.
        """
        if (
            is_of_the_version(look)
            and (first := self.world.cells[0].sound) is not self
            and self._is_like(first)
        ):
            return first.observe(look)
        with self._guard:
            future = self._looks.get(look)
            mine = future is None
            if future is None:
                future = self._looks[look] = Future()
        if mine:
            try:
                future.set_result(look(self))
            except BaseException as problem:
                future.set_exception(_seen_as(problem))
        seen: Observation[T] = future.result()
        return seen

    def _is_like(self, other: Subject) -> bool:
        """Whether nothing but the identity tells this VNode under test from *other*."""
        return (
            self.under_test
            and self.owns_vnode
            and (self.number, self.defects) == (other.number, other.defects)
        )

    def seen(self, look: Callable[[Subject], Observation[T]]) -> Observation[T] | None:
        """What *look* saw of this subject, where it was taken already and saw something."""
        with self._guard:
            future = self._looks.get(look)
        if future is None or not future.done() or future.exception() is not None:
            return None
        found: Observation[T] = future.result()
        return found

    def _shares(self, *places: str) -> bool:
        """Whether the step is the sound subject's: this is a twin whose defect lives in none of *places*."""
        return self.sound is not None and not self.defects_at(*places)

    # -- the steps ------------------------------------------------------------------------------------------

    @step("identity")
    def identity(self) -> Generated:
        """An identity with the page's rights, and the kubeconfig that holds its credential."""
        if self.sound is not None and not self.has(
            "no-right-to-create-secrets", *identities.OTHER_CREDENTIAL
        ):
            return self.sound.identity()
        cell, world = self.cell, self.world
        if self.has("no-right-to-create-secrets"):
            making, ca = cell.making, world.cluster.ca_pem
            with (
                limited.no_right_to_create_secrets(making, ca, cell.naming) as token,
                limited.client(making, ca, token) as powerless,
            ):
                return identities.generate(self, powerless)
        generated = identities.generate(self, world.kube)
        if self.sound is None:
            identities.inject_defects(self, generated)
        return generated

    @step("kubeconfig")
    def kubeconfig(self) -> Handed:
        """The kubeconfig as it will be handed over, whatever is wrong with it."""
        # One that is to fail for a cause of its own is handed nothing else that is wrong.
        shares = self.gated and self._shares("kubeconfig", "observer", "server")
        if shares and not self.has("no-right-to-create-secrets"):
            assert self.sound is not None  # noqa: S101 - narrowing
            return self.sound.kubeconfig()
        return identities.handed(self)

    @step("certificate")
    def issuance(self) -> Issuance:
        """What became of a proper CSR of the suite's own, made as a VNode makes it."""
        if self.sound is not None and not (self.fresh and self.defects_at("approver", "access")):
            return self.sound.issuance()
        identities.approver(self)
        return bootstrap(
            self.cell.making,
            self.identity().kubeconfig,
            self.cell.naming,
            deadline_seconds=self.seconds(
                "certificate-issued", absent="csr-pending", took=self._issue_took()
            ),
        )

    @step("credential")
    def client(self) -> KubeClient:
        """A client that acts as the VNode will: with the token, or with a certificate of the same kind."""
        if self.sound is not None and not self.has(*identities.OTHER_CREDENTIAL):
            return self.sound.client()
        world = self.world
        if self.identity_kind is Identity.BOOTSTRAP:
            issued = self.issuance()
            if issued.certificate is None:
                detail = Text(f"the CSR is {issued.state}", f"CSR 状态为 {issued.state}")
                raise StepNotReached(Unreached("certificate", f"csr-{issued.state}", detail))
            made = issued.certificate.client(world.cluster.server_url, world.cluster.ca_pem)
        else:
            made = KubeClient.from_kubeconfig_text(self.identity().kubeconfig.reveal())
        with self._guard:
            self._clients.append(made)
        return made

    def _join_took(self) -> float | None:
        joined = self.sound.outcome(self.sound.node).product if self.sound is not None else None
        return joined.seconds if joined else None

    def _ready_took(self) -> float | None:
        return self.sound.outcome(self.sound.ready).product if self.sound is not None else None

    def _issue_took(self) -> float | None:
        outcome = self.sound.outcome(self.sound.issuance) if self.sound is not None else None
        return outcome.product.issued_after if outcome and outcome.product else None

    def who(self) -> tuple[str, tuple[str, ...]]:
        """User and groups in which the VNode acts once it has joined."""
        generated = self.identity()
        if self.identity_kind is Identity.BOOTSTRAP:
            return f"system:vnode:{self.cell.cell.id}", (*generated.vnode_groups, "system:authenticated")
        return generated.username, (*generated.vnode_groups, "system:authenticated")

    @step("exclusion")
    def exclusion(self) -> exclusion.Applied:
        """kube-proxy kept off VNodes, before one joins; once for the whole cluster."""
        if self.sound is not None:
            return self.sound.exclusion()
        if self.has("daemonset-tolerates-everything"):
            stray = stray_daemonset(self.cell)
            stray.__enter__()
            self.cell.keep_until_closed(stray)
        return exclusion.applied(self.world)

    @step("preconditions")
    def preconditions(self) -> None:
        """Nothing that is known before the call forbids it (PRE-02, PARAM-01..04, KCFG-08..10 and 12)."""
        if self._shares("kubeconfig", "observer", "server", "request"):
            assert self.sound is not None  # noqa: S101 - narrowing
            return self.sound.preconditions()
        obstacle = first_obstacle(self)
        if obstacle is not None:
            raise StepNotReached(obstacle)
        return None

    @step("vnode")
    def vnode(self) -> Created:
        """CreateVirtualNode answers an id."""
        if self.fresh or self._shares("vnode", "eci", "request", "kubeconfig", "server"):
            assert self.sound is not None  # noqa: S101 - narrowing
            return self.sound.vnode()
        if self.gated:
            self.preconditions()
        if self.identity_kind is Identity.BOOTSTRAP:
            identities.approver(self)
        self.exclusion()
        if missing := creating.parameter_left_out(self):
            # CREATE-01 makes that call, and sees it refused.
            detail = Text(f"the call lacks {missing}", f"调用缺少参数 {missing}")
            raise StepNotReached(Unreached("vnode", "parameter-missing", detail))
        return creating.create(self)

    @step("node")
    def node(self) -> Joined:
        """The VNode is listed by the cluster's nodes."""
        created = self.vnode()
        if self.sound is not None and created is self.sound.vnode():
            return self.sound.node()
        return finding.joined(self, created, took=self._join_took())

    @property
    def node_name(self) -> str:
        """Name of the Node, where that step was taken; else empty."""
        outcome = self.steps.known("node")
        return outcome.product.name if outcome and outcome.product else ""

    @step("ready")
    def ready(self) -> float:
        """The Node is Ready; seconds from the call."""
        joined, created = self.node(), self.vnode()

        def seen(history: NodeHistory) -> Transition | None:
            return next((t for t in history.transitions(joined.name) if t.ready == "True"), None)

        deadline = self.seconds("node-ready", absent="never-ready", took=self._ready_took())
        first = self.world.nodes.wait(seen, deadline_seconds=deadline, what=f"{joined.name} to be Ready")
        # One that was made elsewhere may have been Ready before it was looked for.
        return max(0.0, first.at - created.called_at)

    @step("schedulable")
    def schedulable(self) -> str:
        """The cluster has taken its not-ready taint off the Ready Node, some moments later; the Node's name."""
        self.ready()
        name = self.node().name

        def seen(history: NodeHistory) -> str | None:
            taints = history.nodes().get(name, {}).get("spec", {}).get("taints") or ()
            return None if any(taint["key"] == NOT_READY_TAINT for taint in taints) else name

        deadline = self.seconds("node-ready")
        return self.world.nodes.wait(seen, deadline_seconds=deadline, what=f"{name} to be schedulable")

    @step("pod")
    def pod(self) -> RunningPod:
        """A Pod of the suite's runs on the VNode, in namespace default."""
        self.ready()
        began = time.monotonic()
        name = self.make_pod(node_name=self.node().name)
        self.world.kube.wait_for(
            f"/api/v1/namespaces/default/pods/{name}",
            lambda found: pods.phase(found) == "Running",
            deadline_seconds=self.cell.seconds("pod-running"),
            what=f"the Pod {name} to run",
        )
        return RunningPod(name, time.monotonic() - began)

    def make_pod(self, **how: Any) -> str:
        """Create a Pod for this VNode (see :func:`vnode_suite.probes.pods.vnode_pod`); its name."""
        return creating.make_pod(self, **how)

    # -- the end --------------------------------------------------------------------------------------------

    def delete_vnode(self) -> bool:
        """Delete the VNode that this subject created, and say whether it is gone; ``True`` if it made none.

        Told once: what was said then is said again. The call is made whatever a list says: one that lags behind does
        not show a young VNode, which costs money.
        """
        if self.gone is None:
            self.gone = self._delete_vnode()
        return self.gone

    def _delete_vnode(self) -> bool:
        outcome = self.steps.known("vnode")
        created: Created | None = outcome.product if outcome else None
        if created is None or (self.sound is not None and created is _product(self.sound, "vnode")):
            return True
        cloud = self.world.cloud.client

        def deleted() -> bool | None:
            try:
                cloud.delete_virtual_node(created.id)
            except WrongState:
                return None  # An instance of a Pod that is gone from the cluster is still being released.
            except NotFound:
                return True
            return True

        poll(
            deleted,
            what=f"the instances of {created.id} to be released",
            deadline_seconds=self.cell.seconds("instance-gone"),
        )
        patience = self.seconds("vnode-gone", absent="vnode-still-listed")
        return await_absence(cloud, created.id, deadline_seconds=patience)

    def close(self) -> None:
        """Close what the subject opened."""
        with self._guard:
            for client in self._clients:
                client.close()
            self._clients.clear()


def _seen_as(problem: BaseException) -> BaseException:
    """What a look's failure means: a read that the service refuses is one that could not be done, and says why."""
    if isinstance(problem, EciError) and not isinstance(problem, HarnessError):
        return StepNotReached(Unreached("cloud", reason_of(problem), Text(str(problem), str(problem))))
    return problem


def _product(subject: Subject, name: str) -> Any:
    outcome = subject.steps.known(name)
    return outcome.product if outcome else None
