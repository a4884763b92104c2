"""The least that the built-in ClusterRoles grant, by minor (``minimums.toml``)."""

from __future__ import annotations

import tomllib
from functools import cache
from importlib import resources
from typing import Any


def minimum_rules(minor: str, role: str) -> tuple[dict[str, Any], ...]:
    """Policy rules (``apiGroups``, ``resources``, ``verbs``) that *role* has on every release of *minor*."""
    return tuple(
        {"apiGroups": rule.get("groups", [""]), "resources": rule["resources"], "verbs": rule["verbs"]}
        for rule in _table()
        if rule["role"] == role and _order(rule.get("first", "1.13")) <= _order(minor)
    )


@cache
def _table() -> list[dict[str, Any]]:
    text = resources.files("vnode_suite.data").joinpath("minimums.toml").read_text(encoding="utf-8")
    return list(tomllib.loads(text)["rule"])


def _order(minor: str) -> tuple[int, ...]:
    return tuple(int(part) for part in minor.split("."))
