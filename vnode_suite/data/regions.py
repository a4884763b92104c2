"""The regions that ECI is known to serve (``regions.toml``)."""

from __future__ import annotations

import tomllib
from functools import cache
from importlib import resources


@cache
def load_regions() -> tuple[str, ...]:
    """Region ids, in the order of the table."""
    text = resources.files("vnode_suite.data").joinpath("regions.toml").read_text(encoding="utf-8")
    return tuple(row["id"] for row in tomllib.loads(text)["region"])
