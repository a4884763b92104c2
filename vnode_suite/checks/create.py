"""CREATE: the call that creates a VNode, and what it made."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass

from vnode_suite.checks.registry import check
from vnode_suite.model import Judgement, Text, fails, holds, reports


@dataclass(frozen=True, slots=True)
class Call:
    """One CreateVirtualNode call and its answer."""

    sent: tuple[str, ...]
    virtual_node_id: str
    #: Empty where it was answered with an id; else the service's code or the suite's own refusal.
    refusal: str = ""
    message: str = ""
    #: What to do, where the refusal says so.
    remedy: str = ""


#: What the page's table of parameters asks for.
REQUIRED = ("RegionId", "VSwitchId", "SecurityGroupId", "KubeConfig", "TlsBootstrapEnabled")

_MISSING = {
    "RegionId": "missing-region-id",
    "VSwitchId": "missing-vswitch-id",
    "SecurityGroupId": "missing-security-group-id",
    "KubeConfig": "missing-kubeconfig",
    "TlsBootstrapEnabled": "missing-tls-bootstrap-enabled",
}


@check("CREATE-01")
def call_answers_an_id(call: Call) -> Judgement:
    """The call with the page's five parameters answers a VirtualNodeId."""
    expected = Text(f"{', '.join(REQUIRED)} sent, an id answered", f"发送 {'、'.join(REQUIRED)},返回 ID")
    missing = [name for name in REQUIRED if name not in call.sent]
    if missing:
        said = f"{', '.join(missing)} was not sent" + (f": {call.refusal}" if call.refusal else "")
        return fails(_MISSING[missing[0]], expected, Text(said, said))
    if not call.virtual_node_id:
        said = f"{call.refusal} {call.message}"
        remedy = Text(call.remedy, call.remedy) if call.remedy else None
        return fails("call-refused", expected, Text(f"refused: {said}", f"被拒绝:{said}"), remedy)
    return holds(expected, Text(f"answered {call.virtual_node_id}", f"返回 {call.virtual_node_id}"))


@dataclass(frozen=True, slots=True)
class TlsFlag:
    """Whether TlsBootstrapEnabled suits the kubeconfig."""

    identity: str
    sent: bool


@check("CREATE-02")
def tls_flag_suits_the_kubeconfig(flag: TlsFlag) -> Judgement:
    """On with a bootstrap kubeconfig, off otherwise."""
    wanted = flag.identity == "bootstrap"
    expected = Text(
        f"TlsBootstrapEnabled={wanted} with a {flag.identity} kubeconfig",
        f"{flag.identity} 方式下 TlsBootstrapEnabled={wanted}",
    )
    actual = Text(f"TlsBootstrapEnabled={flag.sent}", f"TlsBootstrapEnabled={flag.sent}")
    if flag.sent == wanted:
        return holds(expected, actual)
    return fails("tls-flag-off" if wanted else "tls-flag-on", expected, actual)


@dataclass(frozen=True, slots=True)
class Repetition:
    """The same call twice under one ClientToken."""

    first: str
    #: The id that the repetition answered; empty where it was refused.
    second: str
    refusal: str = ""


@check("CREATE-03")
def call_is_idempotent(repetition: Repetition) -> Judgement:
    """One ClientToken creates one VNode, however often the call is made."""
    expected = Text(
        f"the repetition answers {repetition.first} again", f"重复调用再次返回 {repetition.first}"
    )
    answer = repetition.second or repetition.refusal
    actual = Text(f"it answered {answer}", f"返回 {answer}")
    if repetition.refusal == "IdempotentParameterMismatch":
        return fails("parameter-mismatch", expected, actual)
    if repetition.first != repetition.second:
        return fails("second-vnode", expected, actual)
    return holds(expected, actual)


@dataclass(frozen=True, slots=True)
class Pairs:
    """What was given and what is there, as ``key=value`` texts."""

    given: tuple[str, ...]
    found: tuple[str, ...]


@check("CREATE-04")
def tags_are_on_the_vnode(tags: Pairs) -> Judgement:
    """Every tag given is on the VNode."""
    return _all_there(tags, "tag-missing", Text("every tag given", "全部标签"))


@check("CREATE-05")
def taints_are_on_the_node(taints: Pairs) -> Judgement:
    """Every taint given is on the Node, with its effect."""
    keys = {text.rpartition(":")[0] for text in taints.found}
    changed = any(text not in taints.found and text.rpartition(":")[0] in keys for text in taints.given)
    return _all_there(
        taints,
        "taint-effect-differs" if changed else "taint-missing",
        Text("every taint given, with its effect", "全部污点及其效果"),
    )


def _all_there(pairs: Pairs, reason: str, what: Text) -> Judgement:
    given = ", ".join(pairs.given)
    expected = Text(f"{what.en}: {given}", f"{what.zh}:{given}")
    found = ", ".join(pairs.found) or "-"
    actual = Text(f"found: {found}", f"实际:{found}")
    return (
        holds(expected, actual) if set(pairs.given) <= set(pairs.found) else fails(reason, expected, actual)
    )


@dataclass(frozen=True, slots=True)
class ResourceGroup:
    """Asked for (empty: none) and found."""

    asked: str
    found: str
    #: The account's default group, where it is known; empty: unknown.
    default: str = ""


@check("CREATE-06")
def resource_group_is_the_one_asked_for(group: ResourceGroup) -> Judgement:
    """The group given, or the account's default one."""
    wanted = group.asked or group.default
    expected = Text(f"resource group {wanted or '(the default one)'}", f"资源组 {wanted or '(默认资源组)'}")
    actual = Text(f"it is in {group.found or 'none'}", f"位于 {group.found or '无'}")
    right = group.found == wanted if wanted else bool(group.found)
    return holds(expected, actual) if right else fails("other-resource-group", expected, actual)


