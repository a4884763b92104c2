"""From what the command line said to :class:`Settings`, refusing what can be known to be wrong.

Every refusal is a :class:`UsageError` of one line that names what is allowed; pytest ends with status 4.
What only a server can tell is a clause, not a usage error.
"""

from __future__ import annotations

import difflib
import ipaddress
import os
import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from vnode_suite.clusters.kind.program import check_pytest_kind
from vnode_suite.core.errors import UsageError
from vnode_suite.core.settings import (
    CloudSettings,
    ClusterSettings,
    GivenVNode,
    ReportSettings,
    ScopeSettings,
    Settings,
)
from vnode_suite.data.catalogue import load_catalogue
from vnode_suite.data.deadlines import load_deadlines
from vnode_suite.data.defects import load_defects
from vnode_suite.data.regions import load_regions
from vnode_suite.data.versions import Versions, load_versions
from vnode_suite.model import Cell, Cloud, Identity, Profile, Provider
from vnode_suite.pytest_plugin.cloud_usage import can_be_had, endpoint, has_a_place, tape
from vnode_suite.pytest_plugin.options import KUBECONFIG, OPTIONS
from vnode_suite.pytest_plugin.usage_given import given_vnode, identities_of

_TAINT_EFFECTS = ("NoSchedule", "NoExecute", "PreferNoSchedule")
#: CreateVirtualNode's rule for VirtualNodeName (API reference 2018-08-08).
_NODE_NAME = re.compile(r"[a-z0-9.-]{2,128}")
#: CreateVirtualNode takes up to 20 tags and 20 taints (API reference 2018-08-08).
_MOST_PAIRS = 20
_MOST_VSWITCHES = 10
#: More VNodes than this in a cell say nothing more, and each is a process here or money there.
_MOST_VNODES = 20
#: What is accepted unless ``--vnode-identity`` says otherwise.
_BOTH = ("bootstrap", "serviceaccount")

E = TypeVar("E")


def build_settings(values: Mapping[str, Any]) -> Settings:
    """Resolve option *values* (by short name) into settings.

    :raises UsageError: naming the option, what was given and what is allowed.
    """
    values = {**_settings_file(values.get("settings")), **values}
    for option in OPTIONS:
        if option.choices and option.short in values:
            _one_of(f"--{option.flag}", values[option.short], option.choices)
    cluster = _cluster(values)
    given = given_vnode(values, cluster)
    cloud = _cloud(values, cluster)
    scope = _scope(values, cluster, given)
    can_be_had(scope, cloud)
    cells = _cells(values, cluster, scope, given)
    if cloud.record and len({cell.version for cell in cells}) > 1:
        raise UsageError(
            "--vnode-record takes one Kubernetes version a run", wanted="one --vnode-k8s-version"
        )
    return Settings(
        cells=cells,
        cluster=cluster,
        cloud=cloud,
        scope=scope,
        report=ReportSettings(
            folder=Path(values.get("report-dir", "reports")), language=values.get("report-lang", "en")
        ),
        given=given,
        count=_count(values.get("count", 1)),
        keep=values.get("keep", "never"),
        plan_only=bool(values.get("plan", False)),
    )


def _settings_file(path: str | None) -> dict[str, Any]:
    if path is None:
        return {}
    try:
        content = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"--vnode-settings {path} cannot be read", found=error.strerror) from None
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"--vnode-settings {path} is no TOML", found=str(error)) from None
    known = {option.short: option for option in (*OPTIONS, KUBECONFIG)}
    for name, value in content.items():
        if name not in known:
            raise UsageError(
                f"--vnode-settings {path} has an unknown entry {name!r}", wanted=_near(name, known)
            )
        if known[name].repeatable and not isinstance(value, list):
            content[name] = [value]
    return content


