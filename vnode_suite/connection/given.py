"""A VNode that was made elsewhere (``--vnode-id``): looked at and judged, never changed and never deleted.

The suite makes nothing for it but Pods and claims of its own, which it takes away again. What was asked for when the
VNode was made is known only as far as the options repeat it; who it is, only where its kubeconfig or its user is told.
"""

from __future__ import annotations

import base64
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from vnode_suite.access.bootstrap import Issuance, bootstrap
from vnode_suite.access.credential import HeldCredential, groups_of_account, read_credential
from vnode_suite.access.generate import Generated
from vnode_suite.access.objects import NAMESPACE
from vnode_suite.access.rights import VNODES_GROUP
from vnode_suite.clusters.kube import KubeClient, KubeError
from vnode_suite.connection import exclusion
from vnode_suite.connection.leavings import leavings
from vnode_suite.connection.products import Created, Handed
from vnode_suite.connection.steps import StepNotReached, step
from vnode_suite.connection.subject import Subject
from vnode_suite.core.errors import DeadlineExceeded
from vnode_suite.core.polling import poll
from vnode_suite.core.secrets import Secret
from vnode_suite.core.settings import GivenVNode
from vnode_suite.eci.models import CreateRequest, Taint
from vnode_suite.model import Identity, Text, Unreached
from vnode_suite.probes.vnodes import find

if TYPE_CHECKING:
    from vnode_suite.connection.cell import CellRun

_AUTHENTICATED = "system:authenticated"
#: How often the VNode's heartbeat is looked at, in seconds; it renews every 10 s (kubelet's default).
_LOOK_AGAIN = 1.0

#: Clauses that need the credential itself, and those for which its user's name is enough.
_NEED_KUBECONFIG = frozenset(
    {
        *("PERM-03", "PERM-10", "KCFG-03", "KCFG-06", "KCFG-08", "KCFG-09", "KCFG-11", "KCFG-12", "KCFG-16"),
    }
)
_NEED_USER = frozenset(
    {
        *("PERM-01", "PERM-02", "PERM-04", "PERM-05", "PERM-06", "PERM-07", "PERM-08", "PERM-09", "PERM-11"),
        *("KCFG-07", "KCFG-13"),
    }
)
_NOT_OF_A_GIVEN_ONE: Mapping[str, Text] = {
    "KCFG-04": Text(
        "improper certificate requests are made only with an identity and an approver of the suite's own",
        "仅使用套件自建的身份和 approver 提交不当的证书请求",
    ),
    "KCFG-10": Text(
        "nobody can resolve a name where a VNode lives that was made elsewhere",
        "无法在他处创建的 VNode 所在位置解析域名",
    ),
    "KCFG-15": Text(
        "no approver is started beside the cluster's own for a VNode that was made elsewhere",
        "对他处创建的 VNode,不另行启动 approver",
    ),
    "CREATE-07": Text(
        "the certificates of a VNode that was made elsewhere are its own",
        "他处创建的 VNode 的证书由其自行管理",
    ),
}
_NO_KUBECONFIG = Text(
    "the VNode's credential was not given: --vnode-kubeconfig FILE",
    "未提供 VNode 的凭据:--vnode-kubeconfig FILE",
)
_NO_USER = Text(
    "who the VNode is was not told: --vnode-kubeconfig FILE or --vnode-user NAME",
    "未说明 VNode 的身份:--vnode-kubeconfig FILE 或 --vnode-user NAME",
)


def withheld(clause: str, given: GivenVNode) -> Text | None:
    """Why *clause* is out of scope for a VNode that was made elsewhere; ``None`` where it is not."""
    if clause in _NEED_KUBECONFIG and given.kubeconfig is None:
        return _NO_KUBECONFIG
    if clause in _NEED_USER and given.kubeconfig is None and not given.user:
        return _NO_USER
    return _NOT_OF_A_GIVEN_ONE.get(clause)


