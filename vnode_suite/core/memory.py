"""How much memory a process takes, with or without its children."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path


def pss_bytes(pid: int, *, with_children: bool = False) -> int:
    """Proportional set size in bytes (`/proc/PID/smaps_rollup`, in KiB there); 0 for a process that is gone.

    Pages shared with other processes are counted by share, so that sums over processes are true.
    """
    own = _pss_of(pid)
    return own + sum(_pss_of(child) for child in _descendants(pid)) if with_children else own


def _pss_of(pid: int) -> int:
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii")
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in text.splitlines() if line.startswith("Pss:")), 0)


def _descendants(pid: int) -> Iterator[int]:
    for tasks in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            children = [int(child) for child in tasks.read_text(encoding="ascii").split()]
        except OSError:
            continue
        for child in children:
            yield child
            yield from _descendants(child)
