"""The VNode's own clock: the machine's, or one that is off."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta


@dataclass(frozen=True, slots=True)
class Clock:
    """Tells the time that the VNode believes in."""

    #: Seconds ahead of the true time.
    offset: float = 0.0

    def now(self) -> datetime:
        """The time, in UTC."""
        return datetime.now(UTC) + timedelta(seconds=self.offset)

    def seconds(self) -> str:
        """The time as Kubernetes writes it: RFC 3339, whole seconds."""
        return rfc3339(self.now())

    def micros(self) -> str:
        """The time as a Lease writes it: RFC 3339 with microseconds."""
        return self.now().strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def rfc3339(moment: datetime) -> str:
    """A moment in UTC as RFC 3339 with whole seconds."""
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
