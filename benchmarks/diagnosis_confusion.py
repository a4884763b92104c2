"""Whether each cause is named rightly: brought about on real control planes, named by events and cluster alone.

    python benchmarks/diagnosis_confusion.py [--version 1.13 --version 1.18 --version 1.22]

For each version: a control plane and two more API servers on its etcd, the emulator, and a VNode for each way to fail.
When a VNode has said nothing new for a while, its events are read through the official SDK, and the cluster with an
administrator's credential. Printed are what was named first, then the matrix. Exit status 1 if anything lies beside the
diagonal. Columns: `real` happened, `injected` is the service's word, `simulated` is the VNode's pretence; where the
events of two causes are the same, `+kubeconfig` says that the kubeconfig that was handed over had to be known too.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import secrets
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import yaml
from provocations import (
    API_NAME,
    PROVOCATIONS,
    REFUSALS,
    WRONG_CERTIFICATES,
    Lab,
    Order,
    Provocation,
    new_name,
    wrong_certificates,
)

from vnode_suite.access.kubeconfig import admin_cluster
from vnode_suite.clusters.kube import KubeClient
from vnode_suite.clusters.local.another import start_another
from vnode_suite.clusters.local.arguments import CONTROLLER_MANAGER
from vnode_suite.clusters.local.assets import obtain_binaries
from vnode_suite.clusters.local.certificates import CertificateAuthority
from vnode_suite.clusters.local.controlplane import ControlPlaneSettings, start_local_cluster
from vnode_suite.core.modules import command, environment
from vnode_suite.core.processes import Supervisor
from vnode_suite.core.secrets import Secret
from vnode_suite.data.causes import load_causes
from vnode_suite.data.versions import VersionFacts, load_versions
from vnode_suite.diagnosis import EventText
from vnode_suite.diagnosis.evidence import Case
from vnode_suite.eci.client import EciClient
from vnode_suite.eci.credentials import StaticCredentials
from vnode_suite.eci.emulator import EmulatorReady
from vnode_suite.eci.endpoints import single
from vnode_suite.eci.errors import EciError
from vnode_suite.eci.models import CreateRequest, VirtualNode
from vnode_suite.probes.investigation import Sources, investigate
from vnode_suite.probes.vnodes import find

#: client-go's 32 s, scaled as in an acceptance run; a VNode that has said nothing new for three of these says no more.
CLIENT_TIMEOUT, RETRY = 2.0, 0.5
QUIET_SECONDS, LONGEST_SECONDS = 6.0, 40.0
AT_ONCE = 8
#: A machine that is shared with others starts things slowly; nothing is measured by the clock here.
START_SECONDS = 300.0


@dataclass(frozen=True, slots=True)
class Row:
    """What came of one provocation on one version."""

    version: str
    provocation: Provocation
    #: By events and cluster (and the kubeconfig, where the provocation says so).
    named: str
    #: What the signs say of it when the kubeconfig is known too.
    standing: str
    problem: str = ""


@contextlib.contextmanager
def lab_of(version: str, folder: Path) -> Iterator[Lab]:
    """Everything that a version's provocations need."""
    resolved = load_versions().resolve(version)
    with contextlib.ExitStack() as stack:
        supervisor = stack.enter_context(Supervisor(log=folder / "supervisor.log"))
        config = folder / "emulator.json"
        timing = {"client_timeout": CLIENT_TIMEOUT, "retry": RETRY, "heartbeat": 2.0}
        run = secrets.token_hex(4)
        config.write_text(json.dumps({"run_id": run, "admin": True, "timing": timing}), encoding="utf-8")
        supervisor.at_end(command("vnode_suite.simulated.vpc", "remove", run))
        process = supervisor.start(
            "emulator",
            command("vnode_suite.simulated", "--config", str(config)),
            env=environment(),
            log=folder / "emulator.log",
            ready_line=True,
            ready_deadline_seconds=START_SECONDS,
        )
        ready = EmulatorReady.parse(process.ready_line)
        cluster = stack.enter_context(
            start_local_cluster(
                resolved,
                folder / "cluster",
                supervisor,
                binaries=obtain_binaries(resolved),
                deadline_seconds=START_SECONDS,
                settings=ControlPlaneSettings(
                    address=ready.host_address,
                    # Nobody signs but who provokes: so a certificate may be a wrong one.
                    extra_arguments={CONTROLLER_MANAGER: ["--controllers=-csrsigning"]},
                ),
            )
        )
        kube = stack.enter_context(KubeClient.from_kubeconfig_text(cluster.admin_kubeconfig))
        strangers = CertificateAuthority("strangers")
        without, one_slot = _without_certificates(resolved.facts), _one_slot(resolved.facts)
        wrong = wrong_certificates(strangers)
        odd = stack.enter_context(
            start_another(
                cluster, "odd", extra_arguments=without, names=wrong, deadline_seconds=START_SECONDS
            )
        )
        busy = stack.enter_context(
            start_another(cluster, "busy", extra_arguments=one_slot, deadline_seconds=START_SECONDS)
        )
        credentials = StaticCredentials(ready.access_key_id, ready.access_key_secret)
        client = stack.enter_context(EciClient.connect(single(ready.endpoint, ready.region), credentials))
        assert ready.admin is not None
        for name in (API_NAME, *(f"{cause}.lab.test" for cause in WRONG_CERTIFICATES)):
            ready.admin.set_dns_record(name, ready.host_address)
        admin = admin_cluster(yaml.safe_load(cluster.admin_kubeconfig))
        yield Lab(
            cluster,
            kube,
            client,
            ready,
            admin,
            resolved.facts.csr_api,
            odd,
            busy,
            strangers,
            stack.enter_context(contextlib.ExitStack()),
        )


