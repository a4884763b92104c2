"""The Kubernetes versions that the suite knows, and what differs between them, read from `versions.toml`.

Code never compares versions: it asks a version for a fact by name, as in `version.facts.csr_api`.
"""

from __future__ import annotations

import dataclasses
import difflib
import functools
import json
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from importlib import resources
from typing import Any, Literal

from vnode_suite.core.errors import UsageError

#: The sources of binaries whose last patch the table knows.
PatchSource = Literal["official", "modules"]


@dataclass(frozen=True, slots=True)
class VersionFacts:
    """What is true of one minor. The source of each fact stands beside it in `versions.toml`."""

    #: API version of certificates.k8s.io that a CertificateSigningRequest is written in.
    csr_api: str
    #: API versions of certificates.k8s.io that serve CertificateSigningRequest.
    csr_apis_served: tuple[str, ...]
    #: spec.signerName is stored (before: silently dropped).
    csr_signer_name: bool
    #: A CertificateSigningRequest without spec.signerName is refused (422) in csr_api.
    csr_signer_required: bool
    #: Lists can be filtered by spec.signerName (before: 400).
    csr_signer_field_selector: bool
    #: spec.expirationSeconds is heeded (600 and more).
    csr_expiration_seconds: bool
    #: What becomes of an approved request whose subject or usages do not suit its signer.
    csr_wrong_subject_outcome: str
    #: A request for O=system:masters is refused at creation (CertificateSubjectRestriction).
    csr_masters_refused: bool
    #: Approving needs the verb approve on signers (CertificateApproval admission).
    signer_approve_right_needed: bool
    #: The vendor's published approver, which watches certificates.k8s.io/v1, can work.
    published_approver_works: bool
    #: How a requested certificate life is counted: from now rounded to the minute less 5 min, from now less
    #: 5 min, or in full below 8 h.
    signed_certificate_life: str
    #: kube-controller-manager's flag for the life of signed certificates.
    cluster_signing_duration_flag: str
    #: API version of coordination.k8s.io that a Lease is written in.
    lease_api: str
    #: API versions of coordination.k8s.io that serve Lease.
    lease_apis_served: tuple[str, ...]
    #: ClusterRole system:node grants Leases, so a VNode may hold one.
    lease_for_vnode: bool
    #: The VNode needs the extra Endpoints right for its lock (EXTRA_PRIVILEGE).
    endpoints_right_needed: bool
    #: API versions of apiextensions.k8s.io.
    crd_apis_served: tuple[str, ...]
    #: API versions of admissionregistration.k8s.io.
    webhook_apis_served: tuple[str, ...]
    #: HTTP status of an anonymous GET /api (of /version it is always 200).
    anonymous_api_status: int
    #: Health endpoint that says the API server takes requests.
    ready_path: str
    #: kube-apiserver has --insecure-port, which is to be set to 0 (below 1.20 it listens on 8080 otherwise).
    insecure_port_flag: bool
    #: kube-apiserver shares its room out by priority and fairness, unless it is switched off: the limits of requests in
    #: flight mean nothing then.
    priority_and_fairness: bool
    #: kube-controller-manager and kube-scheduler have --port, which is to be set to 0 (else they open 10252
    #: and 10251).
    component_port_flag: bool
    #: kube-apiserver does not start without a ServiceAccount issuer.
    service_account_issuer_required: bool
    #: Every ServiceAccount gets a Secret with a token that never expires.
    token_secret_auto_created: bool
    #: Pods get bound, expiring ServiceAccount tokens.
    bound_token_volumes: bool
    #: Every namespace gets the ConfigMap kube-root-ca.crt.
    root_ca_configmap: bool
    #: NodeRestriction refuses a kubelet that gives its Node a role label (403).
    kubelet_role_label_refused: bool
    #: The kubelet runs on cgroup v2.
    kubelet_cgroup_v2: bool
    #: kube-controller-manager has --pod-eviction-timeout.
    pod_eviction_timeout_flag: bool
    #: API versions of kubescheduler.config.k8s.io.
    scheduler_config_apis: tuple[str, ...]
    #: DaemonSet Pods tolerate node.kubernetes.io/pid-pressure.
    pid_pressure_toleration: bool
    #: authentication.k8s.io serves SelfSubjectReview in v1.
    self_subject_review: bool


