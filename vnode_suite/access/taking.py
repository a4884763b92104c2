"""Taking one right away and giving it back: what shows that a check of rights can fail."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass

from vnode_suite.access import objects
from vnode_suite.access.creating import Making
from vnode_suite.access.generate import await_granted
from vnode_suite.access.objects import Json, Naming
from vnode_suite.access.rights import (
    CLAIMS_PATCH,
    CLAIMS_UPDATE,
    ENDPOINTS_CREATE,
    ENDPOINTS_UPDATE,
    NODECLIENT,
    PODS_PATCH,
    PODS_UPDATE,
    SELFNODECLIENT,
    SYSTEM_NODE,
    SYSTEM_NODE_PROXIER,
    Grant,
    Holder,
    Kind,
    Right,
    Rule,
    right,
)


@dataclass(frozen=True, slots=True)
class Holding:
    """The rights of one identity, as bindings that can be taken away one by one."""

    making: Making
    naming: Naming
    granted: tuple[Grant, ...]

    @contextmanager
    def without(self, *rights: Right | str) -> Iterator[None]:
        """Take rights away for as long as the block lasts; the API server knows it when the block begins, and
        knows that they are back when it has ended.

        :raises KeyError: the identity was never given one of them.
        :raises AccessError: somebody else grants it too, so that it cannot be taken away.
        """
        taken = tuple(grant for one in rights for grant in self._grants(one))
        gone = []
        try:
            for grant in taken:
                self.making.remove(objects.binding(grant, self.naming))
                gone.append(grant)
            await_granted(self.making.kube, taken, self.naming, held=False)
            yield
        finally:
            for grant in gone:
                self.making.ensure(objects.binding(grant, self.naming))
            await_granted(self.making.kube, tuple(gone), self.naming)

    @contextmanager
    def with_extra(self, rules: Sequence[Rule], holder: Holder, name: str = "excess") -> Iterator[None]:
        """Give rights beyond the table for as long as the block lasts."""
        grants = tuple(
            Grant(Right(f"{name}-{number}", Kind.EXTRA, rule=rule), holder)
            for number, rule in enumerate(rules)
        )
        bodies = objects.roles(grants, self.naming) + tuple(
            objects.binding(one, self.naming) for one in grants
        )
        made: list[Json] = []
        try:
            for body in bodies:
                made.append(self.making.ensure(body).object)
            await_granted(self.making.kube, grants, self.naming)
            yield
        finally:
            for body in reversed(made):
                self.making.remove(body)

    @contextmanager
    def bound_also(self, role: str, holder: Holder, *, tells: Rule) -> Iterator[None]:
        """Bind a built-in ClusterRole to a holder as well, for as long as the block lasts.

        :param tells: something that the role allows and the table does not.
        """
        grant = Grant(Right(f"also-{role.replace(':', '-')}", Kind.EXTRA, role=role, telling=tells), holder)
        body = objects.binding(grant, self.naming)
        try:
            self.making.ensure(body)
            await_granted(self.making.kube, (grant,), self.naming)
            yield
        finally:
            self.making.remove(body)

    @contextmanager
    def emptied(self, one: Right | str) -> Iterator[None]:
        """Empty a built-in ClusterRole of its rules; that touches everybody, so on one's own cluster only."""
        chosen = right(one) if isinstance(one, str) else one
        if chosen.role is None:
            raise ValueError(f"{chosen.id} has no built-in role")
        kube, where = self.making.kube, f"/apis/{objects.RBAC}/v1/clusterroles/{chosen.role}"
        rules = kube.get(where)["rules"]
        journal = self.making.journal
        undo = {
            "action": "patch-object",
            "cluster": self.making.cluster_ref,
            "path": where,
            "patch": {"rules": rules},
        }
        entry = journal.intend("ClusterRole rules", chosen.role, undo) if journal else None
        holders = self._grants(chosen)
        try:
            kube.patch(where, {"rules": []})
            if entry:
                entry.done()
            await_granted(kube, holders, self.naming, held=False)
            yield
        finally:
            kube.patch(where, {"rules": rules})
            if entry:
                entry.undone()
            await_granted(kube, holders, self.naming)

    def with_defect(self, name: str) -> AbstractContextManager[None]:
        """The defect of rights called `name`, as a block (KeyError if it is none of `DEFECTS`)."""
        match name:
            case "system-node-role-emptied":
                return self.emptied(SYSTEM_NODE)
            case "extra-right-secrets-delete":
                return self.with_extra([_SECRETS_DELETE], self.acting)
            case "bootstrap-group-can-view":
                return self.bound_also("view", Holder.BOOTSTRAPPERS, tells=_ONLY_VIEW)
            case _:
                return self.without(*TAKEN_AWAY[name])

    @property
    def acting(self) -> Holder:
        """As whom the VNode acts once it has joined."""
        holders = {grant.holder for grant in self.granted}
        return Holder.SERVICEACCOUNT if Holder.SERVICEACCOUNT in holders else Holder.VNODES

    def _grants(self, one: Right | str) -> tuple[Grant, ...]:
        wanted = one if isinstance(one, str) else one.id
        found = tuple(grant for grant in self.granted if grant.right.id == wanted)
        if not found:
            raise KeyError(wanted)
        return found


#: Name of a defect to the rights that it takes away, whoever holds them. Source: the catalogue of defects.
TAKEN_AWAY: Mapping[str, tuple[Right, ...]] = {
    "system-node-unbound": (SYSTEM_NODE,),
    "node-proxier-unbound": (SYSTEM_NODE_PROXIER,),
    "nodeclient-missing": (NODECLIENT,),
    "selfnodeclient-missing": (SELFNODECLIENT,),
    "pods-update-missing": (PODS_UPDATE,),
    "pods-patch-missing": (PODS_PATCH,),
    "pvc-update-missing": (CLAIMS_UPDATE,),
    "pvc-patch-missing": (CLAIMS_PATCH,),
    "endpoints-right-missing": (ENDPOINTS_CREATE, ENDPOINTS_UPDATE),
}
#: Defects that `Holding.with_defect` knows.
DEFECTS = frozenset(
    {*TAKEN_AWAY, "system-node-role-emptied", "extra-right-secrets-delete", "bootstrap-group-can-view"}
)
_SECRETS_DELETE = Rule(("delete",), "secrets")
#: view grants this, and nothing of the page's table does to a bootstrap token.
_ONLY_VIEW = Rule(("list",), "deployments", "apps")
