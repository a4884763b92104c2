"""The store: programs of control planes, kept between runs and shared by all of them.

    <root>/<os>-<arch>/<version>/<component>/   one entry: the program, manifest.json, verified.json
    <root>/parts/                               downloads that may be resumed
    <root>/staging/                             entries being made; renamed into place when whole
    <root>/locks/                               one lock a thing that two runs might make at once

An entry is there whole or not at all, and is what its manifest says: the program is hashed when it is put in,
by `verify`, and on use whenever its size or times are not those of the last hashing.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import hashlib
import json
import os
import platform
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import filelock
import platformdirs

from vnode_suite.clusters.local.binaries import Binary
from vnode_suite.core.errors import AssetsError
from vnode_suite.core.progress import Progress

STORE_VARIABLE = "VNODE_SUITE_ASSETS"
MANIFEST_SCHEMA = "vnode-suite/asset/v1"
#: `uname -m` to the names that Go and the release downloads use.
_ARCHITECTURES = {"x86_64": "amd64", "amd64": "amd64", "aarch64": "arm64", "arm64": "arm64"}
_CHUNK_BYTES = 2**20


@dataclass(frozen=True, slots=True)
class Platform:
    """An operating system and architecture, in Go's names."""

    os: str
    arch: str

    @classmethod
    def here(cls) -> Platform:
        """This machine's."""
        machine = platform.machine().lower()
        return cls(platform.system().lower(), _ARCHITECTURES.get(machine, machine))

    def __str__(self) -> str:
        return f"{self.os}-{self.arch}"


@dataclass(frozen=True, slots=True)
class StoreEntry:
    """One program in the store."""

    version: str
    component: str
    path: Path
    sha256: str
    size: int
    provenance: Mapping[str, Any] = field(default_factory=dict)

    @property
    def binary(self) -> Binary:
        """The program, ready to be started."""
        return Binary(self.component, self.version, self.path, {**self.provenance, "sha256": self.sha256})


@dataclass(frozen=True, slots=True)
class Verification:
    """What re-hashing an entry showed; `problem` is empty if it is what its manifest says."""

    version: str
    component: str
    problem: str = ""