def _without_certificates(facts: VersionFacts) -> list[str]:
    off = ",".join(f"certificates.k8s.io/{version}=false" for version in facts.csr_apis_served)
    return [f"--runtime-config={off}"]


def _one_slot(facts: VersionFacts) -> list[str]:
    fair = ["--enable-priority-and-fairness=false"] if facts.priority_and_fairness else []
    return ["--max-mutating-requests-inflight=1", *fair]


def judged(lab: Lab, version: str, provocation: Provocation) -> Row:
    """Provoke, wait until the VNode says no more, and name the cause."""
    try:
        order = provocation.provoke(lab)
        node, refused = made(lab, order)
        handed = Secret(order.kubeconfig, "kubeconfig")
        known = handed if provocation.handed else None
        seen = investigate(Sources(node, lab.kube, known, refused))
        fuller = investigate(Sources(node, lab.kube, handed, refused))
    except Exception as problem:
        return Row(version, provocation, "(failed)", "", f"{type(problem).__name__}: {problem}")
    return Row(version, provocation, seen.first or _nothing(seen), _standing(fuller, provocation))


def _nothing(case: Case) -> str:
    return f"(unknown: {case.unknown[0][:80]})" if case.unknown else ""


def _standing(case: Case, provocation: Provocation) -> str:
    own = next((one for one in case.causes if one.match.cause == provocation.cause), None)
    if own is None:
        return ""
    by = ", ".join(sign.name for sign in own.by)
    return f"{own.standing.value}{f' ({by})' if by else ''}"


def made(lab: Lab, order: Order) -> tuple[VirtualNode | None, tuple[EventText, ...]]:
    """The VNode when it has said what it has to say; or the refusal of the call, as an event."""
    group = lab.ready.security_group_id
    defects = [name for name in order.defects if not name.startswith("@")]
    if "@group-of-other-vpc" in order.defects:
        group = lab.ready.security_groups["other-vpc"]
    request = CreateRequest(
        vswitch_ids=lab.ready.vswitch_ids[:1],
        security_group_id=group,
        kubeconfig=order.kubeconfig,
        tls_bootstrap=order.bootstrap,
        name=new_name(),
        tags={"vnode-suite:defect": ",".join(defects)} if defects else {},
    )
    try:
        virtual_node_id = lab.client.create_virtual_node(request)
    except EciError as refused:
        return None, (EventText(refused.message, reason=refused.code, type="Warning"),)
    order.then(virtual_node_id)
    return settled(lab, virtual_node_id), ()


