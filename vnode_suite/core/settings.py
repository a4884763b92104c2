"""What a run was asked to do, resolved once and never changed afterwards."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from vnode_suite.model import Cell, Cloud, Language, Profile, Provider

Keep = Literal["never", "on-failure", "always"]
Exclusion = Literal["on", "off", "keep"]


@dataclass(frozen=True, slots=True)
class Learnt:
    """What a given cluster said of itself before anything was planned: which clauses there are depends on it."""

    #: As ``GET /version`` has it: ``v1.22.15``.
    git_version: str
    #: ``1.22``.
    minor: str
    #: Whether it has the DaemonSet ``kube-system/kube-proxy``.
    kube_proxy: bool
    #: Whether its kubeconfig names the server by a name rather than an address.
    server_by_name: bool = False
    #: Whether it serves the Selectors of eci-profile.
    eci_profile: bool = False


@dataclass(frozen=True, slots=True)
class ClusterSettings:
    """Which API server, and who gives it."""

    provider: Provider = Provider.LOCAL
    #: Kubeconfig of an existing cluster; several files are joined as in ``KUBECONFIG``.
    kubeconfig: Path | None = None
    context: str | None = None
    #: ``None`` where the run makes the cluster itself.
    learnt: Learnt | None = None
    site: Literal["ecs", "idc"] = "ecs"
    #: Patch the cluster's kube-proxy; ``keep`` leaves the patch in place at the end.
    apply_exclusion: Exclusion = "on"


@dataclass(frozen=True, slots=True)
class CloudSettings:
    """Who answers for the ECI API, and what CreateVirtualNode is given."""

    cloud: Cloud = Cloud.EMULATOR
    region: str = ""
    #: Stands for the service's own endpoints, as ``http://HOST:PORT`` or ``https://HOST:PORT``; live only.
    endpoint: str | None = None
    #: PEM file of the CA that the endpoint's certificate comes from.
    endpoint_ca: Path | None = None
    record: Path | None = None
    cassette: Path | None = None
    #: How the run of the cassette was made: a live one leaves out what would cost money.
    recorded_from: Cloud | None = None
    #: Faults that the emulator answers with, as it writes them; in force in each version's emulator.
    faults: tuple[Mapping[str, Any], ...] = ()
    vswitches: tuple[str, ...] = ()
    security_group: str | None = None
    resource_group: str | None = None
    zone: str | None = None
    name: str | None = None
    #: ``(key, value)`` pairs.
    tags: tuple[tuple[str, str], ...] = ()
    #: ``(key, value, effect)`` triples.
    taints: tuple[tuple[str, str, str], ...] = ()
    cluster_dns: tuple[str, ...] = ()
    cluster_domain: str | None = None


@dataclass(frozen=True, slots=True)
class GivenVNode:
    """A VNode that was made elsewhere (by hand, Terraform, the console), to be accepted as it is."""

    #: ``vnd-...``.
    id: str
    #: The kubeconfig that it was handed; ``None`` where nobody has it.
    kubeconfig: Path | None = None
    #: As whom it acts, where only the name is known, with the groups that the server sees it in.
    user: str = ""
    groups: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ScopeSettings:
    """What is judged, and how strictly."""

    page_revision: str = "2024-02"
    profile: Profile = Profile.STANDARD
    #: Clause ids or chapters; empty: all.
    selection: tuple[str, ...] = ()
    controls: bool = True
    #: Every control and every provoked failure on every version, where several are run; else they take turns.
    every_control: bool = False
    #: Defects injected into the run itself, to see the suite find them.
    defects: tuple[str, ...] = ()
    security_required: bool = False
    strict_should: bool = False
    waivers: Path | None = None
    #: For how long the certificate of a VNode on a given cluster is watched, in seconds; 0: not at all.
    soak_seconds: float = 0.0
    #: Entries of the table of deadlines that were changed, in seconds.
    deadlines: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ReportSettings:
    """Where a run writes, and in which language it speaks first."""

    folder: Path = Path("reports")
    language: Language = "en"


@dataclass(frozen=True, slots=True)
class Settings:
    """One acceptance run."""

    cells: tuple[Cell, ...]
    cluster: ClusterSettings
    cloud: CloudSettings
    scope: ScopeSettings
    report: ReportSettings
    #: Accepted instead of one that the run makes.
    given: GivenVNode | None = None
    #: How many VNodes each cell connects.
    count: int = 1
    keep: Keep = "never"
    plan_only: bool = False

    @property
    def versions(self) -> tuple[str, ...]:
        """The versions of the cells, each once, in order."""
        return tuple(dict.fromkeys(cell.version for cell in self.cells))

    @property
    def takes_turns(self) -> bool:
        """Whether what could be shown on each version alike is spread over those of the run instead: negative
        controls, and the failures that EVENT-04 provokes."""
        return len(self.versions) > 1 and not self.scope.every_control

    def cells_of(self, version: str) -> tuple[Cell, ...]:
        """The cells of one version, in order."""
        return tuple(cell for cell in self.cells if cell.version == version)
