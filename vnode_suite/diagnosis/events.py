"""What a diagnosis starts from: events as texts with times, and what is known besides."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime


@dataclass(frozen=True, slots=True)
class EventText:
    """One event of a VNode, as DescribeVirtualNodes shows it; a bare text has nothing but the text."""

    text: str
    #: The event's Reason, or the Code of an error.
    reason: str = ""
    #: ``Normal`` or ``Warning``; empty where it is not known.
    type: str = ""
    #: How often it was seen.
    count: int = 1
    #: First and last time, RFC 3339, by the service's clock; empty where not known.
    first: str = ""
    last: str = ""
    virtual_node_id: str = ""

    @property
    def seen(self) -> tuple[datetime, ...]:
        """First and last time, those of them that can be read."""
        return tuple(time for time in (read_time(self.first), read_time(self.last)) if time is not None)


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known from elsewhere and can tell causes apart whose events are the same."""

    #: The API server's right addresses; empty: not known.
    server_addresses: tuple[str, ...] = ()
    #: Whether the kubeconfig that was handed over carries no CA data; None: not known.
    ca_data_empty: bool | None = None
    #: From when to when the server's certificate is valid, as it was shown here; None: not known.
    certificate_dates: tuple[datetime, datetime] | None = None
    #: Whether the certificate that the VNode was issued is of an authority that the API server does not trust.
    issued_by_a_stranger: bool | None = None


def read_time(text: str) -> datetime | None:
    """An RFC 3339 time, in UTC; None if it is none."""
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        return None
    return time.astimezone(UTC) if time.tzinfo else time.replace(tzinfo=UTC)
