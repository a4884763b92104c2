"""What the steps of connecting a VNode give."""

from __future__ import annotations

from dataclasses import dataclass

from vnode_suite.core.secrets import Secret
from vnode_suite.eci.models import CreateRequest


@dataclass(frozen=True, slots=True)
class Handed:
    """The kubeconfig that is handed to the VNode."""

    text: Secret
    file_name: str
    #: Who the server should take its credential for, as a prefix.
    expected_user: str


@dataclass(frozen=True, slots=True)
class Created:
    """A VNode that CreateVirtualNode answered an id for."""

    id: str
    request: CreateRequest
    #: When the call was made, on the monotonic clock.
    called_at: float
    nodes_before: frozenset[str]


@dataclass(frozen=True, slots=True)
class Joined:
    """A VNode's Node."""

    name: str
    found_by: str
    #: From the call, in seconds.
    seconds: float


@dataclass(frozen=True, slots=True)
class RunningPod:
    """A Pod of the suite's on a VNode."""

    name: str
    #: From its creation until it ran.
    seconds: float
