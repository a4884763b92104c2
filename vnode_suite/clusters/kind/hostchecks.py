"""What a machine must have before kind is started: everything that would otherwise end in a time-out minutes later."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from vnode_suite.clusters.kind.docker import DockerInfo
from vnode_suite.core.errors import ClusterError
from vnode_suite.data.versions import KubernetesVersion

#: inotify instances that must be free: a node of 1.22 was seen to hold 12 (systemd, containerd, kubelet, Pods).
INOTIFY_INSTANCES = 24
#: Watches that must be allowed: that node held 242. kind's own advice, 524288, is for many nodes on one machine.
INOTIFY_WATCHES = 1024


@dataclass(frozen=True, slots=True)
class Machine:
    """What of the kernel's limits matters.

    :ivar inotify_instances: that one user may have.
    :ivar inotify_used: that this user has now, as far as we may see.
    """

    inotify_instances: int
    inotify_watches: int
    inotify_used: int = 0

    @classmethod
    def here(cls, proc: Path = Path("/proc")) -> Machine:
        """This machine; where there is no Linux kernel to ask (Docker Desktop), nothing is limited."""
        limits = proc / "sys" / "fs" / "inotify"
        return cls(
            _number(limits / "max_user_instances"), _number(limits / "max_user_watches"), _inotify_used(proc)
        )


def check_host(version: KubernetesVersion, docker: DockerInfo, machine: Machine) -> None:
    """Do nothing where kind can start a node of *version*.

    :raises ClusterError: it cannot; says what is there, what is needed and what to do.
    """
    if not version.kind:
        raise ClusterError(f"it is not known which kind makes a cluster of Kubernetes {version}")
    if docker.cgroup_version == "2" and not version.facts.kubelet_cgroup_v2:
        raise ClusterError(
            f"a kubelet of {version.minor} cannot run on this machine's cgroup v2",
            wanted="cgroup v1 (kubelets know v2 from 1.19 on)",
            found="Docker says cgroup version 2",
            remedy="boot with systemd.unified_cgroup_hierarchy=0, take a machine that has v1, or take --vnode-cluster "
            "local, which has no kubelet",
        )
    free = machine.inotify_instances - machine.inotify_used
    if free < INOTIFY_INSTANCES:
        raise ClusterError(
            "too few inotify instances are left for a node: its kubelet would end with `too many open files`",
            wanted=f"{INOTIFY_INSTANCES} free",
            found=f"{machine.inotify_used} of {machine.inotify_instances} are taken",
            remedy="sysctl fs.inotify.max_user_instances=512",
        )
    if machine.inotify_watches < INOTIFY_WATCHES:
        raise ClusterError(
            "the limit of inotify watches is too low for a node",
            wanted=f"{INOTIFY_WATCHES} or more",
            found=str(machine.inotify_watches),
            remedy="sysctl fs.inotify.max_user_watches=524288",
        )


def _number(path: Path) -> int:
    try:
        return int(path.read_text(encoding="ascii"))
    except (OSError, ValueError):
        return 2**31


def _inotify_used(proc: Path) -> int:
    """How many inotify instances this user's processes hold; those of containers count as their user's on the host."""
    used = 0
    for process in proc.glob("[0-9]*"):
        try:
            if process.stat().st_uid == os.geteuid():
                used += sum(str(fd.readlink()) == "anon_inode:inotify" for fd in (process / "fd").iterdir())
        except OSError:
            # It has ended meanwhile, or is not ours to look into.
            continue
    return used
