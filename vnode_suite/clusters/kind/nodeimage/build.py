"""Building a node image for kind from Debian packages, Go modules and PyPI's etcd: nothing of it is pulled.

    FROM scratch: debootstrap's Debian with systemd, containerd, runc, iptables and CNI plugins
      + the files of kind's own base image, and kindnet's manifest, out of kind's Go module
      + kubeadm, kubelet and kubectl built from Kubernetes' modules
      + the images that kubeadm asks for, each made of one program built here, in containerd's store

Whoever can pull needs none of this: the table of versions names kind's published images by digest.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

from vnode_suite.clusters.kind import gotools
from vnode_suite.clusters.kind.docker import WORK_SECONDS, Docker
from vnode_suite.clusters.kind.gotools import GoTool
from vnode_suite.clusters.kind.nodeimage import kindfiles
from vnode_suite.clusters.local.assets import find_etcd
from vnode_suite.clusters.local.binaries import Binary
from vnode_suite.clusters.local.sources.modules import NODE_COMPONENTS, ModuleBuilds
from vnode_suite.clusters.local.store import Store
from vnode_suite.core.errors import AssetsError, ClusterError
from vnode_suite.core.polling import poll
from vnode_suite.core.processes import Supervisor, log_tail
from vnode_suite.core.progress import Progress
from vnode_suite.data.versions import KubernetesVersion

#: Name of images built here; the tag is the version of Kubernetes, as in "v1.22.15".
REPOSITORY = "vnode-suite/node"
PROVENANCE_LABEL = "vnode-suite.provenance"
_COREDNS = "github.com/coredns/coredns"
_SUITE = "bookworm"
#: Debian's packages: what kind's own base image has (its Dockerfile), and what it compiles itself.
PACKAGES = (
    *("systemd", "dbus", "conntrack", "iptables", "iproute2", "ethtool", "util-linux", "mount", "ebtables"),
    *("kmod", "libseccomp2", "pigz", "bash", "ca-certificates", "curl", "jq", "procps", "hostname"),
    *("containerd", "runc", "containernetworking-plugins"),
)
#: What no container of a cluster reads, a fifth of the tree.
_LEFT_OUT = ("usr/share/doc", "usr/share/man", "usr/share/locale", "var/cache/apt", "var/lib/apt/lists")
_DEBOOTSTRAP_SECONDS = 1800.0
#: Debian, images and the layers of both.
NEEDED_BYTES = 6 * 2**30
#: containerd in the image being built is up within a second or two; a slow disk may take longer.
_CONTAINERD_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class NodeImage:
    """An image that kind can make a node of.

    :ivar reference: what Docker calls it.
    :ivar id: sha256 of its configuration, which names everything in it.
    """

    reference: str
    id: str
    seconds: float = 0.0
    provenance: Mapping[str, Any] = field(default_factory=dict)


def local_reference(version: KubernetesVersion) -> str | None:
    """What an image built here for *version* is called; None where its modules cannot all be had."""
    patch = version.patch_from("modules")
    return f"{REPOSITORY}:v{patch}" if patch else None


def build_node_image(
    version: KubernetesVersion, *, store: Store, docker: Docker, progress: Progress
) -> NodeImage:
    """Build it, under the name that :func:`local_reference` gives.

    :raises AssetsError: this machine cannot (not root, no debootstrap), or a part cannot be had.
    :raises ClusterError: Docker failed.
    """
    patch, reference = version.patch_from("modules"), local_reference(version)
    if patch is None or reference is None:
        raise AssetsError(
            f"no node image of {version} can be built", wanted="a version whose Go modules can be had"
        )
    _check_machine(store)
    docker.info()
    began = time.monotonic()
    with store.staging() as folder:
        parts = _Parts.obtain(version, patch, store, progress)
        recipe = _Recipe(patch, reference, parts, folder, store, docker, progress)
        provenance = recipe.run()
    found = docker.image(reference) or {}
    return NodeImage(reference, str(found.get("Id", "")), round(time.monotonic() - began, 1), provenance)


def _check_machine(store: Store) -> None:
    if os.geteuid() != 0:
        raise AssetsError(
            "building a node image needs root", found=f"user {os.geteuid()}", remedy="sudo -E vnode-suite ..."
        )
    if shutil.which("debootstrap") is None:
        raise AssetsError(
            "building a node image needs debootstrap, which is not on PATH",
            remedy="apt-get install debootstrap",
        )
    free = shutil.disk_usage(store.root if store.root.exists() else store.root.anchor).free
    if free < NEEDED_BYTES:
        raise AssetsError(f"a node image needs {NEEDED_BYTES >> 30} GiB of disk, {free >> 20} MiB are free")


@dataclass(frozen=True, slots=True)
class _Parts:
    """The programs that go in, and kind's module."""

    kubernetes: Mapping[str, Binary]
    etcd: Binary
    coredns: Binary
    kind_module: Path
    kind_reference: str
    #: What `kubeadm config images list` asks for.
    images: tuple[str, ...]

    @classmethod
    def obtain(cls, version: KubernetesVersion, patch: str, store: Store, progress: Progress) -> _Parts:
        kubernetes = {
            **ModuleBuilds(store).obtain(version, progress),
            **ModuleBuilds(store, NODE_COMPONENTS).obtain(version, progress),
        }
        images = _asked_for(kubernetes["kubeadm"].path, patch)
        dns = next(image for image in images if image.split(":")[0].endswith("/coredns"))
        kind = GoTool("kind", "sigs.k8s.io/kind", version.kind.removeprefix("v"))
        return cls(
            kubernetes=kubernetes,
            etcd=find_etcd(),
            coredns=gotools.obtain(
                GoTool("coredns", _COREDNS, dns.rpartition(":")[2].removeprefix("v")), store, progress
            ),
            kind_module=gotools.module_folder(kind, store, progress),
            kind_reference=kind.reference,
            images=images,
        )


