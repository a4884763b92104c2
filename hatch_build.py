"""Ships the scenarios as `vnode_suite_scenarios`, except in an editable install: there they are read where they stand.

A copy beside a checkout would be what they were on the day of the install.
"""

from __future__ import annotations

from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class ScenariosHook(BuildHookInterface):  # type: ignore[type-arg]
    """Run by hatchling for every wheel."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Add the scenarios, under a name that no other project's `scenarios` meets."""
        if version != "editable":
            build_data["force_include"]["scenarios"] = "vnode_suite_scenarios"