class Store:
    """The store at one root, for one platform."""

    def __init__(self, root: Path, target: Platform | None = None) -> None:
        self.root = root
        self.platform = target or Platform.here()

    @classmethod
    def default(cls) -> Store:
        """The user's: `VNODE_SUITE_ASSETS`, or a folder in the user's cache."""
        named = os.environ.get(STORE_VARIABLE)
        return cls(
            Path(named).expanduser() if named else platformdirs.user_cache_path("vnode-suite") / "assets"
        )

    # -- reading ------------------------------------------------------------------------------------------

    def get(self, version: str, component: str) -> StoreEntry | None:
        """The entry, hashed anew if anything about its file has changed; None if there is none.

        :raises AssetsError: the program is not what was put in.
        """
        entry = self._read(version, component)
        if entry is None:
            return None
        if self._stamp(entry.path) != self._read_json(entry.path.with_name("verified.json")):
            self._check(entry)
        return entry

    def get_sound(self, version: str, component: str) -> StoreEntry | None:
        """The entry, or None if there is none; a damaged one is taken out, so that it can be made anew.

        Only for whoever holds the lock for making it.
        """
        try:
            return self.get(version, component)
        except AssetsError:
            self.remove(version, component)
            return None

    def versions(self) -> list[str]:
        """Every version that has an entry, oldest first."""
        folder = self.root / str(self.platform)
        names = [each.name for each in folder.iterdir() if each.is_dir()] if folder.is_dir() else []
        return sorted((name for name in names if self._is_version(name)), key=version_key)

    def entries(self) -> list[StoreEntry]:
        """Every entry, unverified."""
        found = []
        for version in self.versions():
            for folder in sorted((self.root / str(self.platform) / version).iterdir()):
                entry = self._read(version, folder.name)
                if entry is not None:
                    found.append(entry)
        return found

    def verify(self) -> list[Verification]:
        """Hash every program anew and compare it with its manifest."""
        results = []
        for entry in self.entries():
            try:
                self._check(entry)
                results.append(Verification(entry.version, entry.component))
            except AssetsError as problem:
                results.append(Verification(entry.version, entry.component, problem.found or problem.summary))
        return results

    # -- writing ------------------------------------------------------------------------------------------

    def add(self, version: str, component: str, program: Path, provenance: Mapping[str, Any]) -> StoreEntry:
        """Put a program in; its file is moved. An entry that is there already, put in by another run, stays.

        :param program: must lie on the store's file system; `staging` gives a folder that does.
        """
        target = self._folder(version, component)
        program.chmod(0o755)
        manifest = {
            "schema": MANIFEST_SCHEMA,
            "version": version,
            "component": component,
            "os": self.platform.os,
            "arch": self.platform.arch,
            "sha256": sha256_of(program),
            "size": program.stat().st_size,
            "added": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
            "provenance": dict(provenance),
        }
        with self.staging() as staging:
            entry = staging / component
            entry.mkdir()
            program.rename(entry / component)
            (entry / "manifest.json").write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")
            target.parent.mkdir(parents=True, exist_ok=True)
            # A non-empty folder in the way means that another run was quicker with the same thing.
            with contextlib.suppress(OSError):
                entry.rename(target)
        stored = self._read(version, component)
        if stored is None:
            raise AssetsError(f"{component} {version} could not be put into the store", found=str(target))
        self._check(stored)
        return stored

    def remove(self, version: str, component: str) -> None:
        """Take an entry out, at once for everybody."""
        with self.staging() as staging, contextlib.suppress(FileNotFoundError):
            self._folder(version, component).rename(staging / component)

    @contextlib.contextmanager
    def staging(self) -> Iterator[Path]:
        """A folder on the store's file system, removed in the end."""
        parent = self.root / "staging"
        parent.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(dir=parent))
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def part(self, version: str, component: str) -> Path:
        """Where a download is kept until it is whole."""
        folder = self.root / "parts"
        folder.mkdir(parents=True, exist_ok=True)
        return folder / f"{self.platform}-{version}-{component}.part"

    def lock(self, name: str) -> filelock.BaseFileLock:
        """The lock for making what `name` says; given back by the system if its holder dies."""
        folder = self.root / "locks"
        folder.mkdir(parents=True, exist_ok=True)
        return filelock.FileLock(folder / f"{self.platform}-{name}.lock")

    @contextlib.contextmanager
    def holding(self, name: str, what: str, progress: Progress) -> Iterator[None]:
        """Hold the lock called `name`; says so while another run holds it.

        :param what: what is being made under it, for a person.
        """
        lock = self.lock(name)
        try:
            lock.acquire(timeout=0)
        except filelock.Timeout:
            with progress.task(f"waiting for another run that is {what}"):
                lock.acquire()
        try:
            yield
        finally:
            lock.release()

    # -- inside -------------------------------------------------------------------------------------------

    def _folder(self, version: str, component: str) -> Path:
        return self.root / str(self.platform) / version / component

    def _read(self, version: str, component: str) -> StoreEntry | None:
        folder = self._folder(version, component)
        manifest = self._read_json(folder / "manifest.json")
        if manifest is None or not (folder / component).is_file():
            return None
        return StoreEntry(
            version=version,
            component=component,
            path=folder / component,
            sha256=manifest["sha256"],
            size=manifest["size"],
            provenance=manifest["provenance"],
        )

    def _check(self, entry: StoreEntry) -> None:
        stamp = self._stamp(entry.path)
        found = sha256_of(entry.path)
        if found != entry.sha256:
            raise AssetsError(
                f"{entry.component} {entry.version} in the store is damaged",
                wanted=f"sha256 {entry.sha256}, {entry.size} bytes",
                found=f"sha256 {found}, {entry.path.stat().st_size} bytes",
                remedy=f"remove {entry.path.parent}, and it will be fetched again",
            )
        note = entry.path.with_name("verified.json")
        # A store may be read-only for us; then it is hashed on every use.
        with contextlib.suppress(OSError):
            temporary = note.with_name(f"{note.name}.{os.getpid()}")
            temporary.write_text(json.dumps(stamp), encoding="utf-8")
            temporary.replace(note)

    @staticmethod
    def _stamp(path: Path) -> dict[str, int]:
        status = path.stat()
        return {"size": status.st_size, "mtime_ns": status.st_mtime_ns, "ctime_ns": status.st_ctime_ns}

    @staticmethod
    def _read_json(path: Path) -> dict[str, Any] | None:
        try:
            document = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        return document if isinstance(document, dict) else None

    @staticmethod
    def _is_version(name: str) -> bool:
        return all(part.isdigit() for part in name.split("."))


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file, as hexadecimal digits."""
    return digest_of(path, "sha256")


def digest_of(path: Path, algorithm: str) -> str:
    """The digest of a file, as hexadecimal digits."""
    digest = hashlib.new(algorithm)
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


def version_key(version: str) -> tuple[int, ...]:
    """Orders versions as numbers."""
    return tuple(int(part) for part in version.split("."))
