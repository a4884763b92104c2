"""Control planes that stay: each is kept by a detached process of its own, and described by a folder.

    <state>/clusters/<name>/cluster.json    what it is, written when it is ready
    <state>/clusters/<name>/kubeconfig      of an administrator; 0600, as everything here
    <state>/clusters/<name>/keeper.log      what became of it
    <state>/clusters/<name>.lock            held while it is put up or taken down

The keeper owns the four processes through the suite's supervisor: however it ends, they end too.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any
from urllib.parse import urlsplit

import filelock

from vnode_suite.cleanup.state import ProcessIdentity, state_dir
from vnode_suite.clusters.local.arguments import LOOPBACK
from vnode_suite.clusters.local.assets import obtain_binaries
from vnode_suite.clusters.local.sources.folder import FOLDER_VARIABLE
from vnode_suite.clusters.local.store import STORE_VARIABLE
from vnode_suite.core.errors import ClusterError, SuiteError, UsageError
from vnode_suite.core.modules import command, environment
from vnode_suite.core.polling import poll
from vnode_suite.core.progress import Progress
from vnode_suite.data.versions import load_versions

DESCRIPTION, KUBECONFIG, LOG = "cluster.json", "kubeconfig", "keeper.log"
#: The keeper kills its four processes, which takes a second; generous for a machine under full load.
_DOWN_SECONDS = 20.0
_NAME = re.compile(r"[a-z0-9][a-z0-9.-]{0,39}")


@dataclass(frozen=True, slots=True)
class Standing:
    """A control plane that stays until it is taken down."""

    name: str
    #: Exact, as in "1.22.15".
    version: str
    server: str
    #: Path of the administrator's kubeconfig.
    kubeconfig: str
    #: The keeper, with its start time as `ProcessIdentity` has it.
    pid: int
    start: str
    #: RFC 3339.
    started: str
    #: When its certificates end, RFC 3339: it is of no use afterwards.
    expires: str

    @property
    def running(self) -> bool:
        """Whether its keeper lives."""
        return ProcessIdentity(self.pid, self.start).alive

    def as_dict(self) -> dict[str, Any]:
        """For `--json`."""
        return {**asdict(self), "running": self.running}


def clusters_dir() -> Path:
    """The folder with one folder a control plane."""
    return state_dir().absolute() / "clusters"


def standing() -> tuple[Standing, ...]:
    """Every control plane that was put up and not taken down, also one whose keeper has died."""
    folder = clusters_dir()
    found = (_read(each) for each in sorted(folder.iterdir())) if folder.is_dir() else ()
    return tuple(one for one in found if one is not None)


def up(
    wanted: str, name: str | None, *, address: str = LOOPBACK, progress: Progress
) -> tuple[Standing, bool]:
    """Put one up, or find it up already: the control plane, and whether it was put up now.

    :param wanted: a version, "1.22" or "1.22.15".
    :param name: what it is called; the version as it was asked for by default.
    :param address: where its API server listens.
    :raises UsageError: another version or address is up under that name.
    :raises ClusterError: it did not start.
    """
    version = load_versions().resolve(wanted)
    called = name or str(version)
    if not _NAME.fullmatch(called):
        raise UsageError(f"{called!r} is no name", wanted="up to 40 of a-z, 0-9, '.' and '-'")
    with _locked(called):
        there = _read(clusters_dir() / called)
        if there is not None and there.running:
            if (
                not f"{there.version}.".startswith(f"{version}.")
                or urlsplit(there.server).hostname != address
            ):
                raise UsageError(
                    f"cluster {called} is up with {there.version} at {there.server}",
                    remedy=f"give another --name, or vnode-suite cluster down {called}",
                )
            return there, False
        obtain_binaries(version, progress=progress)
        return _put_up(called, str(version), address, progress), True


def down(name: str) -> bool:
    """Take one down and remove its folder; whether it was running.

    :raises UsageError: there is none of that name.
    :raises ClusterError: it does not end.
    """
    from vnode_suite.data.tables import unknown_name

    with _locked(name, make=False):
        folder = clusters_dir() / name
        there = _read(folder)
        if there is None:
            raise unknown_name("cluster", name, [one.name for one in standing()] or ["(none is up)"])
        was_running = there.running
        if was_running:
            _end(ProcessIdentity(there.pid, there.start), name)
        _remove(folder)
        return was_running


def _put_up(name: str, version: str, address: str, progress: Progress) -> Standing:
    folder = clusters_dir() / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700, parents=True)
    read_end, write_end = os.pipe()
    with os.fdopen(read_end, encoding="utf-8") as told:
        try:
            with (folder / LOG).open("ab") as log:
                keeper = subprocess.Popen(
                    command("vnode_suite.cli.keeper", str(folder), version, address, str(write_end)),
                    env=_keeper_environment(),
                    cwd=folder,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    pass_fds=[write_end],
                    start_new_session=True,
                )
        finally:
            os.close(write_end)
        try:
            _await_ready(told, name, version, progress)
        except BaseException:
            # Ctrl-C too: nobody would know of a cluster that came up afterwards.
            keeper.terminate()
            with suppress(subprocess.TimeoutExpired):
                keeper.wait(_DOWN_SECONDS)
            keeper.kill()
            shutil.rmtree(folder, ignore_errors=True)
            raise
    there = _read(folder)
    if there is None:
        raise ClusterError(f"the control plane {name} left no description")
    return there


def _await_ready(told: IO[str], name: str, version: str, progress: Progress) -> None:
    """Follow what the keeper tells until it is ready."""
    with progress.task(f"starting Kubernetes {version}") as task:
        for line in told:
            message = json.loads(line)
            if "error" in message:
                raise ClusterError(f"the control plane {name} did not start", found=message["error"])
            if "step" in message:
                task.describe(f"starting Kubernetes {version}: {message['step']}")
            if "ready" in message:
                return
    raise ClusterError(f"the control plane {name} did not start", found="its keeper ended")


def _keeper_environment() -> dict[str, str]:
    # The keeper works in a folder of its own, where a relative path would name something else.
    paths = {
        name: str(Path(os.environ[name]).expanduser().absolute())
        for name in (STORE_VARIABLE, FOLDER_VARIABLE)
        if os.environ.get(name)
    }
    return {**environment(), **paths}


def _end(keeper: ProcessIdentity, name: str) -> None:
    for number in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError):
            os.kill(keeper.pid, number)
        with suppress(SuiteError):
            poll(
                lambda: None if keeper.alive else True,
                what=f"the keeper of {name} to end",
                deadline_seconds=_DOWN_SECONDS,
            )
            return
    raise ClusterError(f"the keeper of {name} (process {keeper.pid}) does not end")


def _remove(folder: Path) -> None:
    """Remove a control plane's folder; a killed keeper's supervisor may still be removing keys in it."""

    def gone() -> bool | None:
        shutil.rmtree(folder, ignore_errors=True)
        return None if folder.exists() else True

    poll(gone, what=f"{folder} to be removed", deadline_seconds=_DOWN_SECONDS)


def _read(folder: Path) -> Standing | None:
    try:
        return Standing(**json.loads((folder / DESCRIPTION).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


@contextmanager
def _locked(name: str, *, make: bool = True) -> Iterator[None]:
    folder = clusters_dir()
    if make:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not folder.is_dir():
        yield
        return
    with filelock.FileLock(folder / f"{Path(name).name}.lock"):
        yield
