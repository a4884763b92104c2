"""Creating objects so that they can be undone: written down first, and never over what is somebody else's."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from vnode_suite.access import objects
from vnode_suite.access.kubeconfig import AccessError, RightMissing
from vnode_suite.access.objects import CELL_LABEL, MANAGED_BY, RUN_LABEL, SUITE, Json
from vnode_suite.cleanup.journal import Entry, Journal
from vnode_suite.clusters.kube import AccessRequest, KubeClient, KubeError

#: Parts of an object that the server fills in, or that say nothing about what it is for.
_COMPARED = ("rules", "roleRef", "subjects", "data", "spec", "type", "automountServiceAccountToken")


@dataclass(frozen=True, slots=True)
class Made:
    """An object as the API server has it, and whether it was not there before."""

    object: Json
    fresh: bool


@dataclass(frozen=True, slots=True)
class Making:
    """On which cluster objects are made, and where that is written down.

    :ivar journal: None for what is to stay, such as what `vnode-suite kubeconfig` makes for a user.
    :ivar cluster_ref: name under which the journal knows the cluster.
    """

    kube: KubeClient
    journal: Journal | None = None
    cluster_ref: str = "cluster"

    def ensure(self, body: Mapping[str, Any]) -> Made:
        """The object, created unless it is there already; harmless to repeat.

        :raises RightMissing: the cluster refused for want of a right.
        :raises AccessError: an object of that name is there which the suite did not make.
        """
        entry = self.announce(body)
        try:
            made = self.kube.create(objects.collection_path(body), body)
        except KubeError as problem:
            if entry is not None:
                entry.undone()
            if problem.status != 409:
                raise refused(problem, "create", body) from None
            return Made(self._adopt(body), fresh=False)
        if entry is not None:
            entry.done(uid=made["metadata"]["uid"])
        return Made(made, fresh=True)

    def announce(self, body: Mapping[str, Any]) -> Entry | None:
        """Write down that `body` is about to be created, here or by a client with fewer rights."""
        if self.journal is None:
            return None
        undo = {
            "action": "delete-object",
            "cluster": self.cluster_ref,
            "path": objects.path(body),
            # Some names are not ours to choose (a bootstrap token's Secret): the cell is told apart by this.
            "cell": body["metadata"].get("labels", {}).get(CELL_LABEL),
        }
        return self.journal.intend(body["kind"], body["metadata"]["name"], undo)

    def _adopt(self, body: Mapping[str, Any]) -> Json:
        where = objects.path(body)
        there = self.kube.get(where)
        if not _ours(there, body):
            raise AccessError(
                f"{body['kind']} {body['metadata']['name']} is there already and was not made by this",
                wanted=f"no such object, or one labelled {MANAGED_BY}={SUITE} by the same run",
                remedy="look what it is for; rename or delete it, or use another cluster",
            )
        if _same(there, body):
            return there
        try:
            if there.get("roleRef") != body.get("roleRef"):
                # The API server lets nobody change whom a binding refers to.
                self.kube.delete(where)
                return self.kube.create(objects.collection_path(body), body)
            version = {"resourceVersion": there["metadata"]["resourceVersion"]}
            return self.kube.replace(where, {**body, "metadata": {**body["metadata"], **version}})
        except KubeError as problem:
            raise refused(problem, "update", body) from None

    def remove(self, body: Mapping[str, Any]) -> None:
        """Delete the object; harmless if it is gone."""
        where = objects.path(body)
        try:
            self.kube.delete(where)
        except KubeError as problem:
            if problem.status != 404:
                raise refused(problem, "delete", body) from None
        if self.journal is not None:
            for entry in self.journal.left:
                if entry.undo.get("path") == where and entry.undo.get("cluster") == self.cluster_ref:
                    entry.undone()

    def missing_rights(self, bodies: Iterable[Mapping[str, Any]]) -> tuple[str, ...]:
        """What this client may not do of what creating `bodies` takes: "create secrets in kube-system"."""
        requests = {_creating(body) for body in bodies}
        decisions = self.kube.access_reviews(sorted(requests, key=str))
        return tuple(str(one.request) for one in decisions if not one.allowed)


def refused(problem: KubeError, verb: str, body: Mapping[str, Any]) -> AccessError:
    """The server's refusal as an error addressed to a person."""
    kind, name = body["kind"], body["metadata"]["name"]
    if problem.status == 403:
        request = _creating(body)
        return RightMissing(
            f"the kubeconfig's user may not {verb} {str(request).partition(' ')[2]} ({kind} {name})",
            found=problem.message,
            remedy="use the kubeconfig of a cluster administrator, or have that right granted",
        )
    return AccessError(f"{kind} {name} could not be {verb}d", found=problem.message or str(problem))


def _creating(body: Mapping[str, Any]) -> AccessRequest:
    group = body["apiVersion"].rpartition("/")[0]
    plural = objects.collection_path(body).rpartition("/")[2]
    return AccessRequest("create", plural, group, namespace=body["metadata"].get("namespace", ""))


def _ours(there: Mapping[str, Any], body: Mapping[str, Any]) -> bool:
    have, want = there["metadata"].get("labels") or {}, body["metadata"].get("labels") or {}
    return all(have.get(label) == want.get(label) for label in (MANAGED_BY, RUN_LABEL, CELL_LABEL))


def _same(there: Mapping[str, Any], body: Mapping[str, Any]) -> bool:
    return all(_contains(there.get(part), body[part]) for part in _COMPARED if part in body)


def _contains(there: Any, wanted: Any) -> bool:
    """Whether all that is wanted is there; the server adds defaults of its own."""
    if isinstance(wanted, Mapping):
        return isinstance(there, Mapping) and all(
            _contains(there.get(key), value) for key, value in wanted.items()
        )
    if isinstance(wanted, list):
        return (
            isinstance(there, list)
            and len(there) == len(wanted)
            and all(_contains(a, b) for a, b in zip(there, wanted, strict=True))
        )
    return bool(there == wanted)