@dataclass(frozen=True, slots=True)
class Rotation:
    """Certificates of one VNode, watched through renewals."""

    #: How many were granted before the certificate before them ran out.
    renewals: int
    wanted: int
    #: Whether the Node was ever not Ready after it first was.
    not_ready: bool
    #: Who signed, and for how long.
    signer: Text
    #: ``renewal-not-approved`` where one was asked for and not granted, else ``not-renewed``.
    problem: str = ""
    detail: str = ""


@check("CREATE-07")
def certificate_is_renewed_in_time(rotation: Rotation) -> Judgement:
    """The certificate is renewed before it expires, and the Node stays Ready through it."""
    expected = Text(
        f"{rotation.wanted} renewals in time, the Node Ready throughout",
        f"及时完成 {rotation.wanted} 次续期，期间节点保持 Ready",
    )
    state = Text("; the Node was not Ready", "；节点曾未就绪") if rotation.not_ready else Text("", "")
    said = f": {rotation.detail}" if rotation.detail else ""
    actual = Text(
        f"{rotation.renewals} renewals{state.en}{said} (signed by {rotation.signer.en})",
        f"续期 {rotation.renewals} 次{state.zh}{said}（签发者：{rotation.signer.zh}）",
    )
    if rotation.renewals < rotation.wanted:
        return fails(rotation.problem or "not-renewed", expected, actual)
    return (
        fails("not-ready-through-renewal", expected, actual)
        if rotation.not_ready
        else holds(expected, actual)
    )


@dataclass(frozen=True, slots=True)
class Place:
    """Where something was asked to be, and where it is."""

    region: tuple[str, str]
    vpc: tuple[str, str]
    security_group: tuple[str, str]
    #: vSwitches asked for, and the one it is in.
    vswitches: tuple[str, ...]
    vswitch: str
    address: str
    #: CIDR of the vSwitch it says it is in; empty where it cannot be read.
    cidr: str


@check("CREATE-09")
def vnode_is_where_it_was_asked_to_be(place: Place) -> Judgement:
    """Region, VPC, vSwitch and security group are those asked for; the address lies in the vSwitch's CIDR."""
    expected = Text(
        f"{place.region[0]}, {place.vpc[0]}, one of {', '.join(place.vswitches)}, {place.security_group[0]}, "
        "an address in its CIDR",
        f"{place.region[0]},{place.vpc[0]},{'、'.join(place.vswitches)} 之一,{place.security_group[0]},地址在其网段内",
    )
    actual = Text(
        f"{place.region[1]}, {place.vpc[1]}, {place.vswitch}, {place.security_group[1]}, "
        f"{place.address} of {place.cidr}",
        f"{place.region[1]},{place.vpc[1]},{place.vswitch},{place.security_group[1]},"
        f"{place.address}(网段 {place.cidr})",
    )
    for reason, (asked, found) in (
        ("other-region", place.region),
        ("other-vpc", place.vpc),
        ("other-security-group", place.security_group),
    ):
        if asked != found:
            return fails(reason, expected, actual)
    if place.vswitch not in place.vswitches:
        return fails("other-vswitch", expected, actual)
    return _inside(place.address, place.cidr, expected, actual)


def _inside(address: str, cidr: str, expected: Text, actual: Text) -> Judgement:
    try:
        inside = ipaddress.ip_address(address) in ipaddress.ip_network(cidr)
    except ValueError:
        return fails("no-address", expected, actual)
    return holds(expected, actual) if inside else fails("address-outside-vswitch", expected, actual)


@dataclass(frozen=True, slots=True)
class PodPlace:
    """A Pod's address and the CIDR it belongs in."""

    pod: str
    address: str
    cidr: str


@check("CREATE-10")
def pods_instances_are_there_too(place: PodPlace) -> Judgement:
    """A Pod's address lies in the vSwitch's CIDR."""
    expected = Text(f"an address in {place.cidr}", f"地址位于 {place.cidr}")
    actual = Text(
        f"{place.pod} has {place.address or 'none'}", f"{place.pod} 的地址为 {place.address or '无'}"
    )
    judgement = _inside(place.address, place.cidr, expected, actual)
    return (
        judgement
        if judgement.reason != "address-outside-vswitch"
        else fails("pod-address-outside", expected, actual)
    )


@dataclass(frozen=True, slots=True)
class Choice:
    """vSwitches given and the one chosen."""

    given: tuple[str, ...]
    chosen: str


@check("CREATE-11")
def vswitch_is_one_of_those_given(choice: Choice) -> Judgement:
    """Of several vSwitches, the VNode lies in one of those given."""
    expected = Text(f"one of {', '.join(choice.given)}", f"{'、'.join(choice.given)} 之一")
    actual = Text(f"it lies in {choice.chosen}", f"位于 {choice.chosen}")
    return (
        holds(expected, actual)
        if choice.chosen in choice.given
        else fails("vswitch-not-given", expected, actual)
    )


@check("CREATE-12")
def kubeconfig_is_sent_as_plain_base64(form: str) -> Judgement:
    """Which form of the kubeconfig was sent: plain Base64, or Base64 of percent-encoded text."""
    return reports(
        Text("Base64 of the kubeconfig's text", "kubeconfig 文本的 Base64"),
        Text(
            f"{form}; the page's sample value is Base64 of percent-encoded text",
            f"{form};页面示例值为百分号编码文本的 Base64",
        ),
    )