@dataclass(frozen=True, slots=True)
class ModuleBuild:
    """What building one minor from Go modules needs beside its own go.mod."""

    #: `own-go-mod` or `borrowed-go-mod`: whether the release has a go.mod to repeat.
    layout: str
    #: Version whose go.mod gives the third-party pins, for `borrowed-go-mod`.
    pins_from: str = ""
    #: The Go it is built with, as GOTOOLCHAIN takes it; the oldest that builds every minor up to 1.24.
    toolchain: str = "go1.19.13"
    #: Build tags.
    tags: tuple[str, ...] = ()
    #: Module path to the version taken instead of the release's.
    pins: Mapping[str, str] = field(default_factory=dict)
    #: Module path to "path version" of the module that takes its place.
    replaces: Mapping[str, str] = field(default_factory=dict)
    #: Modules replaced by an empty one.
    empty_modules: tuple[str, ...] = ()
    #: Modules replaced by a small one of ours with the few names used.
    stand_ins: tuple[str, ...] = ()
    #: Modules whose lines are left out of go.mod.
    drop: tuple[str, ...] = ()
    #: How what comes out differs from upstream's build, for the provenance.
    deviations: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class KubernetesVersion:
    """One version that a control plane may be asked for."""

    #: As in "1.19".
    minor: str
    #: As in "1.19.16": the patch that was asked for, or the last official one.
    patch: str
    #: Whether exactly `patch` was asked for; else any patch of the minor will do.
    exact: bool
    facts: VersionFacts
    #: Revisions of the page whose window holds this minor.
    pages: tuple[str, ...]
    #: Last patch of each source that has one.
    patches: Mapping[PatchSource, str]
    build: ModuleBuild | None = None
    #: Release of kind that can create it, and node image by digest; empty where not known.
    kind: str = ""
    node_image: str = ""

    def patch_from(self, source: PatchSource) -> str | None:
        """The patch to ask that source for, or None if it cannot give what is wanted."""
        available = self.patches.get(source)
        if not self.exact:
            return available
        # The official release keeps every patch; modules are known to be complete only for the listed one.
        return self.patch if source == "official" or available == self.patch else None

    def __str__(self) -> str:
        return self.patch if self.exact else self.minor


@dataclass(frozen=True, slots=True)
class Versions:
    """Every version of the table, oldest first."""

    all: tuple[KubernetesVersion, ...]

    def __iter__(self) -> Iterator[KubernetesVersion]:
        return iter(self.all)

    @property
    def minors(self) -> tuple[str, ...]:
        """Every minor, oldest first."""
        return tuple(version.minor for version in self.all)

    def window(self, page: str) -> Versions:
        """The versions that a revision of the page covers.

        :raises UsageError: there is no such revision.
        """
        pages = sorted({each for version in self.all for each in version.pages})
        if page not in pages:
            raise UsageError(
                f"no page revision {page!r}",
                wanted=f"one of {', '.join(pages)}",
                remedy="see --vnode-page-revision",
            )
        return Versions(tuple(version for version in self.all if page in version.pages))

    def resolve(self, wanted: str) -> KubernetesVersion:
        """The version that "1.19" (any patch) or "1.19.16" (this one alone) names; a leading "v" is allowed.

        :raises UsageError: it is no version, or of a minor that the table has not.
        """
        parts = wanted.strip().removeprefix("v").split(".")
        minor = ".".join(parts[:2])
        known = {version.minor: version for version in self.all}
        if len(parts) not in (2, 3) or not all(part.isdigit() for part in parts) or minor not in known:
            near = difflib.get_close_matches(minor, known, n=1)
            raise UsageError(
                f"no Kubernetes version {wanted!r}",
                wanted=f"{self.minors[0]} to {self.minors[-1]}, or a patch such as {self.all[-1].patch}",
                remedy=f"did you mean {near[0]}?" if near else None,
            )
        version = known[minor]
        if len(parts) == 2:
            return version
        return _with_patch(version, ".".join(parts))

    def nearest(self, minor: str) -> KubernetesVersion:
        """The version to go by for a server of *minor* (``1.31``) that the table need not have.

        Its facts are those of the closest older minor, since a fact holds until something changes it; of the
        oldest one for a server that is older still.
        """
        wanted = tuple(int(part) for part in minor.split("."))
        older = [v for v in self.all if tuple(int(part) for part in v.minor.split(".")) <= wanted]
        version = older[-1] if older else self.all[0]
        return version if version.minor == minor else dataclasses.replace(version, minor=minor, pages=())

    def expand(self, wanted: Sequence[str]) -> tuple[KubernetesVersion, ...]:
        """The versions that a list of versions, ranges ("1.13-1.22") and "all" names, oldest first."""
        chosen: dict[str, KubernetesVersion] = {}
        for each in wanted:
            for version in self._range(each):
                chosen[str(version)] = version
        order = {minor: place for place, minor in enumerate(self.minors)}
        return tuple(sorted(chosen.values(), key=lambda v: (order[v.minor], v.exact, v.patch)))

    def _range(self, wanted: str) -> Sequence[KubernetesVersion]:
        if wanted == "all":
            return self.all
        first, dash, last = wanted.partition("-")
        if not dash:
            return [self.resolve(wanted)]
        low, high = (self.minors.index(self.resolve(end).minor) for end in (first, last))
        if low > high:
            raise UsageError(f"the range {wanted!r} runs backwards", wanted=f"{last}-{first}")
        return self.all[low : high + 1]


