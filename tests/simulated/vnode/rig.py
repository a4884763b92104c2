"""A fleet in a thread of its own, and a real control plane in its VPC, for tests that are plain functions."""

from __future__ import annotations

import asyncio
import base64
import json
import secrets
import threading
from collections.abc import Callable, Coroutine, Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

from vnode_suite.clusters.kube import KubeClient, KubeError
from vnode_suite.clusters.local.controlplane import LocalCluster
from vnode_suite.simulated.fleet import FleetConfig, Network, ProcessFleet, open_fleet
from vnode_suite.simulated.interface import ProbeOrder, Timing, VNodeOrder, VNodeReport

T = TypeVar("T")
REGION = "cn-test"
RBAC = "rbac.authorization.k8s.io"
#: Scaled so that a test waits little: a request gives up after 2 s, a heartbeat comes each second.
FAST = Timing(client_timeout=2.0, heartbeat=1.0, retry=0.3)


class LoopThread:
    """An event loop of its own thread; `run` waits for a coroutine in it."""

    def __enter__(self) -> LoopThread:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.loop.close()

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """The coroutine's result."""
        return self.submit(coroutine).result(60)

    def submit(self, coroutine: Coroutine[Any, Any, T]) -> Future[T]:
        """Start a coroutine."""
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop)


@dataclass
class Reports:
    """What a VNode has told, and a way to wait for more."""

    all: list[VNodeReport] = field(default_factory=list)
    _news: threading.Condition = field(default_factory=threading.Condition)

    def take(self, report: VNodeReport) -> None:
        """Called by the fleet."""
        with self._news:
            self.all.append(report)
            self._news.notify_all()

    def wait_for(self, wanted: Callable[[VNodeReport], bool], seconds: float = 30.0) -> VNodeReport:
        """The first report that is wanted; what came instead is in the failure."""
        with self._news:
            self._news.wait_for(lambda: any(wanted(report) for report in self.all), seconds)
            for report in self.all:
                if wanted(report):
                    return report
        raise AssertionError(f"not reported within {seconds} s; reported: {self.all}")

    def state(self, status: str, seconds: float = 30.0) -> VNodeReport:
        """Wait for a state."""
        return self.wait_for(lambda r: r.kind == "state" and r.body["status"] == status, seconds)

    def message(self, part: str = "", seconds: float = 30.0) -> str:
        """Wait for an event whose message holds a text, and answer the message."""
        report = self.wait_for(lambda r: r.kind == "event" and part in r.body["message"], seconds)
        return str(report.body["message"])

    @property
    def warnings(self) -> list[str]:
        """The messages of the warnings so far."""
        return [r.body["message"] for r in self.all if r.kind == "event" and r.body["type"] == "Warning"]


@dataclass
class VNodeRig:
    """One launched VNode."""

    id: str
    address: str
    reports: Reports

    @property
    def node_path(self) -> str:
        """API path of its Node."""
        return f"/api/v1/nodes/{REGION}.{self.id}"


@dataclass
class FleetRig:
    """A fleet that is spoken to from the test's thread."""

    thread: LoopThread
    fleet: ProcessFleet
    network: Network

    def launch(
        self, kubeconfig: str, *defects: str, tls_bootstrap: bool = False, timing: Timing = FAST, **more: Any
    ) -> VNodeRig:
        """Start a VNode in the first vSwitch."""
        virtual_node_id = f"vnd-{secrets.token_hex(6)}"
        reports = Reports()
        order = VNodeOrder(
            virtual_node_id=virtual_node_id,
            virtual_node_name="named",
            region=REGION,
            kubeconfig=kubeconfig,
            tls_bootstrap=tls_bootstrap,
            vswitch_id=next(iter(self.network.vswitches)),
            security_group_id="sg-test",
            defects=frozenset(defects),
            timing=timing,
            **more,
        )
        address = self.thread.run(self.fleet.launch(order, reports.take))
        return VNodeRig(virtual_node_id, address, reports)

    def stop(self, vnode: VNodeRig) -> None:
        """Stop a VNode."""
        self.thread.run(self.fleet.stop(vnode.id))

    @contextmanager
    def vnode(self, kubeconfig: str, *defects: str, **more: Any) -> Iterator[VNodeRig]:
        """A VNode for the length of a block."""
        vnode = self.launch(kubeconfig, *defects, **more)
        try:
            yield vnode
        finally:
            self.stop(vnode)

    def pods_running(self, vnode: VNodeRig) -> int:
        """How many instances it has."""
        return len(self.thread.run(self.fleet.instances(vnode.id)))

    def probe(self, host: str, port: int, *defects: str, **more: Any) -> Mapping[str, Any]:
        """Look from the first vSwitch."""
        vswitch = next(iter(self.network.vswitches))
        order = ProbeOrder(vswitch, host, port, defects=frozenset(defects), **more)
        return self.thread.run(self.fleet.probe(order))