def _cluster(values: Mapping[str, Any]) -> ClusterSettings:
    kubeconfig = values.get("kubeconfig")
    wanted = values.get("cluster", "auto")
    provider = Provider.EXISTING if kubeconfig else Provider.LOCAL
    if wanted != "auto":
        provider = Provider(wanted)
    if provider is Provider.EXISTING and not kubeconfig:
        raise UsageError("--vnode-cluster existing needs --kubeconfig FILE")
    if provider is not Provider.EXISTING and kubeconfig:
        raise UsageError(
            f"--kubeconfig and --vnode-cluster {provider.value} exclude each other",
            remedy="leave one of them out: a given kubeconfig is an existing cluster",
        )
    for part in str(kubeconfig).split(os.pathsep) if kubeconfig else ():
        if not Path(part).expanduser().is_file():
            raise UsageError(f"--kubeconfig {part} is no file")
    if provider is Provider.EXISTING and "cloud" not in values:
        raise UsageError(
            "an existing cluster needs --vnode-cloud too",
            wanted="emulator, live or replay",
            remedy="say emulator only if simulated nodes may join that cluster",
        )
    if values.get("context") and provider is not Provider.EXISTING:
        raise UsageError("--vnode-context needs --kubeconfig FILE")
    if provider is Provider.KIND:
        check_pytest_kind()
    default = "off" if provider is Provider.EXISTING else "on"
    return ClusterSettings(
        provider=provider,
        kubeconfig=_absolute(kubeconfig) if kubeconfig else None,
        context=values.get("context"),
        site=values.get("site", "ecs"),
        apply_exclusion=values.get("apply-exclusion", default),
    )


def _absolute(kubeconfig: str) -> Path:
    """The file, or several joined as in ``KUBECONFIG``: a sweep finds them again from any folder."""
    parts = (Path(part).expanduser().absolute() for part in str(kubeconfig).split(os.pathsep))
    return Path(os.pathsep.join(map(str, parts)))


def _cloud(values: Mapping[str, Any], cluster: ClusterSettings) -> CloudSettings:
    cloud = Cloud(values.get("cloud", "emulator"))
    if cloud is Cloud.LIVE and cluster.provider is not Provider.EXISTING:
        raise UsageError(
            f"--vnode-cloud live and --vnode-cluster {cluster.provider.value} exclude each other",
            remedy="the cloud can only reach a cluster of yours: give --kubeconfig FILE",
        )
    faults = values.get("eci-faults")
    if faults and cloud is not Cloud.EMULATOR:
        raise UsageError("--vnode-eci-faults is only for --vnode-cloud emulator")
    vswitches = tuple(values.get("vswitch", ()))
    if len(vswitches) > _MOST_VSWITCHES:
        raise UsageError(
            f"--vnode-vswitch was given {len(vswitches)} times", wanted="1 to 10 vSwitches of one VPC"
        )
    if cloud is Cloud.LIVE and not values.get("id"):
        has_a_place(values)
    name = values.get("name")
    if name is not None and not _NODE_NAME.fullmatch(name):
        raise UsageError(
            f"--vnode-name {name!r} is no VirtualNodeName", wanted="2 to 128 of a-z, 0-9, '.' and '-'"
        )
    region = _region(values)
    return CloudSettings(
        cloud=cloud,
        region=region,
        **endpoint(values, cloud),
        **tape(values, cloud, region),
        faults=_faults(faults) if faults else (),
        vswitches=vswitches,
        security_group=values.get("security-group"),
        resource_group=values.get("resource-group"),
        zone=values.get("zone"),
        name=name,
        tags=tuple(_tag(text) for text in _at_most("--vnode-tag", values.get("tag", ()))),
        taints=tuple(_taint(text) for text in _at_most("--vnode-taint", values.get("taint", ()))),
        cluster_dns=tuple(_address(text) for text in values.get("cluster-dns", ())),
        cluster_domain=values.get("cluster-domain"),
    )


def _faults(path: str) -> tuple[Mapping[str, Any], ...]:
    from vnode_suite.eci.emulator import read_faults

    if not Path(path).is_file():
        raise UsageError(f"--vnode-eci-faults {path} is no file")
    return read_faults(Path(path))


