"""What was looked at besides the events: which causes it confirms, which it rules out, and in what order it all was.

An event tells what a VNode met. A *sign* is what somebody else sees of the same: the cluster's own objects, a dial from
here, the kubeconfig that was handed over. What a sign means for a cause is a table, so that it can be read.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from vnode_suite.diagnosis.diagnose import CauseMatch, Diagnosis
from vnode_suite.model import Source, Text


class Standing(StrEnum):
    """What the signs say of a cause that the events name, or might have named."""

    CONFIRMED = "confirmed"
    RULED_OUT = "ruled-out"
    #: Nothing that was looked at speaks for or against it.
    OPEN = "open"


@dataclass(frozen=True, slots=True)
class Sign:
    """One thing that was looked at."""

    #: What: ``dial``, ``name``, ``csr``...
    name: str
    #: What was found, as `MEANINGS` has it; empty where it could not be looked at, and `said` has the reason.
    found: str
    said: Text
    source: Source
    #: When, by the runner's clock.
    at: datetime
    #: How it was looked at: a request, a command, a file.
    how: str

    def as_dict(self) -> dict[str, Any]:
        """For `--json`."""
        return {
            "name": self.name,
            "found": self.found or None,
            "said": self.said.as_dict(),
            "observed_from": self.source.value,
            "at": self.at.isoformat(timespec="milliseconds"),
            "how": self.how,
        }


class Clock(StrEnum):
    """Whose clock a time is of."""

    SERVICE = "service"
    CLUSTER = "cluster"
    VNODE = "vnode"
    RUNNER = "runner"


@dataclass(frozen=True, slots=True)
class Moment:
    """A row of the timeline."""

    at: datetime
    clock: Clock
    source: Source
    text: Text

    def as_dict(self) -> dict[str, Any]:
        """For `--json`."""
        return {
            "at": self.at.isoformat(timespec="milliseconds"),
            "clock": self.clock.value,
            "observed_from": self.source.value,
            "text": self.text.as_dict(),
        }


@dataclass(frozen=True, slots=True)
class Meaning:
    """What one finding means: causes that it confirms, and causes that cannot be while it is so."""

    confirms: tuple[str, ...] = ()
    rules_out: tuple[str, ...] = ()


_DATES = ("x509-expired", "x509-not-yet-valid")

#: Sign and finding to what it means. A dial or a lookup from here goes another way than the VNode's: it can show that a
#: server is down, and never that the VPC reaches it or knows its name; so an open port rules nothing out.
MEANINGS: Final[Mapping[tuple[str, str], Meaning]] = {
    ("kubeconfig", "usable"): Meaning(rules_out=("kubeconfig-unusable",)),
    ("kubeconfig", "unusable"): Meaning(("kubeconfig-unusable",)),
    ("ca-data", "given"): Meaning(rules_out=("ca-data-empty",)),
    ("ca-data", "empty"): Meaning(("ca-data-empty",)),
    ("name", "none"): Meaning(rules_out=("dns-no-such-host", "dns-wrong-address", "dns-server-failed")),
    ("dialled", "elsewhere"): Meaning(("dns-wrong-address",), ("dns-no-such-host",)),
    ("dialled", "right"): Meaning(rules_out=("dns-wrong-address", "dns-no-such-host")),
    ("dial", "refused"): Meaning(("connection-refused",)),
    ("dial", "timeout"): Meaning(("api-server-unreachable",)),
    ("dial", "no-route"): Meaning(("no-route",)),
    ("dial", "reset"): Meaning(("connection-reset",)),
    ("tls", "none"): Meaning(("not-https",)),
    ("tls", "spoken"): Meaning(rules_out=("not-https",)),
    ("tls-authority", "trusted"): Meaning(rules_out=("x509-unknown-authority", "ca-data-empty")),
    ("tls-authority", "foreign"): Meaning(("x509-unknown-authority",)),
    ("tls-name", "covered"): Meaning(rules_out=("x509-wrong-name",)),
    ("tls-name", "not-covered"): Meaning(("x509-wrong-name",)),
    ("tls-dates", "valid"): Meaning(("clock-skew",), _DATES),
    ("tls-dates", "expired"): Meaning(("x509-expired",), ("x509-not-yet-valid", "clock-skew")),
    ("tls-dates", "not-yet-valid"): Meaning(("x509-not-yet-valid",), ("x509-expired", "clock-skew")),
    ("credential", "accepted"): Meaning(rules_out=("unauthorized",)),
    ("credential", "rejected"): Meaning(("unauthorized",)),
    ("right", "held"): Meaning(rules_out=("forbidden",)),
    ("right", "missing"): Meaning(("forbidden",)),
    ("csr", "none"): Meaning(("csr-deleted",), rules_out=("csr-pending", "csr-denied", "csr-failed")),
    ("csr", "pending"): Meaning(("csr-pending",), ("csr-denied", "csr-failed", "csr-deleted")),
    ("csr", "denied"): Meaning(("csr-denied",), ("csr-pending", "csr-failed", "csr-deleted")),
    ("csr", "failed"): Meaning(("csr-failed",), ("csr-pending", "csr-denied", "csr-deleted")),
    ("csr", "unsigned"): Meaning(("csr-failed",), ("csr-pending", "csr-denied", "csr-deleted")),
    ("csr", "foreign"): Meaning(("csr-failed",), ("csr-pending", "csr-denied", "csr-deleted")),
    ("csr", "issued"): Meaning(rules_out=("csr-pending", "csr-denied", "csr-deleted")),
    ("apis", "served"): Meaning(rules_out=("version-outside-window",)),
    ("apis", "not-served"): Meaning(("version-outside-window",)),
    ("load", "turned-away"): Meaning(("api-server-overloaded",)),
    ("clocks", "apart"): Meaning(("clock-skew",)),
}


@dataclass(frozen=True, slots=True)
class Weighed:
    """A cause that the events name, and what the signs say of it."""

    match: CauseMatch
    standing: Standing
    #: The signs that make it so.
    by: tuple[Sign, ...] = ()


@dataclass(frozen=True, slots=True)
class Case:
    """A diagnosis with all that was looked at."""

    causes: tuple[Weighed, ...]
    unknown: tuple[str, ...]
    #: Causes that signs exclude, whether or not an event names them; each with the sign that does.
    ruled_out: Mapping[str, Sign] = field(default_factory=dict)
    signs: tuple[Sign, ...] = ()
    timeline: tuple[Moment, ...] = ()

    @property
    def first(self) -> str:
        """The first cause's name; empty where none is named."""
        return self.causes[0].match.cause if self.causes else ""


