"""The command line: every option of an acceptance run, and how each value is spelled.

Only the standard library is imported here: pytest loads this module in every project that has the suite
installed, also where nobody asks for an acceptance.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest


@dataclass(frozen=True, slots=True)
class Option:
    """One option: its flag without dashes, and what ``argparse`` is told."""

    flag: str
    help: str
    repeatable: bool = False
    switch: bool = False
    metavar: str | None = None
    choices: tuple[str, ...] | None = None
    #: Without ``vnode-`` it would be the name of another option.
    unshortened: bool = False

    @property
    def dest(self) -> str:
        """Name of its value, apart from other plugins' values."""
        return "vnode_suite_" + self.short.replace("-", "_")

    @property
    def short(self) -> str:
        """The name in a settings file and of ``vnode-suite run``."""
        return self.flag if self.unshortened else self.flag.removeprefix("vnode-")


#: Every option, in the order of ``--help``.
OPTIONS: tuple[Option, ...] = (
    Option(
        "region",
        "ECI region to accept in, such as cn-shanghai (default: ALIBABA_CLOUD_REGION_ID)",
        metavar="REGION",
    ),
    Option(
        "vnode-k8s-version",
        "Kubernetes version: 1.22, 1.22.15, a range 1.13-1.22, or all (repeatable)",
        True,
        metavar="VERSION",
    ),
    Option(
        "vnode-identity",
        "bootstrap, serviceaccount or admin (repeatable; default: the first two)",
        True,
        metavar="NAME",
    ),
    Option(
        "vnode-cluster",
        "who gives the API server (default: existing with --kubeconfig, else local)",
        choices=("auto", "existing", "kind", "local"),
    ),
    Option("vnode-context", "context of --kubeconfig to use", metavar="NAME"),
    Option(
        "vnode-cloud",
        "who answers for the ECI API (default: emulator; live costs money and is never chosen by itself)",
        choices=("emulator", "live", "replay"),
    ),
    Option(
        "vnode-eci-endpoint",
        "call this instead of the service's own endpoints in live mode; its answers are graded simulated",
        metavar="URL",
    ),
    Option("vnode-eci-ca", "PEM file of the CA of --vnode-eci-endpoint's certificate", metavar="FILE"),
    Option(
        "vnode-id",
        "accept this VNode, made elsewhere, instead of creating one; nothing of it is deleted",
        metavar="ID",
    ),
    Option(
        "vnode-kubeconfig",
        "with --vnode-id: the kubeconfig that the VNode was handed",
        metavar="FILE",
        unshortened=True,
    ),
    Option(
        "vnode-user",
        "with --vnode-id: as whom the VNode acts, where its kubeconfig is not at hand",
        metavar="USER[,GROUP...]",
    ),
    Option("vnode-count", "how many VNodes each cell connects (default: 1)", metavar="N"),
    Option(
        "vnode-profile",
        "quick: joins and comes Ready; standard: all that shows within minutes; full: slow ones too",
        choices=("quick", "standard", "full"),
    ),
    Option(
        "vnode-clause",
        "judge only these clauses or chapters, comma separated (PORT,DS-02), and run what they need",
        True,
        metavar="IDS",
    ),
    Option(
        "vnode-controls",
        "run every check again on a twin with one named defect (default: on; off for an existing cluster); over "
        "several versions the defects of one check take turns, with all each is shown on each",
        choices=("on", "all", "off"),
    ),
    Option(
        "vnode-defect",
        "give the VNode under test this defect, to see the suite find it (repeatable; see vnode-suite defects)",
        True,
        metavar="NAME",
    ),
    Option(
        "vnode-page-revision", "revision of the vendor's page to judge by", choices=("2024-02", "2025-07")
    ),
    Option(
        "vnode-site", "where the cluster stands: in the cloud (ecs) or outside (idc)", choices=("ecs", "idc")
    ),
    Option(
        "vnode-security-required",
        "security requirements are declared: only TLS bootstrap will do",
        switch=True,
    ),
    Option("vnode-vswitch", "vSwitch of the VNode (repeatable, 1 to 10)", True, metavar="ID"),
    Option("vnode-security-group", "security group of the VNode", metavar="ID"),
    Option("vnode-resource-group", "resource group of the VNode", metavar="ID"),
    Option("vnode-zone", "zone of the VNode", metavar="ID"),
    Option("vnode-name", "VirtualNodeName: 2 to 128 of a-z, 0-9, '.' and '-'", metavar="NAME"),
    Option("vnode-tag", "tag of the VNode (repeatable)", True, metavar="K=V"),
    Option("vnode-taint", "taint of the Node (repeatable)", True, metavar="K=V:EFFECT"),
    Option("vnode-cluster-dns", "address of the cluster's DNS (repeatable)", True, metavar="IP"),
    Option("vnode-cluster-domain", "search domain of the cluster", metavar="DOMAIN"),
    Option(
        "vnode-apply-exclusion",
        "patch the cluster's own kube-proxy; on reverts it at the end, keep leaves it",
        choices=("on", "off", "keep"),
    ),
    Option("vnode-record", "record the exchange with the ECI API, without secrets", metavar="FILE"),
    Option("vnode-cassette", "recording to replay with --vnode-cloud replay", metavar="FILE"),
    Option(
        "vnode-soak",
        "watch for this long, 90s, 30m, 12h or 400d, whether the VNode on a given cluster renews its certificate "
        "(profile full)",
        metavar="DURATION",
    ),
    Option(
        "vnode-eci-faults",
        "TOML file of faults that the emulator's API answers with, to see what a run makes of them",
        metavar="FILE",
    ),
    Option("vnode-waivers", "file of waivers (TOML)", metavar="FILE"),
    Option("vnode-strict-should", "a failed SHOULD rejects", switch=True),
    Option(
        "vnode-keep",
        "keep the VNode under test and all it needs, to look at it; vnode-suite sweep --yes takes it away",
        choices=("never", "on-failure", "always"),
    ),
    Option(
        "vnode-plan",
        "print what a run would create, change, need in rights and cost; do nothing",
        switch=True,
    ),
    Option(
        "vnode-deadline",
        "change an entry of the table of deadlines (repeatable)",
        True,
        metavar="NAME=SECONDS",
    ),
    Option("vnode-report-dir", "folder of reports (default: reports)", metavar="DIR"),
    Option("vnode-report-lang", "language that reports open in", choices=("en", "zh")),
    Option(
        "vnode-settings",
        "TOML file with the same names, without 'vnode-'; the command line wins",
        metavar="FILE",
    ),
)

