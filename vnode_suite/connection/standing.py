"""The cluster and the cloud of a VNode that was made elsewhere: both were there before, and both stay as they are."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from vnode_suite.clusters.cluster import Cluster
from vnode_suite.connection.cloud import CloudSide
from vnode_suite.connection.live import endpoints_of
from vnode_suite.connection.steps import StepNotReached
from vnode_suite.connection.way import Way
from vnode_suite.core.settings import GivenVNode
from vnode_suite.eci.client import EciClient
from vnode_suite.eci.credentials import DefaultChain, resolve
from vnode_suite.eci.guard import RUN_TAG, OwnedOnly
from vnode_suite.eci.network import NetworkReader
from vnode_suite.eci.sdk import SdkTransport
from vnode_suite.model import Cloud, Grade, Text, Unreached

if TYPE_CHECKING:
    from vnode_suite.connection.run import Run

_NO_VIEW = "the VNode was made elsewhere: nothing can be looked at from inside its network"


def open_standing(run: Run, given: GivenVNode, cluster: Cluster, stack: ExitStack) -> tuple[CloudSide, Way]:
    """The ECI side that knows the VNode *given*, and the way between the two as it is.

    :raises StepNotReached: the cloud lists no such VNode.
    """
    return stack.enter_context(_cloud(run, given)), Way(here=cluster.server_url)


@contextmanager
def _cloud(run: Run, given: GivenVNode) -> Iterator[CloudSide]:
    settings = run.settings.cloud
    where = endpoints_of(settings.region, settings.endpoint or "", str(settings.endpoint_ca or ""))
    resolve(DefaultChain())
    # Whatever the code above it asks for: what the run did not make is only read.
    guarded = OwnedOnly(SdkTransport(where, DefaultChain()), (RUN_TAG, run.id))
    with EciClient(settings.region, guarded) as client:
        found = client.describe_virtual_node(given.id)
        if found is None:
            detail = Text(
                f"{given.id} is not listed in {settings.region}", f"{settings.region} 未列出 {given.id}"
            )
            raise StepNotReached(Unreached("vnode", "not-listed", detail))
        networks = NetworkReader(client)
        known = networks.vswitches([found.vswitch_id, *settings.vswitches])
        vswitches = {each.id: each.cidr for each in known}
        yield CloudSide(
            client=client,
            networks=networks,
            kind=Cloud.LIVE,
            # An endpoint of the user's own is graded simulated, whoever answers there.
            grade=Grade.LIVE if where.official else Grade.SIMULATED,
            region=settings.region,
            vpc_id=found.vpc_id,
            vswitches=vswitches,
            pod_cidrs=vswitches,
            security_group_id=found.security_group_id,
            default_resource_group="",
            host_address="",
            network="real",
            network_reason=_NO_VIEW,
            for_controls={},
        )
