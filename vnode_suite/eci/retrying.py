"""When a failed call may be repeated, and how long to wait before."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from vnode_suite.eci.errors import EciError, EciUnreachable, ServiceFailed, Throttled

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Exponential backoff with full jitter; all times in seconds.

    ``deadline`` bounds the whole call, attempts and pauses together. The first pause is up to
    ``first_pause``, each further one up to twice the one before, at most ``longest_pause`` (client tokens
    page: retry with a growing pause).
    """

    deadline: float = 60.0
    attempts: int = 8
    first_pause: float = 0.5
    longest_pause: float = 8.0
    #: Replaced in tests; waits like ``Event.wait`` so that a closing client is not kept.
    closing: threading.Event = field(default_factory=threading.Event)

    def pause(self, attempt: int, error: EciError) -> float:
        """The pause after a failed attempt (the first is 1); what the service asks for wins over ours."""
        if isinstance(error, Throttled) and error.retry_after:
            return error.retry_after
        most = min(self.longest_pause, self.first_pause * 2 ** (attempt - 1))
        return random.uniform(most / 2, most)  # noqa: S311 - spreads callers, protects nothing


def may_repeat(error: EciError, *, is_read: bool, has_token: bool) -> bool:
    """Whether the same call may be sent again.

    A throttled call had no effect. When it is not known whether a call took effect (no answer, 5xx), only a
    read or one under a ClientToken may be repeated: anything else could buy a second VNode.
    """
    if isinstance(error, Throttled):
        return True
    lost = isinstance(error, ServiceFailed | EciUnreachable) and error.code != "InvalidApi.NotFound"
    return lost and (is_read or has_token)


def call_with_retries(
    call: Callable[[float], T],
    policy: RetryPolicy,
    *,
    is_read: bool,
    has_token: bool,
    on_retry: Callable[[EciError, float], None] = lambda _error, _pause: None,
) -> T:
    """Call until it succeeds, may not be repeated, or the deadline is near.

    The error that ends it has ``effect_unknown`` if any attempt may have taken effect.

    :param call: takes the seconds left.
    :param on_retry: told the error and the pause before each further attempt.
    """
    ends = time.monotonic() + policy.deadline
    attempt, uncertain = 0, False
    while True:
        attempt += 1
        try:
            return call(max(0.1, ends - time.monotonic()))
        except EciError as error:
            # A refusal says nothing of an earlier attempt whose answer was lost.
            error.effect_unknown = uncertain = uncertain or error.effect_unknown
            pause = policy.pause(attempt, error)
            late = time.monotonic() + pause >= ends
            if (
                late
                or attempt >= policy.attempts
                or not may_repeat(error, is_read=is_read, has_token=has_token)
            ):
                raise
            on_retry(error, pause)
            if policy.closing.wait(pause):
                raise
