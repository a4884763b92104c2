"""The one way to look at something again and again that cannot be watched.

Kubernetes objects have watches (see `vnode_suite.clusters.kube`); a health endpoint, a freshly forked
process or a file of another run has none. Everything of that sort waits here, so that each wait has a
deadline and an error that names what did not come.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TypeVar

from vnode_suite.core.errors import DeadlineExceeded

Found = TypeVar("Found")


def poll(
    probe: Callable[[], Found | None],
    *,
    what: str,
    deadline_seconds: float,
    interval_seconds: float = 0.05,
    longest_interval_seconds: float | None = None,
    at_once: bool = True,
    last_state: Callable[[], str] | None = None,
    stop: threading.Event | None = None,
) -> Found:
    """Call `probe` until it returns something other than None, and return that.

    :param probe: one look; what it raises ends the wait and is passed on.
    :param what: what is waited for, as in "kube-apiserver to answer /readyz".
    :param deadline_seconds: the most that may pass before `DeadlineExceeded`.
    :param interval_seconds: pause between two looks.
    :param longest_interval_seconds: the pause grows by half each time, up to this; not given, it stays as it is.
    :param at_once: whether the first look is taken before the first pause.
    :param last_state: describes what there was instead, for the error.
    :param stop: set by another thread to give the wait up at once.
    """
    pause = stop or threading.Event()
    deadline = time.monotonic() + deadline_seconds
    if not at_once:
        pause.wait(min(interval_seconds, deadline_seconds))
    while True:
        found = probe()
        if found is not None:
            return found
        remaining = deadline - time.monotonic()
        if remaining <= 0 or (stop is not None and stop.is_set()):
            raise DeadlineExceeded(
                f"waited {deadline_seconds:g} s for {what}",
                found=last_state() if last_state else None,
            )
        pause.wait(min(interval_seconds, remaining))
        if longest_interval_seconds is not None:
            interval_seconds = min(interval_seconds * 1.5, longest_interval_seconds)
