"""CREATE: looking at the call and at what it made."""

from __future__ import annotations

import base64
import json
from contextlib import suppress
from dataclasses import asdict, replace
from typing import Any

from vnode_suite.checks.create import (
    Call,
    Choice,
    Pairs,
    Place,
    PodPlace,
    Repetition,
    ResourceGroup,
    TlsFlag,
)
from vnode_suite.connection.creating import create_request, parameter_left_out
from vnode_suite.connection.steps import StepNotReached
from vnode_suite.connection.subject import Subject
from vnode_suite.core.errors import DeadlineExceeded
from vnode_suite.core.polling import poll
from vnode_suite.eci.errors import EciError
from vnode_suite.eci.models import VirtualNode
from vnode_suite.model import Evidence, Observation, Source, Text, Unreached
from vnode_suite.probes.vnodes import ASK_AGAIN, find


def call(subject: Subject) -> Observation[Call]:
    """The call as it was sent, and its answer."""
    left_out = parameter_left_out(subject)
    if left_out:
        return _call_without(subject, left_out)
    subject.preconditions()
    outcome = subject.outcome(subject.vnode)
    if outcome.product is None:
        assert outcome.unreached is not None  # noqa: S101 - narrowing
        if outcome.unreached.step != "vnode":
            # The call was not made, or a replay has no answer to it: nobody refused it.
            raise StepNotReached(outcome.unreached)
        return Observation(_refused(subject, outcome.unreached), Source.CLOUD)
    created = outcome.product
    sent = ("RegionId", *created.request.to_wire())
    evidence = Evidence("CreateVirtualNode", f"sent {', '.join(sent)}\nanswered {created.id}")
    return Observation(Call(sent, created.id), Source.CLOUD, evidence=(evidence,))


def _refused(subject: Subject, unreached: Unreached) -> Call:
    detail, remedy = unreached.detail.en, unreached.remedy.en if unreached.remedy else ""
    if remedy:
        # It stands beside, in its own place.
        detail = detail.removesuffix(f"; what to do: {remedy}")
    return Call(tuple(_wire(subject)), "", unreached.reason, detail, remedy)


def _wire(subject: Subject) -> dict[str, Any]:
    return {"RegionId": subject.world.cloud.region, **create_request(subject).to_wire()}


#: What only the page asks for: the API takes a call without it, so the suite refuses to send one.
_ASKED_BY_THE_PAGE_ALONE = ("KubeConfig", "TlsBootstrapEnabled")


def _call_without(subject: Subject, name: str) -> Observation[Call]:
    parameters = _wire(subject)
    del parameters[name]
    if name in _ASKED_BY_THE_PAGE_ALONE:
        refusal, message = "NotSent", f"the page asks for {name}; the API would take the call without it"
        return Observation(Call(tuple(parameters), "", refusal, message), Source.LOCAL)
    try:
        answer = subject.world.cloud.client.send("eci", "CreateVirtualNode", parameters)
    except EciError as refused:
        said = Call(tuple(parameters), "", refused.code or type(refused).__name__, refused.summary)
        return Observation(said, Source.CLOUD, evidence=(Evidence("CreateVirtualNode", str(refused)),))
    return Observation(Call(tuple(parameters), str(answer.get("VirtualNodeId", ""))), Source.CLOUD)


def tls_flag(subject: Subject) -> Observation[TlsFlag]:
    """TlsBootstrapEnabled as it is sent."""
    subject.preconditions()
    sent = False if subject.has("create-without-tls-flag") else create_request(subject).tls_bootstrap
    return Observation(TlsFlag(subject.identity_kind.value, sent), Source.LOCAL)


def repetition(subject: Subject) -> Observation[Repetition]:
    """The same call again under its ClientToken (with another name, for a twin)."""
    sound = subject if subject.sound is None else subject.sound
    created = sound.vnode()
    request = created.request
    if subject.has("repeat-with-other-parameters"):
        request = replace(request, name=f"{request.name}-other")
    try:
        second = subject.world.cloud.client.create_virtual_node(request)
    except EciError as refused:
        return Observation(Repetition(created.id, "", refused.code), Source.CLOUD)
    return Observation(Repetition(created.id, second), Source.CLOUD)