class GivenSubject(Subject):
    """The VNode of ``--vnode-id``."""

    def __init__(self, cell: CellRun, given: GivenVNode) -> None:
        super().__init__(cell, "sound", frozenset())
        self.given = given
        self.held: HeldCredential | None = read_credential(given.kubeconfig) if given.kubeconfig else None

    @property
    def owns_vnode(self) -> bool:
        """It is somebody else's."""
        return False

    @property
    def reviewed_only(self) -> bool:
        """Whether rights can be asked about and not exercised: only the user's name is known."""
        return self.held is None

    def _credential(self) -> HeldCredential:
        if self.held is None:
            raise StepNotReached(Unreached("identity", "not-told", _NO_KUBECONFIG))
        return self.held

    @step("identity")
    def identity(self) -> Generated:
        """The identity that the VNode's kubeconfig holds; nothing was granted to it by the run."""
        held = self._credential()
        groups, expires = held.groups, held.expires
        if held.bootstrap_token_id:
            extra, expires = _bootstrap_token(self.world.kube, held.bootstrap_token_id)
            groups = (*groups, *extra)
        return Generated(
            self.identity_kind, held.text, held.token or held.text, held.username, groups, expires, (), ()
        )

    @step("kubeconfig")
    def kubeconfig(self) -> Handed:
        """The kubeconfig that the VNode was handed."""
        held = self._credential()
        return Handed(held.text, held.file_name, held.username)

    @step("certificate")
    def issuance(self) -> Issuance:
        """What became of a proper CSR of the suite's own; the cluster's own approver looks at it."""
        return bootstrap(
            self.cell.making,
            Secret(self.world.way.from_here(self.identity().kubeconfig.reveal()), "kubeconfig"),
            self.cell.naming,
            deadline_seconds=self.seconds("certificate-issued"),
        )

    @step("credential")
    def client(self) -> KubeClient:
        """A client that acts as the VNode does."""
        held = self._credential()
        if held.bootstrap_token_id:
            return super().client()
        made = KubeClient.from_kubeconfig_text(self.world.way.from_here(held.text.reveal()))
        with self._guard:
            self._clients.append(made)
        return made

    def who(self) -> tuple[str, tuple[str, ...]]:
        """User and groups in which the VNode acts."""
        if self.held is None:
            groups = self.given.groups or groups_of_account(self.given.user)
            return self.given.user, (*groups, _AUTHENTICATED)
        if self.held.bootstrap_token_id:
            # After its first certificate (vnode-approver's rules).
            return f"system:vnode:{self.given.id}", (VNODES_GROUP, _AUTHENTICATED)
        return self.held.username, (*self.held.groups, _AUTHENTICATED)

    @step("exclusion")
    def exclusion(self) -> exclusion.Applied:
        """kube-proxy kept off VNodes, where that is asked for."""
        return exclusion.applied(self.world)

    @step("preconditions")
    def preconditions(self) -> None:
        """Nothing: the VNode is there already."""

    @step("vnode")
    def vnode(self) -> Created:
        """The VNode as the cloud lists it, with what the options say was asked for."""
        found = find(self.world.cloud.client, self.given.id)
        if found is None:
            region = self.world.cloud.region
            detail = Text(f"{self.given.id} is not listed in {region}", f"{region} 未列出 {self.given.id}")
            raise StepNotReached(Unreached("vnode", "not-listed", detail))
        told = self.cell.run.settings.cloud
        request = CreateRequest(
            vswitch_ids=told.vswitches or (found.vswitch_id,),
            security_group_id=told.security_group or found.security_group_id,
            tls_bootstrap=self.identity_kind is Identity.BOOTSTRAP,
            name=found.name,
            resource_group_id=told.resource_group or "",
            tags=dict(told.tags),
            taints=tuple(Taint(key, value, effect) for key, value, effect in told.taints),
        )
        return Created(found.id, request, time.monotonic(), frozenset())

    def delete_vnode(self) -> bool:
        """Nothing: it is not the run's to delete."""
        return True

    def heard(self) -> str:
        """Wait until the VNode renews its heartbeat, which it can only do at the API server; says what was seen.

        :raises StepNotReached: it renewed nothing in the time in which a live one does several times.
        """
        first = self._beats()

        def newer() -> str | None:
            now = self._beats()
            moved = [name for name in now if now[name] and now[name] != first.get(name, "")]
            return (
                "; ".join(f"{name}: {first.get(name) or 'absent'}, then {now[name]}" for name in moved)
                or None
            )

        patience = self.cell.seconds("heartbeat-renewed")
        try:
            return poll(newer, what="a heartbeat", deadline_seconds=patience, interval_seconds=_LOOK_AGAIN)
        except DeadlineExceeded:
            detail = Text(
                f"no heartbeat of {self.node().name} was seen within {patience:g} s",
                f"{patience:g} 秒内未观察到 {self.node().name} 的心跳",
            )
            raise StepNotReached(Unreached("node", "no-heartbeat", detail)) from None

    def _beats(self) -> dict[str, str]:
        """What the VNode renews, each with the time that it wrote."""
        name = self.node().name
        node = self.world.kube.get(f"/api/v1/nodes/{name}")
        conditions: list[Mapping[str, Any]] = node["status"].get("conditions") or []
        ready = next((each for each in conditions if each.get("type") == "Ready"), {})
        beside = leavings(self.world, [name, self.given.id])
        return {f"Node {name}": str(ready.get("lastHeartbeatTime") or "")} | {
            str(each): each.renewed for each in beside
        }


def _bootstrap_token(kube: KubeClient, token_id: str) -> tuple[tuple[str, ...], datetime | None]:
    """Groups and end of a bootstrap token, as its Secret has them; nothing where it is gone."""
    try:
        found = kube.get(f"/api/v1/namespaces/{NAMESPACE}/secrets/bootstrap-token-{token_id}")
    except KubeError as refused:
        if refused.status in (403, 404):
            return (), None
        raise
    data = {key: base64.b64decode(value).decode() for key, value in (found.get("data") or {}).items()}
    groups = tuple(group.strip() for group in data.get("auth-extra-groups", "").split(",") if group.strip())
    ends = data.get("expiration", "")
    return groups, datetime.fromisoformat(ends.replace("Z", "+00:00")).astimezone(UTC) if ends else None
