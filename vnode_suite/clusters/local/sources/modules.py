"""Kubernetes built from its Go modules, where no release can be downloaded but a module proxy can be reached.

The steps: fetch the release's module, copy its tree so that it can be written to, write a go.mod of our own
around it, generate the one file that old releases do not carry (the OpenAPI definitions), compile the commands.
What a minor needs beside that is in `versions.toml`; how each program came to be is in its provenance.
"""

from __future__ import annotations

import datetime as dt
import json
import os
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from vnode_suite.clusters.local.arguments import API_SERVER
from vnode_suite.clusters.local.binaries import Binary
from vnode_suite.clusters.local.sources import KUBERNETES_COMPONENTS, SourceUnavailable, gomod
from vnode_suite.clusters.local.sources.toolchain import GoTool, find_go
from vnode_suite.clusters.local.store import Store
from vnode_suite.core.errors import AssetsError
from vnode_suite.core.processes import Supervisor, log_tail
from vnode_suite.core.progress import Progress, Task
from vnode_suite.data.versions import KubernetesVersion, ModuleBuild

#: What a node of kubeadm's runs beside a control plane.
NODE_COMPONENTS = ("kubeadm", "kubelet", "kubectl", "kube-proxy")
#: What Go's caches, the copied tree and the programs take for one minor, with room to spare.
NEEDED_BYTES = 4 * 2**30
#: The parts of a release that its commands are made of.
_TREE_PARTS = ("cmd", "pkg", "plugin", "third_party", "api", "staging", "LICENSE")
_OPENAPI_FOLDER = "pkg/generated/openapi"
_OPENAPI_PACKAGE = f"k8s.io/kubernetes/{_OPENAPI_FOLDER}"
_OPENAPI_FILE = "zz_generated.openapi"
_OPENAPI_TAG = "+k8s:openapi-gen="
_OPENAPI_GENERATOR = "k8s.io/kube-openapi/cmd/openapi-gen"
#: `/version` is answered from the first up to 1.15 (client-go's), later from component-base's.
_VERSION_PACKAGES = (
    "k8s.io/client-go/pkg/version",
    "k8s.io/component-base/version",
    "k8s.io/kubernetes/pkg/version",
)
_IN_BUILD_CACHE = "not installed but available in build cache"
#: Nothing here takes that long on one slow core; a build that does hangs.
STEP_SECONDS = 3600.0
#: How often the build's output is counted for the progress bar.
_LOOK_SECONDS = 0.25


class ModuleBuilds:
    """Programs built here from Go modules, put into the store as they come to be.

    :param components: commands of `k8s.io/kubernetes`, built together.
    """

    name = "building from Go modules"

    def __init__(self, store: Store, components: Sequence[str] = KUBERNETES_COMPONENTS) -> None:
        self.store, self.components = store, tuple(components)

    def obtain(self, version: KubernetesVersion, progress: Progress) -> Mapping[str, Binary]:
        """Build the programs, or take what another run has just built."""
        patch = version.patch_from("modules")
        if patch is None or version.build is None:
            known = version.patches.get("modules")
            raise SourceUnavailable(
                f"the modules of {version} cannot all be had (those of {known} can)"
                if known
                else f"it is not known how to build {version.minor} from modules"
            )
        with self.store.holding(f"build-{patch}", f"building Kubernetes {patch}", progress):
            found = self._stored(patch)
            if found is None:
                self._build(patch, version.build, progress)
                found = self._stored(patch)
        if found is None:
            raise SourceUnavailable(f"the build of {patch} left nothing in the store")
        return found

    def _stored(self, patch: str) -> Mapping[str, Binary] | None:
        entries = [self.store.get_sound(patch, name) for name in self.components]
        found = {entry.component: entry.binary for entry in entries if entry is not None}
        return found if len(found) == len(self.components) else None

    def _build(self, patch: str, build: ModuleBuild, progress: Progress) -> None:
        go = find_go(self.store, build.toolchain, progress)
        free = shutil.disk_usage(self.store.root).free
        if free < NEEDED_BYTES:
            raise SourceUnavailable(
                f"building needs {NEEDED_BYTES >> 30} GiB of disk, {free >> 20} MiB are free"
            )
        with self.store.staging() as folder, Supervisor(log=folder / "supervisor.log") as supervisor:
            # `staging` removes the folder when this process ends; if it is killed, the supervisor does.
            supervisor.at_end(["rm", "-rf", folder])
            for component, program, provenance in _Build(
                patch, build, self.components, go, folder, supervisor, progress
            ).run():
                self.store.add(patch, component, program, provenance)


