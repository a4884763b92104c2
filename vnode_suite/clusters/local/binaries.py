"""The four programs of a control plane, with where each came from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Binary:
    """One program.

    :ivar component: as in "kube-apiserver".
    :ivar version: as in "1.22.15"; of etcd its own.
    :ivar provenance: how it came to be: source, module versions, toolchain, deviations, time. For the report.
    """

    component: str
    version: str
    path: Path
    provenance: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ControlPlaneBinaries:
    """The programs of one control plane, all of one version but etcd."""

    version: str
    etcd: Binary
    api_server: Binary
    controller_manager: Binary
    scheduler: Binary

    @property
    def provenance(self) -> dict[str, Any]:
        """Where each came from, by component."""
        parts = (self.etcd, self.api_server, self.controller_manager, self.scheduler)
        return {part.component: {"version": part.version, **part.provenance} for part in parts}
