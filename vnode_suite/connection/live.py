"""The ECI service itself as the ECI side: what a run costs is said first, and only what the run made is changed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from vnode_suite.cleanup.nets import Nets
from vnode_suite.cleanup.undo import UndoRegistry
from vnode_suite.cleanup.virtual_nodes import delete_virtual_node
from vnode_suite.connection.cloud import CloudSide
from vnode_suite.connection.plan import billed
from vnode_suite.connection.recorded import recorded
from vnode_suite.connection.steps import StepNotReached, reason_of
from vnode_suite.core.errors import CloudError
from vnode_suite.core.secrets import Secret
from vnode_suite.eci.client import Caller, EciClient
from vnode_suite.eci.credentials import Credentials, DefaultChain, StaticCredentials, resolve
from vnode_suite.eci.endpoints import Endpoints, live, single
from vnode_suite.eci.errors import EciError
from vnode_suite.eci.guard import RUN_TAG, OwnedOnly
from vnode_suite.eci.network import NetworkReader, VSwitch
from vnode_suite.eci.sdk import SdkTransport
from vnode_suite.model import Cloud, Grade, Text, Unreached

if TYPE_CHECKING:
    from vnode_suite.connection.run import Run

#: Seconds between two reads of the service: no limit is published for virtual nodes, and Terraform's provider asks
#: every 5 s; some ten looks of a run wait at once.
_READS_APART = 0.5
_NO_VIEW = "the network is the service's own: nothing can be looked at from inside it"


def endpoints_of(region: str, endpoint: str, ca_file: str = "") -> Endpoints:
    """Where to call: the service's public hosts, or *endpoint*, which stands for all of them."""
    return single(endpoint, region, ca_file) if endpoint else live(region)


@contextmanager
def open_live(run: Run) -> Iterator[CloudSide]:
    """Find out whose bill it is, say what will be on it, and connect.

    What a recorded or judged row is worth as evidence depends on where the calls go: only the service's own hosts,
    over TLS that the machine trusts, are the service. An endpoint of the user's is graded simulated, whoever answers.

    :raises StepNotReached: the service does not take the credentials, or refuses to say whose they are.
    :raises EciUnreachable: it does not answer.
    """
    settings = run.settings.cloud
    where = endpoints_of(settings.region, settings.endpoint or "", str(settings.endpoint_ca or ""))
    try:
        sdk = SdkTransport(where, _credentials())
        caller = EciClient(settings.region, sdk).caller()
        known = NetworkReader(EciClient(settings.region, sdk)).vswitches(settings.vswitches)
    except CloudError:
        raise
    except EciError as refused:
        raise StepNotReached(
            Unreached("cloud", reason_of(refused), Text(str(refused), str(refused)))
        ) from None
    side = _connected(run, sdk, where, caller, known)
    _announce(run, where, caller)
    try:
        yield side
    finally:
        _delete_what_is_left(run, side.client)
        side.client.close()


def _credentials() -> Credentials:
    """The default chain's, looked up once and known as secrets; those that may change are asked for at each call."""
    found = resolve(DefaultChain()).get_credential()
    for value, kind in (
        (found.access_key_secret, "access-key-secret"),
        (found.security_token, "security-token"),
    ):
        if value:
            Secret(value, kind)
    if found.security_token:
        return DefaultChain()
    return StaticCredentials(found.access_key_id, found.access_key_secret)


def _connected(
    run: Run, sdk: SdkTransport, where: Endpoints, caller: Caller, known: list[VSwitch]
) -> CloudSide:
    settings, vpc = run.settings.cloud, known[0].vpc_id if known else ""
    cidrs = {switch.id: switch.cidr for switch in known}
    vswitches = {name: cidrs.get(name, "") for name in settings.vswitches}
    group = settings.security_group or ""
    place = {
        "vpc_id": vpc,
        "vswitches": vswitches,
        "security_group_id": group,
        "default_resource_group": "",
    }
    names = {caller.account_id: "ACCOUNT", caller.arn: "CALLER", sdk.access_key_id: "ACCESS-KEY-ID"}
    recorder = recorded(run, sdk, "live" if where.official else "emulator", names, place)
    client = EciClient(
        settings.region,
        OwnedOnly(recorder or sdk, (RUN_TAG, run.id)),
        reads_apart=_READS_APART if where.official else 0.0,
    )
    return CloudSide(
        client=client,
        networks=NetworkReader(client),
        kind=Cloud.LIVE,
        grade=Grade.LIVE if where.official else Grade.SIMULATED,
        region=settings.region,
        vpc_id=vpc,
        vswitches=vswitches,
        pod_cidrs=vswitches,
        security_group_id=group,
        default_resource_group="",
        host_address="",
        network="real",
        network_reason=_NO_VIEW,
        for_controls={},
        recorder=recorder,
    )


def _announce(run: Run, where: Endpoints, caller: Caller) -> None:
    """Say, before anything is made, whose account it is, what will be made there, and what that costs."""
    account = caller.account_id
    run.ledger.write(
        "note",
        text=Text(
            f"region {where.region}, account {account} ({caller.arn}), ECI at {where.host('eci')}",
            f"地域 {where.region},账号 {account}({caller.arn}),ECI 接入点 {where.host('eci')}",
        ),
    )
    if not where.official:
        run.ledger.write(
            "note",
            text=Text(
                f"{where.host('eci')} is no endpoint of the service's own: what it says is graded simulated",
                f"{where.host('eci')} 不是服务的官方接入点:其应答评为 simulated",
            ),
        )
    for text in billed(run.settings, run.wanted, run.defects, run.deadlines):
        run.ledger.write("note", text=text)


def _delete_what_is_left(run: Run, client: EciClient) -> None:
    """The net under the connection: after an orderly closing nothing is left; never raises."""
    registry = UndoRegistry()
    registry.register("delete-virtual-node", lambda entry: delete_virtual_node(client, entry, run.id))
    Nets(run.journal, registry).close(lambda entry: entry.undo.get("action") == "delete-virtual-node")