#: Registered apart: pytest-kind has the same flag for its own cluster.
KUBECONFIG = Option(
    "kubeconfig",
    "kubeconfig of the cluster to be accepted; then --vnode-cloud must be given too",
    metavar="FILE",
)


def add_options(parser: pytest.Parser, pluginmanager: pytest.PytestPluginManager) -> None:
    """Register every option in a group of its own."""
    group = parser.getgroup("vnode-suite", "acceptance of ECI VNodes (vnode-suite)")
    for option in OPTIONS:
        _add(group, option)
    # pytest-kind registers --kubeconfig as well, and pytest stops when a flag is registered twice. Where it came
    # first, its value is read; where it has not come yet, ours is registered and that plugin is kept out.
    if not pluginmanager.hasplugin("pytest-kind"):
        pluginmanager.set_blocked("pytest-kind")
        _add(group, KUBECONFIG)


def _add(group: Any, option: Option) -> None:
    if option.switch:
        group.addoption(
            f"--{option.flag}", dest=option.dest, action="store_true", default=None, help=option.help
        )
        return
    group.addoption(
        f"--{option.flag}",
        dest=option.dest,
        action="append" if option.repeatable else "store",
        default=None,
        metavar=option.metavar or ("|".join(option.choices) if option.choices else None),
        help=option.help,
    )


def option_values(config: pytest.Config) -> dict[str, Any]:
    """What the command line said, by :attr:`Option.short` name; options that were not given are absent."""
    values = {
        option.short: value
        for option in OPTIONS
        if (value := config.getoption(option.dest, default=None)) is not None
    }
    kubeconfig = config.getoption(KUBECONFIG.dest, default=None) or config.getoption(
        "--kubeconfig", default=None
    )
    if kubeconfig:
        values["kubeconfig"] = str(kubeconfig)
    return values