@functools.cache
def load_versions() -> Versions:
    """The versions in the shipped table."""
    text = resources.files("vnode_suite.data").joinpath("versions.toml").read_text(encoding="utf-8")
    return parse_versions(text)


def parse_versions(text: str) -> Versions:
    """The versions in a table's text.

    :raises ValueError: the table is not of the shape that `schemas/versions.schema.json` describes; it ships
        with the suite, so that is a bug and no user's mistake.
    """
    table = tomllib.loads(text)
    records = table["version"]
    minors = [record["minor"] for record in records]
    facts = {name: _by_minor(name, fact["since"], minors) for name, fact in table["facts"].items()}
    return Versions(
        tuple(
            _version(record, {name: values[record["minor"]] for name, values in facts.items()})
            for record in records
        )
    )


def schema() -> dict[str, Any]:
    """The JSON schema of `versions.toml`."""
    file = resources.files("vnode_suite.data").joinpath("schemas/versions.schema.json")
    document: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return document


def _by_minor(name: str, since: Mapping[str, Any], minors: Sequence[str]) -> dict[str, Any]:
    if minors[0] not in since:
        raise ValueError(f"fact {name} has no value for {minors[0]}")
    if stray := set(since) - set(minors):
        raise ValueError(f"fact {name} names minors that the table has not: {sorted(stray)}")
    values: dict[str, Any] = {}
    current: Any = None
    for minor in minors:
        current = since.get(minor, current)
        values[minor] = tuple(current) if isinstance(current, list) else current
    return values


def _version(record: Mapping[str, Any], facts: Mapping[str, Any]) -> KubernetesVersion:
    declared = {each.name for each in fields(VersionFacts)}
    if declared != set(facts):
        raise ValueError(f"facts differ from VersionFacts: {sorted(declared ^ set(facts))}")
    patches: dict[PatchSource, str] = {"official": record["official"]}
    if "modules" in record:
        patches["modules"] = record["modules"]
    return KubernetesVersion(
        minor=record["minor"],
        patch=record["official"],
        exact=False,
        facts=VersionFacts(**facts),
        pages=tuple(record["pages"]),
        patches=patches,
        build=_build(record["build"]) if "build" in record else None,
        kind=record.get("kind", ""),
        node_image=record.get("node_image", ""),
    )


def _build(record: Mapping[str, Any]) -> ModuleBuild:
    values: dict[str, Any] = {
        key: tuple(value) if isinstance(value, list) else value for key, value in record.items()
    }
    return ModuleBuild(**values)


def _with_patch(version: KubernetesVersion, patch: str) -> KubernetesVersion:
    return KubernetesVersion(
        minor=version.minor,
        patch=patch,
        exact=True,
        facts=version.facts,
        pages=version.pages,
        patches=version.patches,
        build=version.build,
        kind=version.kind,
        node_image=version.node_image,
    )