def settled(lab: Lab, virtual_node_id: str) -> VirtualNode:
    """The VNode once no new text has come for `QUIET_SECONDS`; what it will be taken for is not asked here."""
    pause, began, changed = threading.Event(), time.monotonic(), time.monotonic()
    said: set[str] = set()
    while True:
        node = find(lab.client, virtual_node_id)
        assert node is not None
        texts = {event.message for event in node.events}
        if texts - said:
            said, changed = said | texts, time.monotonic()
        if time.monotonic() - changed > QUIET_SECONDS or time.monotonic() - began > LONGEST_SECONDS:
            return node
        pause.wait(0.5)


def of_version(version: str) -> list[Row]:
    """Every provocation on one version; the call's refusals one after the other, the rest side by side."""
    with (
        tempfile.TemporaryDirectory(prefix="vnode-suite-bench-") as folder,
        lab_of(version, Path(folder)) as lab,
    ):
        for kind in ("serviceaccount", "bootstrap"):
            lab.identity(kind)
        rows = [judged(lab, version, each) for each in REFUSALS]
        with ThreadPoolExecutor(AT_ONCE) as pool:
            rows += pool.map(lambda each: judged(lab, version, each), PROVOCATIONS)
    return rows


def show(rows: Sequence[Row], versions: Sequence[str]) -> None:
    """A line a provocation, with what was named on each version."""
    print(f"\n{'provoked by':30} {'how':20} {'cause':24} {'named first':24} on        signs")
    for provocation in (*PROVOCATIONS, *REFUSALS):
        mine = [row for row in rows if row.provocation is provocation]
        how = provocation.how + ("+kubeconfig" if provocation.handed else "")
        for named in dict.fromkeys(row.named for row in mine):
            there = [row for row in mine if row.named == named]
            where = "all" if len(there) == len(versions) else ", ".join(row.version for row in there)
            cause = provocation.cause or "(none)"
            print(
                f"{provocation.name:30} {how:20} {cause:24} {named or '(none)':24} {where:9} {there[0].standing}"
            )
    for row in rows:
        if row.problem:
            print(f"{row.version} {row.provocation.name}: {row.problem}")


def show_matrix(rows: Sequence[Row]) -> int:
    """The matrix: provoked down, named across; answers how many lie beside the diagonal."""
    provoked = [
        name for name in (*load_causes().names, "") if any(row.provocation.cause == name for row in rows)
    ]
    named = [*provoked, *sorted({row.named for row in rows} - set(provoked))]
    counts = Counter((row.provocation.cause, row.named) for row in rows)
    print("\nconfusion matrix: provoked down, named first across (numbers are of the rows)")
    print(" " * 31 + "".join(f"{number:4d}" for number in range(1, len(named) + 1)))
    for number, cause in enumerate(provoked, start=1):
        cells = "".join(f"{counts[cause, other] or '.':>4}" for other in named)
        print(f"{number:3d} {cause or '(none: sound VNode)':27}{cells}")
    for number, other in enumerate(named[len(provoked) :], start=len(provoked) + 1):
        print(f"{number:3d} {other} (named only)")
    return sum(count for (cause, other), count in counts.items() if cause != other)


def main() -> int:
    """Run every version, print rows and matrix; 1 if a cause was not named first."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--version", action="append", dest="versions")
    options = parser.parse_args()
    versions = options.versions or ["1.13", "1.18", "1.22"]
    rows: list[Row] = []
    for version in versions:
        began = time.monotonic()
        rows += of_version(version)
        print(
            f"{version}: {len(PROVOCATIONS) + len(REFUSALS)} provocations in {time.monotonic() - began:.0f} s",
            flush=True,
        )
    show(rows, versions)
    beside = show_matrix(rows)
    print(f"\n{len(rows) - beside} of {len(rows)} named rightly as the first cause, on {', '.join(versions)}")
    return 1 if beside else 0


if __name__ == "__main__":
    sys.exit(main())
