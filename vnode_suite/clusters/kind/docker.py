"""The `docker` command: what is asked of it, and what a person is told when it does not answer."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vnode_suite.core.errors import ClusterError

#: What only asks; the daemon answers at once or is not well.
ASK_SECONDS = 60.0
#: What moves images: half a gigabyte through a slow disk, on two busy cores.
WORK_SECONDS = 900.0
#: kind's own label on the containers of a cluster.
CLUSTER_LABEL = "io.x-k8s.kind.cluster"


@dataclass(frozen=True, slots=True)
class DockerInfo:
    """What the daemon says of itself and its machine.

    :ivar version: as in "20.10.24".
    :ivar cgroup_version: "1" or "2".
    """

    version: str
    cgroup_version: str
    cgroup_driver: str
    storage_driver: str


@dataclass(frozen=True, slots=True)
class Docker:
    """The command line of one Docker; which daemon it speaks to, its environment says (`DOCKER_HOST`, contexts)."""

    program: str = "docker"

    @classmethod
    def find(cls) -> Docker:
        """The `docker` on PATH.

        :raises ClusterError: there is none.
        """
        found = shutil.which("docker")
        if found is None:
            raise ClusterError(
                "kind needs Docker, and there is no docker command on PATH",
                remedy="install Docker, or take --vnode-cluster local, which needs none",
            )
        return cls(found)

    def __call__(
        self, *arguments: str, timeout: float = ASK_SECONDS, cwd: Path | None = None, feed: str = ""
    ) -> str:
        """Run it and return its standard output.

        :param feed: what it is given on standard input.
        :raises ClusterError: it failed or did not end; holds the end of what it said.
        """
        try:
            answer = subprocess.run(
                [self.program, *arguments],
                capture_output=True,
                text=True,
                errors="replace",
                input=feed,
                timeout=timeout,
                check=False,
                cwd=cwd,
            )
        except subprocess.TimeoutExpired:
            raise ClusterError(f"`docker {arguments[0]}` did not end within {timeout:g} s") from None
        if answer.returncode != 0:
            raise ClusterError(
                f"`docker {' '.join(arguments[:2])}` failed",
                found=" ".join((answer.stderr or answer.stdout).strip().splitlines()[-5:])[-600:],
            )
        return answer.stdout

    def pipe(self, first: Sequence[str], *arguments: str, timeout: float = WORK_SECONDS) -> str:
        """Run it with the output of another command as its input: archives go through, and never to disk.

        :raises ClusterError: one of the two failed.
        """
        source = subprocess.Popen(first, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        try:
            answer = subprocess.run(
                [self.program, *arguments],
                stdin=source.stdout,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=timeout,
                check=False,
            )
        except subprocess.TimeoutExpired:
            source.kill()
            raise ClusterError(f"`docker {arguments[0]}` did not end within {timeout:g} s") from None
        finally:
            if source.stdout is not None:
                source.stdout.close()
            ended = source.wait()
        if answer.returncode != 0 or ended != 0:
            raise ClusterError(
                f"`{Path(first[0]).name} {first[1]} | docker {' '.join(arguments[:2])}` failed",
                found=f"exit {ended} and {answer.returncode}; {answer.stderr.strip()[-400:]}",
            )
        return answer.stdout

    def info(self) -> DockerInfo:
        """What the daemon says of itself.

        :raises ClusterError: it cannot be reached.
        """
        try:
            said = json.loads(self("info", "--format", "{{json .}}"))
        except ClusterError as problem:
            raise _unreachable(problem.found or problem.summary) from None
        # An old client ends with 0 though the daemon did not answer, and says so in a field.
        if errors := said.get("ServerErrors"):
            raise _unreachable("; ".join(errors))
        return DockerInfo(
            version=str(said.get("ServerVersion", "")),
            cgroup_version=str(said.get("CgroupVersion", "1")),
            cgroup_driver=str(said.get("CgroupDriver", "")),
            storage_driver=str(said.get("Driver", "")),
        )

    def image(self, reference: str) -> dict[str, Any] | None:
        """What is known of an image, None where it is not there."""
        try:
            found: list[dict[str, Any]] = json.loads(self("image", "inspect", reference))
        except ClusterError:
            return None
        return found[0]

    def containers_of(self, cluster: str) -> list[str]:
        """Ids of the containers of a kind cluster, running or not."""
        return self("ps", "-aq", "--filter", f"label={CLUSTER_LABEL}={cluster}").split()

    def remove_cluster(self, cluster: str) -> None:
        """Remove the containers of a kind cluster and the network of its name, without kind; harmless to repeat.

        :raises ClusterError: something would not go.
        """
        containers = self.containers_of(cluster)
        if containers:
            self("rm", "--force", "--volumes", *containers, timeout=WORK_SECONDS)
        if self("network", "ls", "--quiet", "--filter", f"name=^{cluster}$").strip():
            self("network", "rm", cluster)


def _unreachable(found: str) -> ClusterError:
    return ClusterError(
        "kind needs Docker, and its daemon does not answer",
        wanted="a docker command that may use a running daemon",
        found=found,
        remedy="start Docker, name its socket in DOCKER_HOST, or join its group (usermod -aG docker); "
        "--vnode-cluster local needs none",
    )