@contextmanager
def fleet_rig(**config: Any) -> Iterator[FleetRig]:
    """A fleet with a run id of its own."""
    with LoopThread() as thread:
        fleet, network = thread.run(open_fleet(FleetConfig(run_id=secrets.token_hex(4), **config)))
        try:
            yield FleetRig(thread, fleet, network)
        finally:
            thread.run(fleet.close())


def kubeconfig_text(server: str, ca_pem: str = "", **user: str) -> str:
    """A kubeconfig with one cluster and one user, as JSON, which is YAML too."""
    cluster = {"server": server}
    if ca_pem:
        cluster["certificate-authority-data"] = base64.b64encode(ca_pem.encode()).decode()
    context = {"cluster": "c", "user": "vnode", "namespace": "kube-system"}
    return json.dumps(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "c",
            "contexts": [{"name": "c", "context": context}],
            "clusters": [{"name": "c", "cluster": cluster}],
            "users": [{"name": "vnode", "user": user}],
        }
    )


@dataclass
class ClusterRig:
    """A real control plane in the fleet's VPC, with the rights that the page asks for."""

    cluster: LocalCluster
    kube: KubeClient
    csr_version: str

    def grant_rights(self) -> None:
        """Bind what the page asks for to the group of VNodes, a ServiceAccount and the bootstrappers."""
        vnodes = [
            {"kind": "Group", "apiGroup": RBAC, "name": "system:vnodes"},
            {"kind": "ServiceAccount", "name": "vnode", "namespace": "kube-system"},
        ]
        bootstrappers = [{"kind": "Group", "apiGroup": RBAC, "name": "system:bootstrappers:vnode"}]
        requests = "system:certificates.k8s.io:certificatesigningrequests"
        rules = [
            {"apiGroups": [""], "resources": ["pods", "persistentvolumeclaims"], "verbs": ["update", "patch"]}
        ]
        if self.csr_version == "v1beta1" and self.cluster.version_info["minor"].startswith("13"):
            rules.append({"apiGroups": [""], "resources": ["endpoints"], "verbs": ["create", "update"]})
        role = {
            "apiVersion": f"{RBAC}/v1",
            "kind": "ClusterRole",
            "metadata": {"name": "vnode-extra"},
            "rules": rules,
        }
        self.kube.create(f"/apis/{RBAC}/v1/clusterroles", role)
        for name in ("system:node", "system:node-proxier", f"{requests}:selfnodeclient", "vnode-extra"):
            self._bind(name, vnodes)
        for name in ("system:node-bootstrapper", f"{requests}:nodeclient"):
            self._bind(name, bootstrappers)

    def _bind(self, role: str, subjects: list[dict[str, str]]) -> None:
        binding = {
            "apiVersion": f"{RBAC}/v1",
            "kind": "ClusterRoleBinding",
            "metadata": {"name": f"test-{role}"},
            "roleRef": {"apiGroup": RBAC, "kind": "ClusterRole", "name": role},
            "subjects": subjects,
        }
        self.kube.create(f"/apis/{RBAC}/v1/clusterrolebindings", binding)

    def kubeconfig(self, token: str, *, server: str = "", ca_pem: str | None = None) -> str:
        """A kubeconfig of this cluster."""
        ca = self.cluster.ca_pem if ca_pem is None else ca_pem
        return kubeconfig_text(server or self.cluster.server_url, ca, token=token)

    def service_account_token(self, name: str = "vnode") -> str:
        """The token of a ServiceAccount in kube-system, made if need be."""
        namespace = "/api/v1/namespaces/kube-system"
        account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name}}
        secret = {
            "apiVersion": "v1",
            "kind": "Secret",
            "type": "kubernetes.io/service-account-token",
            "metadata": {
                "name": f"{name}-token",
                "annotations": {"kubernetes.io/service-account.name": name},
            },
        }
        for collection, body in (("serviceaccounts", account), ("secrets", secret)):
            try:
                self.kube.create(f"{namespace}/{collection}", body)
            except KubeError as error:
                if error.status != 409:
                    raise
        path = f"{namespace}/secrets/{name}-token"
        self.kube.wait_for(
            path,
            lambda s: bool(s and (s.get("data") or {}).get("token")),
            deadline_seconds=30,
            what="a token",
        )
        return base64.b64decode(self.kube.get(path)["data"]["token"]).decode()

    def bootstrap_token(self) -> str:
        """A fresh bootstrap token of the group `system:bootstrappers:vnode`."""
        token_id, secret = secrets.token_hex(3), secrets.token_hex(8)
        body = {
            "apiVersion": "v1",
            "kind": "Secret",
            "type": "bootstrap.kubernetes.io/token",
            "metadata": {"name": f"bootstrap-token-{token_id}"},
            "stringData": {
                "token-id": token_id,
                "token-secret": secret,
                "usage-bootstrap-authentication": "true",
                "auth-extra-groups": "system:bootstrappers:vnode",
            },
        }
        self.kube.create("/api/v1/namespaces/kube-system/secrets", body)
        return f"{token_id}.{secret}"

    @property
    def requests_path(self) -> str:
        """API path of certificate signing requests."""
        return f"/apis/certificates.k8s.io/{self.csr_version}/certificatesigningrequests"

    def next_request(self, seen: set[str], seconds: float = 30.0) -> dict[str, Any]:
        """The first signing request that was not seen before; its name is added to ``seen``."""
        self.kube.wait_for_list(
            self.requests_path,
            lambda items: any(item["metadata"]["name"] not in seen for item in items),
            deadline_seconds=seconds,
            what="a certificate signing request",
        )
        for item in self.kube.list(self.requests_path):
            if item["metadata"]["name"] not in seen:
                seen.add(item["metadata"]["name"])
                return item
        raise AssertionError("the request went away")

    def decide(self, request: Mapping[str, Any], decision: str = "Approved") -> None:
        """Approve or deny a request."""
        path = f"{self.requests_path}/{request['metadata']['name']}"
        current = self.kube.get(path)
        condition = {"type": decision, "reason": "Test", "message": "decided by a test"}
        if self.csr_version == "v1":
            condition["status"] = "True"
        current.setdefault("status", {})["conditions"] = [condition]
        self.kube.replace(f"{path}/approval", current)

    def wait_node(self, vnode: VNodeRig, ready: str, seconds: float = 30.0) -> dict[str, Any]:
        """The Node once its Ready condition has this status."""
        self.kube.wait_for(
            vnode.node_path,
            lambda node: bool(node) and ready_status(node) == ready,
            deadline_seconds=seconds,
            what=f"Ready={ready}",
        )
        return dict(self.kube.get(vnode.node_path))

    def run_pod(self, vnode: VNodeRig, name: str, **metadata: Any) -> str:
        """Create a Pod bound to the VNode by name; answers its API path."""
        pod = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": name, **metadata},
            "spec": {
                "nodeName": vnode.node_path.rsplit("/", 1)[1],
                "tolerations": [{"operator": "Exists"}],
                "containers": [{"name": "c", "image": "registry.example/c:1"}],
            },
        }
        self.kube.create("/api/v1/namespaces/default/pods", pod)
        return f"/api/v1/namespaces/default/pods/{name}"

    def wait_pod(self, path: str, phase: str = "Running", seconds: float = 30.0) -> dict[str, Any]:
        """The Pod once it is in a phase."""
        self.kube.wait_for(
            path,
            lambda pod: bool(pod) and pod["status"].get("phase") == phase,
            deadline_seconds=seconds,
            what=phase,
        )
        return dict(self.kube.get(path))


def ready_status(node: Mapping[str, Any]) -> str:
    """The status of a Node's Ready condition, "" if it has none."""
    for condition in node.get("status", {}).get("conditions") or ():
        if condition["type"] == "Ready":
            return str(condition["status"])
    return ""
