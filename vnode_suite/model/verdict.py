"""The verdict of a run, and the exit statuses that say it to a shell."""

from __future__ import annotations

from enum import IntEnum, StrEnum


class Result(StrEnum):
    """What a run as a whole says."""

    CONFORMANT = "conformant"
    REJECTED = "rejected"
    INCOMPLETE = "incomplete"
    INTERRUPTED = "interrupted"
    ERROR = "error"


class Exit(IntEnum):
    """Exit statuses; 0 to 6 mean what they mean in pytest."""

    #: Conformant; a failed SHOULD is advice.
    CONFORMANT = 0
    #: A MUST clause failed.
    REJECTED = 1
    #: Interrupted, SIGTERM included.
    INTERRUPTED = 2
    #: Internal error.
    INTERNAL = 3
    #: Usage: what was asked for can be known to be wrong.
    USAGE = 4
    #: Nothing was selected.
    NOTHING = 5
    #: pytest's own (too many warnings).
    PYTEST = 6
    #: A clause that should have been judged was not.
    INCOMPLETE = 10
    #: Something was left behind.
    LEFT_BEHIND = 11
    #: The harness failed, a worker died, or a check proved unable to fail.
    HARNESS = 12
    #: A waiver is stale or expired.
    WAIVER = 13


#: The worst of several wins: earlier is worse.
WORST_FIRST: tuple[Exit, ...] = (
    Exit.USAGE,
    Exit.INTERNAL,
    Exit.INTERRUPTED,
    Exit.HARNESS,
    Exit.LEFT_BEHIND,
    Exit.REJECTED,
    Exit.WAIVER,
    Exit.INCOMPLETE,
    Exit.PYTEST,
    Exit.NOTHING,
    Exit.CONFORMANT,
)


def worst(*statuses: int) -> int:
    """The status that wins among *statuses*; an unknown one counts as internal error."""
    ranks = {int(status): rank for rank, status in enumerate(WORST_FIRST)}
    known = [status if status in ranks else int(Exit.INTERNAL) for status in statuses]
    return min(known, key=lambda status: ranks[status], default=int(Exit.CONFORMANT))
