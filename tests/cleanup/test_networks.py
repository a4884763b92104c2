"""How the networks of runs are called and found."""

from __future__ import annotations

from pathlib import Path

import pytest

from vnode_suite.cleanup import networks
from vnode_suite.cleanup.networks import bridge_of, network_name, networks_of


def test_two_worlds_of_a_run_have_networks_of_two_names() -> None:
    """Each fits into an interface's name with four digits of a cable's number: fifteen characters."""
    names = {network_name("k3x9a7b2", version) for version in ("1.13", "1.22", "1.22.15")}
    assert names == {"k3x9a113", "k3x9a122", "k3x9a215"}
    assert all(len(f"{bridge_of(name).name}-9999") <= 15 for name in names)


def test_every_bridge_of_a_run_is_found_and_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Cables begin with the same letters and are no bridges; another run's bridges begin with others."""
    for bridge in ("vsk3x9a113", "vsk3x9a122", "vszzzzz122"):
        (tmp_path / bridge / "bridge").mkdir(parents=True)
    (tmp_path / "vsk3x9a122-1").mkdir()
    monkeypatch.setattr(networks, "_LINKS", tmp_path)
    assert networks_of("k3x9a7b2") == ("k3x9a113", "k3x9a122")
