"""A cell: one Kubernetes version with one identity."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Identity(StrEnum):
    """What kind of credential the VNode is handed."""

    BOOTSTRAP = "bootstrap"
    SERVICEACCOUNT = "serviceaccount"
    ADMIN = "admin"
    #: Of a VNode that was made elsewhere, where nobody says.
    UNKNOWN = "unknown"


class Provider(StrEnum):
    """Who gives the API server."""

    EXISTING = "existing"
    KIND = "kind"
    LOCAL = "local"


class Cloud(StrEnum):
    """Who answers for the ECI API."""

    EMULATOR = "emulator"
    LIVE = "live"
    REPLAY = "replay"


class Profile(StrEnum):
    """How much a run observes; each holds the one before."""

    QUICK = "quick"
    STANDARD = "standard"
    FULL = "full"


@dataclass(frozen=True, slots=True)
class Cell:
    """One column of the matrix, for example ``1.19-bootstrap``."""

    #: What was asked for: a minor (``1.19``) or a patch (``1.19.16``).
    version: str
    identity: Identity
    provider: Provider

    @property
    def id(self) -> str:
        """Stable name in reports, item ids and selections."""
        return f"{self.version}-{self.identity.value}"

    @property
    def asks_for_certificate(self) -> bool:
        """Whether its VNodes make a request before they join, which somebody must approve."""
        return self.identity is Identity.BOOTSTRAP

    @property
    def minor(self) -> str:
        """``1.19`` of ``1.19.16``."""
        return ".".join(self.version.split(".")[:2])
