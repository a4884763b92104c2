"""Where runs keep what must survive them, and whether the process of a run still lives."""

from __future__ import annotations

import os
import platform
import subprocess
from dataclasses import dataclass
from pathlib import Path

import platformdirs

from vnode_suite.core.errors import UsageError

#: Set to a folder, it takes the place of the user's state folder.
STATE_VARIABLE = "VNODE_SUITE_STATE"
_START_TIME_FIELD = 22  # proc(5), counted from 1


def state_dir() -> Path:
    """The folder for what must survive a run; not created."""
    override = os.environ.get(STATE_VARIABLE)
    return Path(override) if override else platformdirs.user_state_path("vnode-suite")


def runs_dir(state: Path | None = None) -> Path:
    """The folder with one folder a run."""
    return (state or state_dir()) / "runs"


def run_dir(run_id: str, state: Path | None = None) -> Path:
    """The folder of one run.

    :raises UsageError: the id would lead out of the folder.
    """
    if not run_id or run_id in (".", "..") or any(one in run_id for one in ("/", "\\", "\0")):
        raise UsageError(f"{run_id!r} is no run id")
    return runs_dir(state) / run_id


def host() -> str:
    """Name of this machine."""
    return platform.node()


@dataclass(frozen=True, slots=True)
class ProcessIdentity:
    """A process that cannot be mistaken for a later one with the same number."""

    pid: int
    #: When it started, in whatever unit the system tells; empty where it does not.
    start: str

    @classmethod
    def of(cls, pid: int) -> ProcessIdentity | None:
        """The process `pid`; None if there is none (one that has ended and is not yet waited for is none)."""
        start = _start_of(pid)
        return None if start is None else cls(pid, start)

    @classmethod
    def mine(cls) -> ProcessIdentity:
        """This process."""
        return cls(os.getpid(), _start_of(os.getpid()) or "")

    @property
    def alive(self) -> bool:
        """Whether this very process still runs."""
        return _start_of(self.pid) == self.start


def _start_of(pid: int) -> str | None:
    if pid <= 0:
        return None
    stat = Path("/proc") / str(pid) / "stat"
    if Path("/proc/self/stat").exists():
        try:
            # The name may hold blanks and parentheses: what follows the last one is countable.
            fields = stat.read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            return None
        if fields[0] in ("Z", "X"):
            return None
        return f"{_boot_id()}:{fields[_START_TIME_FIELD - 3]}"
    answer = subprocess.run(
        ["ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True, check=False
    )
    return answer.stdout.strip() or None


def _boot_id() -> str:
    # Start times count from the boot: after a reboot the same pair may be another process.
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()[:8]
    except OSError:
        return ""