@dataclass(frozen=True, slots=True)
class _Release:
    """A release's module as Go has fetched it."""

    folder: Path
    go_mod: str
    go_sum: str
    checksum: str
    commit: str
    commit_time: str


class _Build:
    """One build in one folder."""

    def __init__(
        self,
        patch: str,
        build: ModuleBuild,
        components: Sequence[str],
        go: GoTool,
        folder: Path,
        supervisor: Supervisor,
        progress: Progress,
    ) -> None:
        self.patch, self.build, self.go, self.progress = patch, build, go, progress
        self.folder, self.supervisor = folder, supervisor
        self.tree, self.module, self.programs = folder / "kubernetes", folder / "module", folder / "programs"
        self.components = tuple(components)
        self.commands = [f"k8s.io/kubernetes/cmd/{name}" for name in components]
        self.flags = ["-trimpath", *([f"-tags={','.join(build.tags)}"] if build.tags else [])]
        self.environment = {
            **os.environ,
            "GOTOOLCHAIN": build.toolchain,
            "GOFLAGS": "-mod=mod",
            "GO111MODULE": "on",
            "GOWORK": "off",
            "CGO_ENABLED": "0",
        }
        self.steps = 0

    def run(self) -> list[tuple[str, Path, dict[str, Any]]]:
        """Component, program and provenance of each."""
        began = time.monotonic()
        title = f"Kubernetes {self.patch}"
        for folder in (self.tree, self.module, self.programs):
            folder.mkdir()
        with self.progress.task(f"{title}: fetching its modules", unit="modules") as task:
            release = self._fetch(self.patch, task)
            self._copy_tree(release)
            self._write_module(release, task)
            packages = self._packages(task)
        # Nothing but the API server has them compiled in.
        wanted = API_SERVER in self.components
        if wanted and not (self.tree / _OPENAPI_FOLDER / f"{_OPENAPI_FILE}.go").exists():
            with self.progress.task(f"{title}: generating the OpenAPI definitions", unit="packages") as task:
                self._generate_openapi(packages, task)
        with self.progress.task(f"{title}: compiling", unit="packages") as task:
            task.expect(self._packages_to_compile())
            self._compile(release, task)
        duration = round(time.monotonic() - began, 1)
        return [
            (name, self.programs / name, self._provenance(name, release, duration))
            for name in self.components
        ]

    # -- steps --------------------------------------------------------------------------------------------

    def _fetch(self, patch: str, task: Task) -> _Release:
        module = f"{gomod.KUBERNETES_MODULE}@v{patch}"
        answer = json.loads(
            self._go(["mod", "download", "-json", module], self.folder, on_line=_count_downloads(task))
        )
        folder = Path(answer["Dir"])
        info = json.loads(Path(answer["Info"]).read_text(encoding="utf-8"))
        go_mod, go_sum = folder / "go.mod", folder / "go.sum"
        return _Release(
            folder=folder,
            go_mod=go_mod.read_text(encoding="utf-8") if go_mod.exists() else "",
            go_sum=go_sum.read_text(encoding="utf-8") if go_sum.exists() else "",
            checksum=answer["Sum"],
            commit=info.get("Origin", {}).get("Hash", ""),
            commit_time=info.get("Time", ""),
        )

    def _copy_tree(self, release: _Release) -> None:
        for part in _TREE_PARTS:
            source = release.folder / part
            if source.is_dir():
                shutil.copytree(source, self.tree / part, copy_function=shutil.copyfile, symlinks=True)
                _make_writable(self.tree / part)
            elif source.exists():
                shutil.copyfile(source, self.tree / part)
        (self.tree / "go.mod").write_text(
            release.go_mod or f"module {gomod.KUBERNETES_MODULE}\n", encoding="utf-8"
        )

    def _write_module(self, release: _Release, task: Task) -> None:
        folders = {path: self._empty_module(path) for path in self.build.empty_modules}
        folders |= {path: self._stand_in(path) for path in self.build.stand_ins}
        tree = os.path.relpath(self.tree, self.module)
        go_sum = release.go_sum
        if release.go_mod:
            mod = gomod.module_of_release(release.go_mod, self.patch, tree, self.build, folders)
        else:
            lender = self._fetch(self.build.pins_from, task)
            go_sum = lender.go_sum
            staging = sorted(
                each.name for each in (self.tree / "staging/src/k8s.io").iterdir() if each.is_dir()
            )
            for name in staging:
                own = self.tree / "staging/src/k8s.io" / name / "go.mod"
                own.write_text(f"module k8s.io/{name}\n", encoding="utf-8")
            mod = gomod.module_with_borrowed_pins(
                lender.go_mod, self.patch, tree, staging, self.build, folders
            )
        (self.module / "go.mod").write_text(mod.render(), encoding="utf-8")
        (self.module / "go.sum").write_text(go_sum, encoding="utf-8")

    def _empty_module(self, path: str) -> str:
        folder = self.folder / "empty" / path
        folder.mkdir(parents=True)
        (folder / "go.mod").write_text(f"module {path}\n", encoding="utf-8")
        return os.path.relpath(folder, self.module)

    def _stand_in(self, path: str) -> str:
        folder = self.folder / "stand-in" / path
        folder.mkdir(parents=True)
        (folder / "go.mod").write_text(f"module {path}\n", encoding="utf-8")
        shipped = (
            resources.files("vnode_suite.clusters.local") / "stand_ins" / f"{path.rpartition('/')[2]}.go.txt"
        )
        (folder / "stand_in.go").write_text(shipped.read_text(encoding="utf-8"), encoding="utf-8")
        return os.path.relpath(folder, self.module)

    def _packages(self, task: Task) -> dict[str, Path]:
        """Every package that the commands are made of but Go's own, with its folder."""
        template = "{{if not .Standard}}{{.ImportPath}}\t{{.Dir}}{{end}}"
        listing = self._go(
            ["list", *self.flags, "-deps", "-f", template, *self.commands],
            self.module,
            on_line=_count_downloads(task),
        )
        return {
            path: Path(folder)
            for path, _, folder in (line.partition("\t") for line in listing.splitlines())
            if path
        }

    def _generate_openapi(self, packages: Mapping[str, Path], task: Task) -> None:
        tagged = sorted(path for path, folder in packages.items() if _is_tagged(folder))
        generator, output, header = (
            self.folder / name for name in ("openapi-gen", "generated", "header.txt")
        )
        header.write_text("", encoding="utf-8")
        self._go(
            ["build", "-v", "-o", str(generator), _OPENAPI_GENERATOR],
            self.module,
            on_line=_count_packages(task),
        )
        task.describe(
            f"Kubernetes {self.patch}: generating the OpenAPI definitions of {len(tagged)} packages"
        )
        self._run(
            [
                str(generator),
                f"--output-file-base={_OPENAPI_FILE}",
                f"--go-header-file={header}",
                f"--output-package={_OPENAPI_PACKAGE}",
                f"--report-filename={self.folder / 'violations'}",
                f"--output-base={output}",
                f"--input-dirs={','.join(tagged)}",
            ],
            self.module,
        )
        name = f"{_OPENAPI_FILE}.go"
        shutil.copyfile(output / _OPENAPI_PACKAGE / name, self.tree / _OPENAPI_FOLDER / name)

    def _packages_to_compile(self) -> int:
        """How many packages are not in Go's build cache: those are the ones that compiling will name."""
        # Go calls a package stale that is merely not installed; only the reason tells.
        template = f'{{{{if ne .StaleReason "{_IN_BUILD_CACHE}"}}}}{{{{.ImportPath}}}}{{{{end}}}}'
        listing = self._go(["list", *self.flags, "-deps", "-f", template, *self.commands], self.module)
        return max(1, len(listing.split()))

    def _compile(self, release: _Release, task: Task) -> None:
        link = f"-ldflags=-s -w {' '.join(self._version_settings(release))}"
        output = f"{self.programs}{os.sep}"
        self._go(
            ["build", "-v", *self.flags, link, "-o", output, *self.commands],
            self.module,
            on_line=_count_packages(task),
        )

    def _version_settings(self, release: _Release) -> list[str]:
        major, minor, _ = self.patch.split(".")
        values = {
            "gitVersion": f"v{self.patch}",
            "gitMajor": major,
            "gitMinor": minor,
            # What Kubernetes says of a build from an unpacked archive, not from a checkout.
            "gitTreeState": "archive",
            "gitCommit": release.commit or "unknown",
        }
        if release.commit_time:
            values["buildDate"] = release.commit_time
        return [
            f"-X={package}.{key}={value}" for package in _VERSION_PACKAGES for key, value in values.items()
        ]

    def _provenance(self, component: str, release: _Release, duration: float) -> dict[str, Any]:
        return {
            "source": ModuleBuilds.name,
            "module": f"{gomod.KUBERNETES_MODULE}@v{self.patch}",
            "module_sum": release.checksum,
            "commit": release.commit,
            "toolchain": self.build.toolchain,
            "toolchain_origin": self.go.origin,
            "flags": [*self.flags, "CGO_ENABLED=0"],
            "deviations": list(self.build.deviations),
            "modules": self._modules_of(self.programs / component),
            "built": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
            "duration_seconds": duration,
        }

    def _modules_of(self, program: Path) -> dict[str, str]:
        """The modules that Go says are in a program, each with the version that was compiled."""
        modules: dict[str, str] = {}
        last = ""
        for line in self._go(["version", "-m", str(program)], self.folder).splitlines():
            kind, *words = line.strip().split("\t")
            if kind in ("mod", "dep"):
                last = words[0]
                modules[last] = words[1]
            elif kind == "=>":
                path, version = words[0], words[1]
                # A folder has no version, and its place on this machine is nobody's business.
                replaced = version if path == last else f"{path} {version}"
                modules[last] = f"{modules[last]}, changed" if path.startswith(".") else replaced
        return modules

    # -- running ------------------------------------------------------------------------------------------

    def _go(self, argv: Sequence[str], cwd: Path, on_line: Callable[[str], None] | None = None) -> str:
        return self._run([str(self.go.program), *argv], cwd, on_line)

    def _run(self, argv: Sequence[str], cwd: Path, on_line: Callable[[str], None] | None = None) -> str:
        """Run a step and return its standard output; `on_line` sees its standard error as it comes."""
        self.steps += 1
        log, output = (self.folder / f"step-{self.steps}.{kind}" for kind in ("log", "out"))
        process = self.supervisor.start(
            f"step {self.steps}", argv, log=log, stdout=output, env=self.environment, cwd=cwd, grace_seconds=0
        )
        follower = _Follower(log, on_line)
        deadline = time.monotonic() + STEP_SECONDS
        while not process.wait(_LOOK_SECONDS):
            follower.look()
            if time.monotonic() > deadline:
                raise AssetsError(
                    f"a step of building Kubernetes {self.patch} did not end", found=log_tail(log)
                )
        follower.look()
        if process.returncode() != 0:
            raise SourceUnavailable(
                f"building Kubernetes {self.patch} failed at `{Path(argv[0]).name} {argv[1]}`",
                found=log_tail(log),
            )
        return output.read_text(encoding="utf-8")


class _Follower:
    """Hands the new lines of a growing file to whoever counts them."""

    def __init__(self, path: Path, on_line: Callable[[str], None] | None) -> None:
        self.path, self.on_line, self.offset = path, on_line, 0

    def look(self) -> None:
        if self.on_line is None:
            return
        with self.path.open("rb") as file:
            file.seek(self.offset)
            *lines, rest = file.read().split(b"\n")
            self.offset = file.tell() - len(rest)
        for line in lines:
            self.on_line(line.decode("utf-8", "replace"))


def _count_downloads(task: Task) -> Callable[[str], None]:
    return lambda line: task.advance(1) if line.startswith("go: downloading ") else None


def _count_packages(task: Task) -> Callable[[str], None]:
    return lambda line: task.advance(1) if line and " " not in line else None


def _is_tagged(folder: Path) -> bool:
    return any(
        _OPENAPI_TAG in file.read_text(encoding="utf-8", errors="replace") for file in folder.glob("*.go")
    )


def _make_writable(folder: Path) -> None:
    """Folders of Go's module cache are read-only, and copying keeps that."""
    for path, _, _ in os.walk(folder):
        Path(path).chmod(0o700)
