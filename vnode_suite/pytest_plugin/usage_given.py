"""``--vnode-id`` and what goes with it: a VNode that was made elsewhere, and who it is."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from vnode_suite.access.credential import identity_of, read_credential
from vnode_suite.core.errors import UsageError
from vnode_suite.core.settings import ClusterSettings, GivenVNode
from vnode_suite.model import Cloud, Identity, Provider

#: VirtualNodeId as the API reference has it (2018-08-08).
_ID = re.compile(r"vnd-[a-z0-9]{1,64}")
#: What says how a VNode is to be made, and is of no use for one that is there: name of an option to its flag.
_MAKING = {
    "defect": "--vnode-defect",
    "count": "--vnode-count",
    "zone": "--vnode-zone",
    "name": "--vnode-name",
    "cluster-dns": "--vnode-cluster-dns",
    "cluster-domain": "--vnode-cluster-domain",
    "record": "--vnode-record",
    "cassette": "--vnode-cassette",
}


def given_vnode(values: Mapping[str, Any], cluster: ClusterSettings) -> GivenVNode | None:
    """The VNode of ``--vnode-id``; ``None`` where the run makes its own.

    :raises UsageError: what was given does not go together.
    """
    wanted = values.get("id")
    if wanted is None:
        for name in ("vnode-kubeconfig", "user"):
            if values.get(name):
                flag = f"--vnode-{name.removeprefix('vnode-')}"
                raise UsageError(f"{flag} is only for --vnode-id", wanted="--vnode-id vnd-...")
        return None
    if not _ID.fullmatch(str(wanted)):
        raise UsageError(f"--vnode-id {wanted} is no VirtualNodeId", wanted="such as vnd-2ze0123456789abcdef")
    if cluster.provider is not Provider.EXISTING:
        raise UsageError("--vnode-id needs --kubeconfig FILE: the cluster that the VNode has joined")
    for name, flag in _MAKING.items():
        if values.get(name):
            raise UsageError(f"--vnode-id and {flag} exclude each other", remedy="leave one of them out")
    if values.get("controls", "off") != "off":
        raise UsageError(
            f"--vnode-id and --vnode-controls {values['controls']} exclude each other",
            remedy="a control is a twin with a defect: nobody has one of a VNode that was made elsewhere",
        )
    _reachable(values)
    return _credential(values, str(wanted))


def _reachable(values: Mapping[str, Any]) -> None:
    cloud = values.get("cloud")
    if cloud == Cloud.REPLAY:
        raise UsageError("--vnode-id and --vnode-cloud replay exclude each other")
    if cloud == Cloud.EMULATOR:
        raise UsageError(
            "--vnode-id and --vnode-cloud emulator exclude each other",
            wanted="--vnode-cloud live: an emulator of the run's own would not know the VNode",
            remedy="for one that was made at an emulator that stands, add --vnode-eci-endpoint URL",
        )


def _credential(values: Mapping[str, Any], wanted: str) -> GivenVNode:
    kubeconfig, user = values.get("vnode-kubeconfig"), values.get("user")
    if kubeconfig and user:
        raise UsageError("--vnode-kubeconfig and --vnode-user exclude each other", remedy="leave one out")
    if kubeconfig and not Path(kubeconfig).expanduser().is_file():
        raise UsageError(f"--vnode-kubeconfig {kubeconfig} is no file")
    name, *groups = [part.strip() for part in str(user or "").split(",")]
    if user and not name:
        raise UsageError(f"--vnode-user {user!r} is not understood", wanted="USER[,GROUP...]")
    return GivenVNode(
        wanted,
        kubeconfig=Path(kubeconfig).expanduser().absolute() if kubeconfig else None,
        user=name,
        groups=tuple(group for group in groups if group),
    )


def identities_of(given: GivenVNode, asked: Sequence[str]) -> tuple[Identity, ...]:
    """The one identity that a VNode has: as ``--vnode-identity`` says, else as its user or its kubeconfig tells.

    :raises UsageError: more than one was asked for.
    """
    if len(asked) > 1:
        raise UsageError(
            f"--vnode-id has one identity, and --vnode-identity was given {len(asked)} times",
            remedy="say one",
        )
    if asked:
        return (Identity(asked[0]),)
    if given.kubeconfig is not None:
        return (read_credential(given.kubeconfig).identity,)
    return (identity_of(given.user, given.groups),)