def _region(values: Mapping[str, Any]) -> str:
    region = values.get("region") or os.environ.get("ALIBABA_CLOUD_REGION_ID", "")
    regions = load_regions()
    if not region:
        raise UsageError(
            "no region was given", wanted="--region REGION, such as cn-shanghai, or ALIBABA_CLOUD_REGION_ID"
        )
    if region not in regions:
        raise UsageError(
            f"--region {region} is no region that ECI is known to serve", wanted=_near(region, regions)
        )
    return str(region)


def _count(text: Any) -> int:
    number = int(text) if str(text).isdigit() else 0
    if not 1 <= number <= _MOST_VNODES:
        raise UsageError(f"--vnode-count {text} is not understood", wanted=f"1 to {_MOST_VNODES}")
    return number


def _scope(values: Mapping[str, Any], cluster: ClusterSettings, given: GivenVNode | None) -> ScopeSettings:
    revision = values.get("page-revision", "2024-02")
    catalogue = load_catalogue(revision)
    selection = tuple(
        part.strip() for text in values.get("clause", ()) for part in text.split(",") if part.strip()
    )
    catalogue.select(selection)
    defects = load_defects()
    for name in values.get("defect", ()):
        if name not in defects:
            raise UsageError(
                f"--vnode-defect {name} is not in the catalogue", wanted=_near(name, defects.names)
            )
    waivers = values.get("waivers")
    if waivers and not Path(waivers).is_file():
        raise UsageError(f"--vnode-waivers {waivers} is no file")
    default = "off" if cluster.provider is Provider.EXISTING or given else "on"
    return ScopeSettings(
        page_revision=revision,
        profile=Profile(values.get("profile", "standard")),
        selection=selection,
        controls=values.get("controls", default) != "off" and not values.get("defect"),
        every_control=values.get("controls") == "all",
        defects=tuple(values.get("defect", ())),
        security_required=bool(values.get("security-required", False)),
        strict_should=bool(values.get("strict-should", False)),
        waivers=Path(waivers) if waivers else None,
        soak_seconds=_soak(values, cluster),
        deadlines=_deadlines(values.get("deadline", ())),
    )


_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}


def _soak(values: Mapping[str, Any], cluster: ClusterSettings) -> float:
    """Seconds of ``--vnode-soak``."""
    text = values.get("soak")
    if text is None:
        return 0.0
    if values.get("profile") != "full":
        raise UsageError("--vnode-soak needs --vnode-profile full", remedy="it takes as long as you say")
    if cluster.provider is Provider.LOCAL:
        raise UsageError(
            "--vnode-soak is for a cluster of your own: --kubeconfig FILE",
            remedy="leave it out: the local provider makes certificates that live for seconds",
        )
    number, unit = str(text)[:-1], str(text)[-1:]
    if unit not in _UNITS or not number.isdigit() or not int(number):
        raise UsageError(f"--vnode-soak {text!r} is not understood", wanted="90s, 30m, 12h or 400d")
    return int(number) * _UNITS[unit]


def _deadlines(texts: Iterable[str]) -> dict[str, float]:
    changed: dict[str, float] = {}
    for text in texts:
        name, _, seconds = text.partition("=")
        try:
            changed[name] = float(seconds)
        except ValueError:
            raise UsageError(f"--vnode-deadline {text!r} is not understood", wanted="NAME=SECONDS") from None
        if changed[name] <= 0:
            raise UsageError(f"--vnode-deadline {text!r} is not understood", wanted="more than 0 seconds")
    load_deadlines(changed, simulated=False)
    return changed