def weigh(found: Diagnosis, signs: Iterable[Sign], timeline: Iterable[Moment] = ()) -> Case:
    """*found* in the light of *signs*: what they exclude goes to the end of the list, and keeps its place there."""
    signs = tuple(signs)
    named = {match.cause for match in found.causes}
    excluded = {cause: sign for sign in signs for cause in _meaning(sign).rules_out}
    weighed = [_weighed(match, signs) for match in found.causes]
    # What is both confirmed and excluded is for a person to resolve: it stays where the events put it.
    weighed.sort(key=lambda one: one.standing is Standing.RULED_OUT)
    confirmed = {one.match.cause for one in weighed if one.standing is Standing.CONFIRMED}
    return Case(
        tuple(_renumbered(weighed)),
        found.unknown,
        {cause: sign for cause, sign in excluded.items() if cause not in confirmed or cause not in named},
        signs,
        tuple(sorted(timeline, key=lambda moment: moment.at)),
    )


def _meaning(sign: Sign) -> Meaning:
    return MEANINGS.get((sign.name, sign.found), Meaning())


def _weighed(match: CauseMatch, signs: tuple[Sign, ...]) -> Weighed:
    speaking_for = tuple(sign for sign in signs if match.cause in _meaning(sign).confirms)
    against = tuple(sign for sign in signs if match.cause in _meaning(sign).rules_out)
    if speaking_for:
        return Weighed(match, Standing.CONFIRMED, speaking_for)
    if against:
        return Weighed(match, Standing.RULED_OUT, against)
    return Weighed(match, Standing.OPEN)


def _renumbered(weighed: list[Weighed]) -> Iterable[Weighed]:
    for one in weighed:
        if one.standing is not Standing.RULED_OUT or one is weighed[0]:
            yield one
            continue
        sign = one.by[0]
        because = Text(f"ruled out: {sign.said.en}", f"已排除：{sign.said.zh}")
        yield dataclasses.replace(one, match=dataclasses.replace(one.match, rank_reason=because))
