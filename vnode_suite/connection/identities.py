"""Making the identity of a cell, the kubeconfig that is handed over, and the approver beside it."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from vnode_suite.access.approver.beside import RunningApprover, start_approver
from vnode_suite.access.approver.rules import Variant
from vnode_suite.access.creating import Making
from vnode_suite.access.deployment import approver_access
from vnode_suite.access.generate import (
    SHORTEST_TOKEN,
    Generated,
    generate_admin,
    generate_bootstrap,
    generate_serviceaccount,
    requested_token,
    with_another_token,
)
from vnode_suite.access.kubeconfig import FILE_NAME
from vnode_suite.access.taking import Holding
from vnode_suite.access.variants import VARIANTS, broken, with_token
from vnode_suite.clusters.kube import KubeClient
from vnode_suite.connection.doubles import OverloadedDouble, TlsDouble
from vnode_suite.connection.products import Handed
from vnode_suite.connection.steps import StepNotReached
from vnode_suite.core.documents import dump_yaml, load_yaml
from vnode_suite.core.secrets import Secret
from vnode_suite.model import Identity, Unreached

if TYPE_CHECKING:
    from vnode_suite.connection.cell import CellRun
    from vnode_suite.connection.subject import Subject

#: What is taken for an administrator's credential, and may do nothing.
POWERLESS = "admin-without-rights"
#: Defects by which a twin has another credential than the VNode under test.
OTHER_CREDENTIAL = ("token-short-lived", POWERLESS)
#: Defects of rights that are there from the beginning, and not put in force afterwards.
_FROM_THE_BEGINNING = frozenset({"no-right-to-create-secrets", "endpoints-right-missing", POWERLESS})
_approvers_guard = threading.Lock()
_CERTIFICATE_DEFECTS = frozenset(
    {"server-certificate-wrong-name", "server-certificate-expired", "server-certificate-not-yet-valid"}
)


def generate(subject: Subject, kube: KubeClient) -> Generated:
    """Generate the cell's identity with *kube*, with the rights that the version needs."""
    cell = subject.cell
    making = (
        cell.making if kube is cell.world.kube else Making(kube, cell.run.journal, cell.making.cluster_ref)
    )
    extra = cell.world.version.facts.endpoints_right_needed and not subject.has("endpoints-right-missing")
    admin = cell.world.admin
    if cell.cell.identity is Identity.BOOTSTRAP:
        return generate_bootstrap(making, admin, cell.naming, extra_privilege=extra)
    if cell.cell.identity is Identity.ADMIN:
        powerless = subject.has(POWERLESS)
        naming = cell.naming if subject.sound is None else replace(cell.naming, other="powerless")
        return generate_admin(making, admin, naming, powerless=powerless)
    life: timedelta | None = SHORTEST_TOKEN if subject.has("token-short-lived") else None
    if life is not None and subject.sound is not None:
        # The account and its rights are those of the VNode under test: only the token is another.
        return with_another_token(making, admin, cell.naming, subject.sound.identity(), life)
    return generate_serviceaccount(making, admin, cell.naming, extra_privilege=extra, token_life=life)


def handed(subject: Subject) -> Handed:
    """The kubeconfig with the subject's defects in it."""
    generated = subject.identity()
    way = subject.world.way
    if way.problem is not None:
        raise StepNotReached(Unreached("vpc", "no-way-to-the-server", way.problem))
    text = way.told(generated.kubeconfig.reveal())
    for name in sorted(subject.defects & VARIANTS.keys()):
        text = broken(text, name)
    if subject.has("credential-of-another"):
        text = with_token(text, requested_token(subject.world.kube, "default", SHORTEST_TOKEN).reveal())
    for name in sorted(subject.defects_at("server") & _CERTIFICATE_DEFECTS):
        double = TlsDouble(name, subject.world.cloud.host_address)
        subject.cell.keep_until_closed(double)
        text = double.kubeconfig(text)
    if subject.has("api-server-overloaded"):
        busy = OverloadedDouble(subject.world.cluster.version_info, subject.world.cloud.host_address)
        subject.cell.keep_until_closed(busy)
        text = busy.kubeconfig(text)
    if subject.has("api-server-routed-nowhere"):
        # TEST-NET-3 (RFC 5737): the VPC has no route to it, so no packet leaves the VNode's namespace.
        text = _with_host(text, "203.0.113.1")
    bootstrapping = generated.identity is Identity.BOOTSTRAP
    return Handed(
        Secret(text, "kubeconfig"),
        "kubeconfig-for-vnode" if subject.has("kubeconfig-other-file-name") else FILE_NAME,
        "system:bootstrap:" if bootstrapping else generated.username,
    )


def _with_host(text: str, host: str) -> str:
    document = load_yaml(text)
    cluster = document["clusters"][0]["cluster"]
    cluster["server"] = f"https://{host}:{cluster['server'].rpartition(':')[2]}"
    return dump_yaml(document)


def approver(subject: Subject) -> RunningApprover | None:
    """The cell's approver, started when it is first needed; ``None`` where the defect is that there is none."""
    cell = subject.cell
    with _approvers_guard:
        if cell.approver is None and not cell.approver_is_off:
            run_approver(cell, _variant(cell.sound))
        return cell.approver


#: Name of a defect to how the approver then behaves.
VARIANTS_BY_DEFECT: Mapping[str, Variant] = {
    "approver-off": Variant.OFF,
    "approver-denies-everything": Variant.DENIES_EVERYTHING,
    "approver-approves-everything": Variant.APPROVES_EVERYTHING,
    "approver-published-image": Variant.PUBLISHED_IMAGE,
}


def _variant(subject: Subject) -> Variant:
    chosen = [VARIANTS_BY_DEFECT[name] for name in sorted(subject.defects & VARIANTS_BY_DEFECT.keys())]
    return chosen[0] if chosen else Variant.SOUND


def run_approver(cell: CellRun, variant: Variant) -> None:
    """Start the cell's approver in *variant*, with exactly the rights of the published deployment."""
    cell.approver_is_off = variant is Variant.OFF
    if variant is Variant.OFF:
        return
    access = approver_credential(cell)
    log = cell.run.folder / "evidence" / f"approver-{cell.cell.id}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    cell.approver = start_approver(access.reveal(), variant, log=log)


def approver_credential(cell: CellRun) -> Secret:
    """A kubeconfig with exactly the rights of the published deployment, made once a cell."""
    if cell.approver_access is None:
        cell.approver_access = approver_access(cell.making, cell.world.admin, cell.naming)
    return cell.approver_access


def stop_approver(cell: CellRun, *, at_once: bool = False) -> None:
    """Stop the cell's approver, if it runs."""
    if cell.approver is not None:
        cell.approver.stop(*((0.0,) if at_once else ()))
        cell.approver = None


def holding(subject: Subject) -> Holding:
    """The identity's rights as bindings that can be taken away one by one."""
    return Holding(subject.cell.making, subject.cell.naming, subject.identity().granted)


def inject_defects(subject: Subject, generated: Generated) -> None:
    """Put the run's own defects of rights in force until the cell is closed."""
    rights = Holding(subject.cell.making, subject.cell.naming, generated.granted)
    stack = ExitStack()
    for name in sorted(subject.defects_at("access") - _FROM_THE_BEGINNING):
        # What several cells have is taken from all of them by the first, which also gives it back.
        with subject.world.shared_defects_guard:
            if subject.cell.run.defects.defect(name).shared:
                if name in subject.world.shared_defects:
                    continue
                subject.world.shared_defects.add(name)
            stack.enter_context(rights.with_defect(name))
    subject.cell.keep_until_closed(stack)