def _cells(
    values: Mapping[str, Any], cluster: ClusterSettings, scope: ScopeSettings, given: GivenVNode | None
) -> tuple[Cell, ...]:
    asked = [*dict.fromkeys(values.get("identity", ()))]
    known = [identity.value for identity in Identity if given is not None or identity is not Identity.UNKNOWN]
    for name in asked:
        _one_of("--vnode-identity", name, known)
    identities = identities_of(given, asked) if given else tuple(Identity(name) for name in asked or _BOTH)
    versions = _versions(values.get("k8s-version"), cluster, scope)
    return tuple(Cell(version, identity, cluster.provider) for version in versions for identity in identities)


def _versions(texts: Sequence[str] | None, cluster: ClusterSettings, scope: ScopeSettings) -> tuple[str, ...]:
    table = load_versions()
    first, last = load_catalogue(scope.page_revision).window
    window = [minor for minor in table.minors if _order(first) <= _order(minor) <= _order(last)]
    if cluster.provider is Provider.EXISTING:
        if texts:
            raise UsageError(
                "--vnode-k8s-version and --kubeconfig exclude each other",
                remedy="a given cluster has its own version",
            )
        return ("given",)
    if not texts:
        return (window[-1],)
    chosen: dict[str, str] = {}
    for text in texts:
        for version in _expanded(text, window, table):
            minor = ".".join(version.split(".")[:2])
            if chosen.setdefault(minor, version) != version:
                raise UsageError(
                    f"--vnode-k8s-version asks for both {chosen[minor]} and {version}",
                    wanted="one patch of a minor in one run: both would share an id",
                )
    return tuple(chosen[minor] for minor in sorted(chosen, key=_order))


def _expanded(text: str, window: Sequence[str], table: Versions) -> Sequence[str]:
    ends = f"{window[0]}-{window[-1]}"
    allowed = f"{ends} (the page revision's window), a patch of one of them, a range such as {ends}, or all"
    if text == "all":
        return window
    first, dash, last = text.partition("-")
    minors = [".".join(end.split(".")[:2]) for end in (first, last or first)]
    if not all(re.fullmatch(r"\d+\.\d+(\.\d+)?", end) for end in (first, last or first)) or any(
        minor not in window for minor in minors
    ):
        raise UsageError(f"--vnode-k8s-version {text} is outside the window", wanted=allowed)
    if not dash:
        table.resolve(text)
        return (text,)
    begin, end = window.index(minors[0]), window.index(minors[1])
    if begin > end:
        raise UsageError(f"--vnode-k8s-version {text} runs backwards", wanted=allowed)
    return window[begin : end + 1]


def _order(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))


def _tag(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not key or not equals:
        raise UsageError(f"--vnode-tag {text!r} is not understood", wanted="KEY=VALUE")
    if key.startswith("vnode-suite:"):
        raise UsageError(
            f"--vnode-tag {key} is reserved", wanted="a key that does not begin with vnode-suite:"
        )
    return key, value


def _taint(text: str) -> tuple[str, str, str]:
    pair, colon, effect = text.rpartition(":")
    key, equals, value = pair.partition("=")
    if not colon or not key or not equals or effect not in _TAINT_EFFECTS:
        raise UsageError(
            f"--vnode-taint {text!r} is not understood",
            wanted=f"KEY=VALUE:EFFECT with an effect of {', '.join(_TAINT_EFFECTS)}",
        )
    return key, value, effect


def _address(text: str) -> str:
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        raise UsageError(f"--vnode-cluster-dns {text!r} is no IP address") from None


def _at_most(flag: str, values: Sequence[E]) -> Sequence[E]:
    if len(values) > _MOST_PAIRS:
        raise UsageError(f"{flag} was given {len(values)} times", wanted=f"at most {_MOST_PAIRS}")
    return values


def _one_of(flag: str, value: str, allowed: Iterable[str]) -> None:
    if value not in allowed:
        raise UsageError(f"{flag} {value} is not known", wanted=f"one of {', '.join(allowed)}")


def _near(name: str, known: Iterable[str]) -> str:
    names = sorted(known)
    close = difflib.get_close_matches(name, names, n=3, cutoff=0.5)
    return f"perhaps {' or '.join(close)}" if close else f"one of {', '.join(names)}"