def _asked_for(kubeadm: Path, patch: str) -> tuple[str, ...]:
    """The images that kubeadm makes a control plane of; it knows its own without the network."""
    answer = subprocess.run(
        [kubeadm, "config", "images", "list", "--kubernetes-version", f"v{patch}"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    if answer.returncode != 0:
        raise AssetsError("kubeadm does not say which images it needs", found=answer.stderr.strip()[-300:])
    return tuple(answer.stdout.split())


class _Recipe:
    """One build, in one folder."""

    def __init__(
        self,
        patch: str,
        reference: str,
        parts: _Parts,
        folder: Path,
        store: Store,
        docker: Docker,
        progress: Progress,
    ) -> None:
        self.patch, self.reference, self.parts, self.folder = patch, reference, parts, folder
        self.store, self.docker, self.progress = store, docker, progress
        # Two builds at once must not take each other's intermediate images away.
        self.prefix = f"vnode-suite/build-{secrets.token_hex(4)}"
        self.base, self.stage = f"{self.prefix}:debian", f"{self.prefix}:node"

    def run(self) -> dict[str, Any]:
        """The steps, in order; what came to be on the way is removed."""
        made = [self.stage, self.base]
        try:
            with self.progress.task("node image: Debian (debootstrap)"):
                self._debian()
            with self.progress.task("node image: the images that kubeadm asks for"):
                images = self._images()
            made = [*images, *made]
            provenance = self._provenance(images)
            with self.progress.task("node image: the node"):
                self._node(provenance)
            with self.progress.task("node image: loading the images into it"):
                self._load(images)
        finally:
            for name in made:
                if self.docker.image(name) is not None:
                    self.docker("image", "rm", "--force", name, timeout=WORK_SECONDS)
        return provenance

    def _debian(self) -> None:
        root, log = self.folder / "debian", self.folder / "debootstrap.log"
        # Under a supervisor: what unpacks packages as root must not go on when its run was killed.
        with Supervisor(log=self.folder / "supervisor.log") as supervisor:
            process = supervisor.start(
                "debootstrap",
                # Which mirror, debootstrap knows as the machine it runs on does.
                ["debootstrap", "--variant=minbase", f"--include={','.join(PACKAGES)}", _SUITE, str(root)],
                log=log,
            )
            ended = process.wait(_DEBOOTSTRAP_SECONDS)
        if not ended or process.returncode() != 0:
            status = (
                f"ended with {process.returncode()}" if ended else f"took over {_DEBOOTSTRAP_SECONDS:g} s"
            )
            raise AssetsError(f"debootstrap {_SUITE} {status}", found=log_tail(log, 3))
        for left_out in _LEFT_OUT:
            shutil.rmtree(root / left_out, ignore_errors=True)
        self.docker.pipe(["tar", "-C", str(root), "-c", "."], "import", "-", self.base)
        shutil.rmtree(root, ignore_errors=True)

    def _images(self) -> dict[str, str]:
        """Every image that goes into the node: its name, and what it is made of."""
        sandbox = kindfiles.sandbox_image(self.parts.kind_module)
        network, _ = kindfiles.network(self.parts.kind_module)
        made = {}
        for name in dict.fromkeys((*self.parts.images, sandbox, network)):
            component = name.split(":")[0].rpartition("/")[2]
            made[name] = self._image(name, component)
        return made

    def _image(self, name: str, component: str) -> str:
        context = self.folder / "images" / component
        programs = context / "root" / "usr" / "local" / "bin"
        programs.mkdir(parents=True, exist_ok=True)
        if component in ("pause", "kindnetd"):
            source = _shipped({"pause": "pause", "kindnetd": "kindnet"}[component] + ".go.txt")
            gotools.build_file(source, programs / component, self.store, self.progress)
            made_of, entrypoint = "a stand-in of vnode-suite's own", [f"/usr/local/bin/{component}"]
        else:
            binary = self._program(component)
            _copy(binary.path, programs / component)
            made_of = f"{component} {binary.version}, {binary.provenance.get('source')}"
            entrypoint = [f"/usr/local/bin/{component}"] if component == "coredns" else []
        dockerfile = "KubeProxy.Dockerfile" if component == "kube-proxy" else "Component.Dockerfile"
        if component == "kube-proxy":
            self._iptables(context / "root" / "usr" / "local" / "sbin")
        text = _shipped(dockerfile) + (f"ENTRYPOINT {json.dumps(entrypoint)}\n" if entrypoint else "")
        self._build(name, context, text, {"BASE": self.base})
        return made_of

    def _program(self, component: str) -> Binary:
        if component == "etcd":
            return self.parts.etcd
        return self.parts.coredns if component == "coredns" else self.parts.kubernetes[component]

    def _iptables(self, folder: Path) -> None:
        folder.mkdir(parents=True)
        wrapper = folder / "iptables"
        wrapper.write_text(_shipped("iptables.sh"), encoding="utf-8")
        wrapper.chmod(0o755)
        for family in ("iptables", "ip6tables"):
            for action in ("", "-save", "-restore"):
                if (name := f"{family}{action}") != "iptables":
                    (folder / name).symlink_to("iptables")

    def _node(self, provenance: Mapping[str, Any]) -> None:
        context = self.folder / "node"
        kindfiles.copy_base_files(self.parts.kind_module, context / "kind")
        programs = context / "programs"
        programs.mkdir(parents=True)
        for name in ("kubeadm", "kubelet", "kubectl"):
            _copy(self.parts.kubernetes[name].path, programs / name)
        manifests = context / "manifests"
        manifests.mkdir()
        _, network = kindfiles.network(self.parts.kind_module)
        (manifests / "default-cni.yaml").write_text(network, encoding="utf-8")
        (manifests / "default-storage.yaml").write_text(kindfiles.STORAGE_MANIFEST, encoding="utf-8")
        arguments = {
            "BASE": self.base,
            "VERSION": f"v{self.patch}",
            "PROVENANCE": json.dumps(provenance, sort_keys=True),
        }
        self._build(self.stage, context, _shipped("Dockerfile"), arguments)

    def _load(self, images: Mapping[str, str]) -> None:
        """Put the images into containerd's store as kind does: containerd is run in the image, then committed."""
        # Named before it is made: one that does not start is there all the same.
        container = f"{self.prefix.rpartition('/')[2]}-loading"
        how = (
            f"--name={container}",
            "--security-opt=seccomp=unconfined",
            "--network=none",
            "--entrypoint=sleep",
        )
        try:
            self.docker("run", "--detach", *how, self.stage, "infinity")
            self.docker("exec", "--detach", container, "containerd")
            self._await(container, ("ctr", "version"), succeeds=True, what="containerd to answer")
            load = ["ctr", "--namespace=k8s.io", "images", "import", "--all-platforms", "--no-unpack", "-"]
            self.docker.pipe(
                [self.docker.program, "save", *images], "exec", "--interactive", container, *load
            )
            self.docker("exec", container, "pkill", "-x", "containerd")
            self._await(container, ("pgrep", "-x", "containerd"), succeeds=False, what="containerd to end")
            entrypoint = 'ENTRYPOINT ["/usr/local/bin/entrypoint", "/sbin/init"]'
            self.docker("commit", "--change", entrypoint, container, self.reference, timeout=WORK_SECONDS)
        finally:
            self.docker("rm", "--force", "--volumes", container, timeout=WORK_SECONDS)

    def _await(self, container: str, command: Sequence[str], *, succeeds: bool, what: str) -> None:
        def look() -> bool | None:
            try:
                self.docker("exec", container, *command)
            except ClusterError:
                return None if succeeds else True
            return True if succeeds else None

        poll(look, what=what, deadline_seconds=_CONTAINERD_SECONDS, interval_seconds=0.5)

    def _build(self, name: str, context: Path, dockerfile: str, arguments: Mapping[str, str]) -> None:
        (context / "Dockerfile").write_text(dockerfile, encoding="utf-8")
        options = [
            f"--build-arg={key}={value}" for key, value in arguments.items() if f"ARG {key}" in dockerfile
        ]
        self.docker("build", "--quiet", f"--tag={name}", *options, str(context), timeout=WORK_SECONDS)

    def _provenance(self, images: Mapping[str, str]) -> dict[str, Any]:
        return {
            "kubernetes": f"v{self.patch}, building from Go modules",
            "kind_files": self.parts.kind_reference,
            "debian": _SUITE,
            "images": dict(images),
            "deviations": [
                "kindnetd and pause are stand-ins of vnode-suite's own, under the names that kind and kubeadm use",
                f"etcd is {self.parts.etcd.version}, under the tag that kubeadm asks for",
                "containerd, runc and the CNI plugins are Debian's",
                "no storage provisioner: the StorageClass is kind's fallback",
            ],
        }


def _shipped(name: str) -> str:
    return (resources.files(__package__) / name).read_text(encoding="utf-8")


def _copy(source: Path, target: Path) -> None:
    shutil.copyfile(source, target)
    target.chmod(0o755)
