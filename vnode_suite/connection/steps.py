"""A step of connecting a VNode: run once, remembered, never raising because the world is not conformant.

A step that the world does not let us take ends as :class:`Unreached`. Its own clause judges that outcome;
whatever needs the step's product raises :class:`StepNotReached`, which a report calls could-not-run.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import Any, Concatenate, Generic, ParamSpec, Protocol, TypeVar, cast

from vnode_suite.core.errors import HarnessError, SuiteError
from vnode_suite.eci.errors import EciUnreachable
from vnode_suite.model import Text, Unreached

T = TypeVar("T")
P = ParamSpec("P")


class StepNotReached(Exception):
    """What was asked for needs a step that was not reached."""

    def __init__(self, unreached: Unreached) -> None:
        self.unreached = unreached
        super().__init__(f"step {unreached.step} was not reached: {unreached.detail.en}")


@dataclass(frozen=True, slots=True)
class Outcome(Generic[T]):
    """How a step ended: with a product, or unreached."""

    step: str
    product: T | None
    unreached: Unreached | None
    seconds: float

    @property
    def reached(self) -> bool:
        """Whether there is a product."""
        return self.unreached is None


class Announce(Protocol):
    """Told of every step's start and end, for the ledger."""

    def __call__(
        self, step: str, state: str, *, reason: str = "", detail: Text | None = None, seconds: float = 0.0
    ) -> None: ...


class Steps:
    """The remembered outcomes of one subject's steps. Thread-safe: each step runs once, whoever asks first."""

    def __init__(self, announce: Announce) -> None:
        self._announce = announce
        self._outcomes: dict[str, Outcome[Any]] = {}
        self._broken: dict[str, BaseException] = {}
        self._locks: dict[str, threading.RLock] = {}
        self._guard = threading.Lock()

    def run(self, name: str, work: Callable[[], T]) -> Outcome[T]:
        """The outcome of step *name*, running *work* if nobody has yet."""
        with self._guard:
            lock = self._locks.setdefault(name, threading.RLock())
        with lock:
            if name in self._broken:
                raise self._broken[name]
            if name not in self._outcomes:
                self._outcomes[name] = self._take(name, work)
            return self._outcomes[name]

    def known(self, name: str) -> Outcome[Any] | None:
        """The outcome of a step that was already taken."""
        return self._outcomes.get(name)

    def _take(self, name: str, work: Callable[[], T]) -> Outcome[T]:
        began = time.monotonic()
        self._announce(name, "started")
        try:
            product = work()
        except StepNotReached as earlier:
            unreached = earlier.unreached
        except EciUnreachable as lost:
            # Of a call that is made for the VNode's sake: no answer is an answer of the world, too.
            unreached = _unreached(name, lost)
        except HarnessError as broken:
            # Says nothing about the VNode; everyone who needs this step fails with the same error.
            self._broken[name] = broken
            raise
        except SuiteError as refused:
            unreached = _unreached(name, refused)
        except BaseException as bug:
            self._broken[name] = bug
            raise
        else:
            seconds = time.monotonic() - began
            self._announce(name, "reached", seconds=seconds)
            return Outcome(name, product, None, seconds)
        seconds = time.monotonic() - began
        self._announce(name, "unreached", reason=unreached.reason, detail=unreached.detail, seconds=seconds)
        return Outcome(name, None, unreached, seconds)


def _unreached(step: str, error: SuiteError) -> Unreached:
    remedy = Text(error.remedy, error.remedy) if error.remedy else None
    return Unreached(step, reason_of(error), Text(str(error), str(error)), remedy)


def reason_of(error: SuiteError) -> str:
    """A slug for *error*: its own ``reason`` in kebab case where it has one, else its class's name."""
    raw = str(getattr(error, "reason", "") or getattr(error, "code", "") or type(error).__name__)
    slug = "".join(f"-{c.lower()}" if c.isupper() else c for c in raw).strip("-")
    return slug.replace(" ", "-").replace(".-", ".").replace("--", "-")


class HasSteps(Protocol):
    """A subject that remembers its steps."""

    @property
    def steps(self) -> Steps: ...


S = TypeVar("S", bound=HasSteps)


def step(name: str) -> Callable[[Callable[Concatenate[S, P], T]], Callable[Concatenate[S, P], T]]:
    """Make a method the step *name*: its product, or :class:`StepNotReached`.

    ``subject.outcome(name)`` gives the same as an :class:`Outcome`, without raising.
    """

    def decorate(work: Callable[Concatenate[S, P], T]) -> Callable[Concatenate[S, P], T]:
        @wraps(work)
        def product(self: S, /, *args: P.args, **kwargs: P.kwargs) -> T:
            outcome = self.steps.run(name, lambda: work(self, *args, **kwargs))
            if outcome.unreached is not None:
                raise StepNotReached(outcome.unreached)
            return outcome.product  # type: ignore[return-value]

        product.step_name = name  # type: ignore[attr-defined]
        return cast("Callable[Concatenate[S, P], T]", product)

    return decorate


def outcome_of(call: Callable[[], T]) -> Outcome[T]:
    """The outcome of a step's method, judged by the step's own clause: never raises for the world's sake."""
    began = time.monotonic()
    name = getattr(call, "step_name", getattr(call, "__name__", "step"))
    try:
        product = call()
    except StepNotReached as missed:
        return Outcome(missed.unreached.step, None, missed.unreached, time.monotonic() - began)
    return Outcome(str(name), product, None, time.monotonic() - began)