def described(subject: Subject) -> tuple[VirtualNode, Evidence]:
    """The VNode as DescribeVirtualNodes shows it, without its events."""
    created, client = subject.vnode(), subject.world.cloud.client
    found = None
    with suppress(DeadlineExceeded):
        found = poll(
            lambda: find(client, created.id),
            what=f"{created.id} to be listed",
            deadline_seconds=subject.cell.seconds("describe-consistent"),
            interval_seconds=ASK_AGAIN,
        )
    if found is None:
        detail = Text(f"{created.id} is not listed", f"未列出 {created.id}")
        raise StepNotReached(Unreached("vnode", "not-listed", detail))
    shown = {key: value for key, value in asdict(found).items() if key != "events"}
    return found, Evidence("DescribeVirtualNodes", json.dumps(shown, indent=1), "json")


def settled(subject: Subject) -> tuple[VirtualNode, Evidence]:
    """As :func:`described`, once the VNode has an address (it is given while the VNode starts)."""
    created, client = subject.vnode(), subject.world.cloud.client

    def addressed() -> VirtualNode | None:
        found = find(client, created.id)
        return found if found is not None and found.intranet_ip else None

    # The check says that it has none.
    with suppress(DeadlineExceeded):
        poll(
            addressed,
            what=f"an address of {created.id}",
            # The call that gives it has been answered: it comes with the VNode's own start.
            deadline_seconds=subject.cell.seconds("node-registered"),
            interval_seconds=ASK_AGAIN,
        )
    return described(subject)


def tags(subject: Subject) -> Observation[Pairs]:
    """Tags given and tags there."""
    given = tuple(f"{k}={v}" for k, v in subject.vnode().request.tags.items())
    found, evidence = described(subject)
    return Observation(
        Pairs(given, tuple(f"{k}={v}" for k, v in found.tags.items())), Source.CLOUD, evidence=(evidence,)
    )


def taints(subject: Subject) -> Observation[Pairs]:
    """Taints given and those of the Node."""
    given = tuple(f"{t.key}={t.value}:{t.effect}" for t in subject.vnode().request.taints)
    node = subject.world.kube.get(f"/api/v1/nodes/{subject.node().name}")
    found = tuple(f"{t['key']}={t.get('value', '')}:{t['effect']}" for t in node["spec"].get("taints") or ())
    return Observation(
        Pairs(given, found), Source.CLUSTER, evidence=(Evidence("Node.spec.taints", "\n".join(found)),)
    )


def resource_group(subject: Subject) -> Observation[ResourceGroup]:
    """The resource group asked for and the one it is in."""
    found, evidence = described(subject)
    asked = subject.vnode().request.resource_group_id
    if not asked and not subject.world.cloud.default_resource_group:
        detail = Text(
            "which resource group is the account's default is not known here: give --vnode-resource-group",
            "此处不知道账号的默认资源组:请指定 --vnode-resource-group",
        )
        raise StepNotReached(Unreached("request", "default-group-unknown", detail))
    value = ResourceGroup(asked, found.resource_group_id, subject.world.cloud.default_resource_group)
    return Observation(value, Source.CLOUD, evidence=(evidence,))


def place(subject: Subject) -> Observation[Place]:
    """Region, VPC, vSwitch, security group and address, asked for and found."""
    found, evidence = settled(subject)
    cloud, request = subject.world.cloud, subject.vnode().request
    value = Place(
        region=(cloud.region, found.region),
        vpc=(cloud.vpc_id, found.vpc_id),
        security_group=(request.security_group_id, found.security_group_id),
        vswitches=request.vswitch_ids,
        vswitch=found.vswitch_id,
        address=found.intranet_ip,
        cidr=cloud.vswitches.get(found.vswitch_id, ""),
    )
    return Observation(value, Source.CLOUD, evidence=(evidence,))


def pod_place(subject: Subject) -> Observation[PodPlace]:
    """A Pod's address, and the CIDR of the vSwitch asked for."""
    name = subject.pod().name
    pod = subject.world.kube.get(f"/api/v1/namespaces/default/pods/{name}")
    cidr = subject.world.cloud.pod_cidrs[subject.vnode().request.vswitch_ids[0]]
    return Observation(PodPlace(name, str(pod["status"].get("podIP", "")), cidr), Source.CLUSTER)


def choice(subject: Subject) -> Observation[Choice]:
    """The vSwitches given and the one the VNode lies in."""
    found, evidence = described(subject)
    return Observation(
        Choice(subject.vnode().request.vswitch_ids, found.vswitch_id), Source.CLOUD, evidence=(evidence,)
    )


def sent_form(subject: Subject) -> Observation[str]:
    """Which form of the kubeconfig is sent, by decoding what goes on the wire."""
    subject.preconditions()
    request = create_request(subject)
    decoded = base64.b64decode(request.to_wire()["KubeConfig"]).decode()
    form = "plain Base64 is sent" if decoded == request.kubeconfig else "another form is sent"
    return Observation(form, Source.LOCAL)
