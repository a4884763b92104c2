"""A Kubernetes control plane of local processes: etcd, API server, controller manager, scheduler.

    with start_local_cluster(version, folder, supervisor, binaries=binaries) as cluster:
        cluster.server_url, cluster.admin_kubeconfig

What may overlap in its start does: certificates are made while etcd starts, and the controller manager and
the scheduler start as soon as the API server answers at all.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Self

from vnode_suite.clusters.local import arguments, pki
from vnode_suite.clusters.local.arguments import (
    API_SERVER,
    COMPONENTS,
    CONTROLLER_MANAGER,
    ETCD,
    SCHEDULER,
    ControlPlaneLayout,
    ControlPlaneSettings,
)
from vnode_suite.clusters.local.binaries import ControlPlaneBinaries
from vnode_suite.clusters.local.endpoint import Answer, Endpoint
from vnode_suite.clusters.local.ports import PortClaims
from vnode_suite.core.errors import ClusterError, DeadlineExceeded
from vnode_suite.core.memory import pss_bytes
from vnode_suite.core.polling import poll
from vnode_suite.core.processes import OwnedProcess, ProcessError, Stopped, Supervisor
from vnode_suite.data.versions import KubernetesVersion, VersionFacts

#: Two idle cores need 4-9 s; a loaded CI machine was seen to need 35 s (k/k pull request 137743).
START_DEADLINE_SECONDS = 90.0
#: Somebody else may take a port between our look and the server's start.
PORT_TRIES = 3
#: Nothing of a control plane is worth saving: it is killed. Asked politely, an API server takes 2 s and more.
STOP_GRACE_SECONDS = 0.0
#: Namespaces whose `default` ServiceAccount is made by us: the controller needs 2-4 s to come to it, and a
#: Pod is refused before.
DEFAULT_ACCOUNT_NAMESPACES = ("default", "kube-system")


@dataclass(slots=True)
class LocalCluster:
    """A running control plane. Stop it, or use it as a context manager."""

    #: As in "https://127.0.0.1:23456".
    server_url: str
    #: The authority of the API server's certificate.
    ca_pem: str
    #: A kubeconfig of group system:masters. Secret.
    admin_kubeconfig: str
    #: The API server's own answer to GET /version.
    version_info: Mapping[str, Any]
    #: Seconds from the call to each stage.
    timings: Mapping[str, float]
    #: Where each program came from, by component.
    provenance: Mapping[str, Any]
    #: As it was started: the grace is this machine's.
    settings: ControlPlaneSettings
    facts: VersionFacts
    binaries: ControlPlaneBinaries
    layout: ControlPlaneLayout
    processes: Mapping[str, OwnedProcess]
    _supervisor: Supervisor = field(repr=False)
    _ports: PortClaims = field(repr=False)
    _at_end: int = field(repr=False)

    def memory_pss(self) -> dict[str, int]:
        """Memory of each process in bytes, shared pages counted by share (PSS)."""
        return {
            name: pss_bytes(process.pid) for name, process in self.processes.items() if not process.exited
        }

    @property
    def supervisor(self) -> Supervisor:
        """Who owns its processes."""
        return self._supervisor

    @property
    def logs(self) -> dict[str, Path]:
        """The log of each process."""
        return {name: process.log for name, process in self.processes.items()}

    def check_running(self) -> None:
        """Do nothing while all four run.

        :raises ProcessError: one has ended; names it, with the end of its log.
        """
        for process in self.processes.values():
            process.check_running()

    def stop(self) -> list[Stopped]:
        """End all four; says of each how it ended. Logs stay, keys are removed; what is kept stays as it is."""
        names = [process.name for process in self.processes.values()]
        if all(self._supervisor.keeps(name) for name in names):
            return []
        ended = self._supervisor.stop_many(list(reversed(names)), STOP_GRACE_SECONDS)
        self._ports.close()
        pki.remove(self.layout)
        self._supervisor.cancel_at_end(self._at_end)
        return ended

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def start_local_cluster(
    version: KubernetesVersion,
    folder: Path,
    supervisor: Supervisor,
    *,
    binaries: ControlPlaneBinaries,
    settings: ControlPlaneSettings | None = None,
    name: str = "local",
    deadline_seconds: float = START_DEADLINE_SECONDS,
    tell: Callable[[str], None] = lambda _: None,
) -> LocalCluster:
    """Start a control plane and return when all four components are healthy and a Pod can be created.

    :param folder: for keys, data and logs; made if it is not there.
    :param name: distinguishes the processes of several clusters under one supervisor.
    :param tell: is told what is being waited for.
    :raises ClusterError: a process ended or did not become healthy; the message holds the end of its log.
    """
    chosen = settings or ControlPlaneSettings()
    for attempt in range(1, PORT_TRIES + 1):
        start = _Start(binaries, version.facts, folder, supervisor, chosen, name, deadline_seconds, tell)
        try:
            return start.run()
        except BaseException as problem:
            start.undo()
            if not isinstance(problem, ProcessError | DeadlineExceeded):
                raise
            if attempt == PORT_TRIES or not start.lost_a_port():
                raise ClusterError(f"the control plane {name} did not start", found=str(problem)) from None
    raise AssertionError("unreachable")


class _Start:
    """One attempt to start a control plane."""

    def __init__(
        self,
        binaries: ControlPlaneBinaries,
        facts: VersionFacts,
        folder: Path,
        supervisor: Supervisor,
        settings: ControlPlaneSettings,
        name: str,
        deadline_seconds: float,
        tell: Callable[[str], None],
    ) -> None:
        self.binaries, self.facts, self.supervisor = binaries, facts, supervisor
        self.settings, self.name, self.tell = settings, name, tell
        self.began = time.monotonic()
        self.deadline = self.began + deadline_seconds
        self.timings: dict[str, float] = {}
        self.processes: dict[str, OwnedProcess] = {}
        self.ports = PortClaims()
        self.given_up = threading.Event()
        self.at_end: int | None = None
        claim = self.ports.claim
        loopback = arguments.LOOPBACK
        self.layout = ControlPlaneLayout(
            folder.resolve(),
            claim(settings.etcd_address),
            settings.api_server_port or claim(settings.address),
            claim(loopback),
            claim(loopback),
            settings.etcd_address,
        )

    def run(self) -> LocalCluster:
        """The stages, in order."""
        pki.prepare_folders(self.layout)
        # Keys must not outlive a run that is killed.
        self.at_end = self.supervisor.at_end(["rm", "-rf", *pki.secret_folders(self.layout)])
        self.tell("certificates")
        material = pki.write(self.layout, self.settings)
        self._mark("certificates")
        self.tell("etcd and kube-apiserver")
        self._launch(ETCD, self.binaries.etcd.path, *arguments.etcd_arguments(self.layout), cwd="etcd-socket")
        self._launch(
            API_SERVER,
            *self.settings.api_server_entry,
            self.binaries.api_server.path,
            *arguments.api_server_arguments(self.layout, self.settings, self.facts),
        )
        api = self._endpoint(self.settings.address, self.layout.api_server_port, material.ca_pem, "admin")
        self._await_health(API_SERVER, api, "/version", "answers")
        version_info = json.loads(api.request("GET", "/version").text)
        self.settings = replace(self.settings, node_monitor_grace_seconds=self._grace())
        self._launch_controllers()
        self.tell("kube-apiserver, kube-controller-manager and kube-scheduler to be healthy")
        with ThreadPoolExecutor(3, thread_name_prefix="start") as pool:
            waits = [
                pool.submit(self._await_api_server, api),
                pool.submit(
                    self._await_controller, CONTROLLER_MANAGER, self.layout.controller_manager_port, material
                ),
                pool.submit(self._await_controller, SCHEDULER, self.layout.scheduler_port, material),
            ]
            _all_or_first_error(waits, self.given_up)
        api.close()
        self._mark("usable")
        return LocalCluster(
            server_url=material.server_url,
            ca_pem=material.ca_pem,
            admin_kubeconfig=material.admin_kubeconfig,
            version_info=version_info,
            timings=dict(self.timings),
            provenance=self.binaries.provenance,
            settings=self.settings,
            facts=self.facts,
            binaries=self.binaries,
            layout=self.layout,
            processes=dict(self.processes),
            _supervisor=self.supervisor,
            _ports=self.ports,
            _at_end=self.at_end,
        )

    def _grace(self) -> float:
        """Seconds without heartbeat until a Node is NotReady, at the pace that this machine has shown."""
        least = self.settings.node_monitor_grace_seconds
        paced = self.settings.node_monitor_grace_starts * self.timings[f"{API_SERVER} answers"]
        return max(least, min(paced, arguments.LONGEST_GRACE_SECONDS))

    def undo(self) -> None:
        """Stop what was started."""
        self.supervisor.stop_many([process.name for process in reversed(self.processes.values())], 0)
        self.ports.close()
        pki.remove(self.layout)
        if self.at_end is not None:
            self.supervisor.cancel_at_end(self.at_end)

    def lost_a_port(self) -> bool:
        """Whether a process ended because somebody else had taken its port."""
        return any("address already in use" in process.log_tail(200) for process in self.processes.values())

    def _launch_controllers(self) -> None:
        manager = arguments.controller_manager_arguments(self.layout, self.settings, self.facts)
        self._launch(CONTROLLER_MANAGER, self.binaries.controller_manager.path, *manager)
        scheduler = arguments.scheduler_arguments(self.layout, self.settings, self.facts)
        self._launch(SCHEDULER, self.binaries.scheduler.path, *scheduler)

    def _launch(self, component: str, *argv: str | Path, cwd: str | None = None) -> None:
        self.processes[component] = self.supervisor.start(
            f"{self.name}/{component}",
            argv,
            log=self.layout.log(component),
            env=environment(),
            cwd=self.layout.folder / cwd if cwd else self.layout.folder,
            grace_seconds=0,
        )

    def _await_api_server(self, api: Endpoint) -> None:
        self._await_health(API_SERVER, api, self.facts.ready_path, "healthy")
        for namespace in DEFAULT_ACCOUNT_NAMESPACES:
            self._make_default_account(api, namespace)
        self._mark("pod-creatable")

    def _await_controller(self, component: str, port: int, material: pki.Material) -> None:
        endpoint = self._endpoint(arguments.LOOPBACK, port, material.ca_pem)
        self._await_health(component, endpoint, "/healthz", "healthy")
        endpoint.close()

    def _await_health(self, component: str, endpoint: Endpoint, path: str, stage: str) -> None:
        self._await_answer(
            component, lambda: endpoint.request("GET", path), f"{component} to answer {path} with ok"
        )
        self._mark(f"{component} {stage}")

    def _make_default_account(self, api: Endpoint, namespace: str) -> None:
        account = {
            "apiVersion": "v1",
            "kind": "ServiceAccount",
            "metadata": {"name": "default"},
            # Where tokens are Secrets, a Pod is refused until the account has one, unless it wants none.
            "automountServiceAccountToken": False,
        }

        def create() -> Answer:
            answer = api.request("POST", f"/api/v1/namespaces/{namespace}/serviceaccounts", account)
            # The controller may have been quicker; then the account is there, which is all we want.
            return Answer(200, "") if answer.status == 409 else answer

        self._await_answer(API_SERVER, create, f"the ServiceAccount default in {namespace} to be made")

    def _await_answer(self, component: str, ask: Callable[[], Answer], what: str) -> Answer:
        last = Answer(0, "not asked yet")

        def look() -> Answer | None:
            nonlocal last
            for process in self.processes.values():
                process.check_running()
            last = ask()
            return last if last.ok else None

        def state() -> str:
            tail = self.processes[component].log_tail()
            return f"{last.status} {last.text[:300]}; the last lines of its log:\n{tail}"

        remaining = max(0.0, self.deadline - time.monotonic())
        return poll(
            look,
            what=what,
            deadline_seconds=remaining,
            interval_seconds=0.03,
            last_state=state,
            stop=self.given_up,
        )

    def _endpoint(self, host: str, port: int, ca_pem: str, identity: str | None = None) -> Endpoint:
        if identity is None:
            return Endpoint(host, port, ca_pem=ca_pem)
        certificate, key = self.layout.certificate(identity), self.layout.key(identity)
        return Endpoint(host, port, ca_pem=ca_pem, certificate=certificate, key=key)

    def _mark(self, stage: str) -> None:
        self.timings[stage] = round(time.monotonic() - self.began, 3)


def _all_or_first_error(waits: Sequence[Future[None]], given_up: threading.Event) -> None:
    """Wait for all; when one fails the others are told to give up, and its error is raised."""
    try:
        done, _ = wait(waits, return_when=FIRST_EXCEPTION)
        for one in done:
            one.result()
    except BaseException:
        # Ctrl-C ends up here too: the pool would otherwise sit out the deadlines of the others.
        given_up.set()
        raise


#: Go's collector begins when the heap has grown by so many per cent; with its default of 100 API servers of 1.13 to
#: 1.19 hold 390 MiB at times, half of what a version may take. The price in processor time could not be measured.
_HEAP_GROWTH_PERCENT = 75


def environment() -> dict[str, str]:
    """Nothing of the user's that a component might heed: no proxies, no KUBECONFIG, no Go settings but our own."""
    path = os.environ.get("PATH", os.defpath)
    return {"PATH": path, "HOME": "/nonexistent", "GOGC": str(_HEAP_GROWTH_PERCENT)}


__all__ = ["COMPONENTS", "ControlPlaneSettings", "LocalCluster", "start_local_cluster"]
