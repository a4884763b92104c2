"""The errors this suite raises on purpose.

Why a tree of its own: everything here is addressed to a person. An error says what was wanted, what was
found and what to do about it, and never quotes a secret. Anything else that escapes is a bug of the suite
and counts as an internal error.
"""

from __future__ import annotations


class SuiteError(Exception):
    """Something went wrong that a person can act on.

    :param summary: one line, what happened.
    :param wanted: what was needed instead.
    :param found: what there was.
    :param remedy: what to do next.
    """

    def __init__(
        self,
        summary: str,
        *,
        wanted: str | None = None,
        found: str | None = None,
        remedy: str | None = None,
    ) -> None:
        self.summary = summary
        self.wanted = wanted
        self.found = found
        self.remedy = remedy
        super().__init__(str(self))

    def __str__(self) -> str:
        parts = [self.summary]
        if self.wanted:
            parts.append(f"wanted: {self.wanted}")
        if self.found:
            parts.append(f"found: {self.found}")
        if self.remedy:
            parts.append(f"what to do: {self.remedy}")
        return "; ".join(parts)


class UsageError(SuiteError):
    """What was asked for can be known to be wrong before anything is started (exit status 4)."""


class HarnessError(SuiteError):
    """The suite itself could not do its work; says nothing about the VNode (exit status 12)."""


class ClusterError(HarnessError):
    """A control plane could not be had, started or reached."""


class AssetsError(ClusterError):
    """The binaries of a control plane could not be had; lists every source that was tried."""


class CloudError(HarnessError):
    """The ECI side (emulator, recording or live service) could not be started or reached."""


class DeadlineExceeded(SuiteError):
    """Something that was waited for did not come within its deadline."""
