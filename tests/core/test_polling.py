"""Looking again and again, with an end."""

from __future__ import annotations

import threading
import time

import pytest

from vnode_suite.core.errors import DeadlineExceeded
from vnode_suite.core.polling import poll


def test_the_first_thing_found_is_returned() -> None:
    """What is false but not None counts as found."""
    looks = iter([None, None, 0, 1])
    assert poll(lambda: next(looks), what="a number", deadline_seconds=30, interval_seconds=0.001) == 0


def test_a_wait_that_fails_names_what_and_the_last_state() -> None:
    """Both stand in the error."""
    with pytest.raises(DeadlineExceeded, match=r"waited 0\.05 s for a sign; found: silence"):
        poll(lambda: None, what="a sign", deadline_seconds=0.05, last_state=lambda: "silence")


def test_even_without_time_there_is_one_look() -> None:
    """What is there already is found whatever the deadline."""
    assert poll(lambda: "there", what="it", deadline_seconds=0) == "there"


def test_another_thread_ends_the_wait_at_once() -> None:
    """A failed sibling must not be waited for."""
    stop = threading.Event()
    threading.Timer(0.1, stop.set).start()
    began = time.monotonic()
    with pytest.raises(DeadlineExceeded):
        poll(lambda: None, what="nothing", deadline_seconds=30, interval_seconds=30, stop=stop)
    assert time.monotonic() - began < 30


def test_what_a_look_raises_ends_the_wait() -> None:
    """A process that has crashed is not asked again."""

    def look() -> None:
        raise LookupError("crashed")

    with pytest.raises(LookupError):
        poll(look, what="it", deadline_seconds=30)


def test_the_pause_grows_where_that_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """By half each time, and no further than was said."""
    pauses: list[float] = []
    monkeypatch.setattr(threading.Event, "wait", lambda _self, seconds: pauses.append(round(seconds, 3)))
    looks = iter([None, None, None, None, "there"])
    poll(
        lambda: next(looks),
        what="it",
        deadline_seconds=60,
        interval_seconds=0.4,
        longest_interval_seconds=1.0,
    )
    assert pauses == [0.4, 0.6, 0.9, 1.0]
