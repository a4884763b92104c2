"""How the networks of runs are called and found."""

from __future__ import annotations

from pathlib import Path

import pytest

from vnode_suite.cleanup import networks
from vnode_suite.cleanup.networks import interface_of, network_name, networks_of


def test_two_emulators_of_a_run_have_networks_of_two_names() -> None:
    """Of one worker or of two; each fits into an interface's name, which the kernel allows fifteen characters."""
    shards = ("main", "gw0", "gw1", "gw35", "gw71")
    names = [network_name("k3x9a7b2", shard, number) for shard in shards for number in (0, 1, 35)]
    assert names[:4] == ["k3x9a000", "k3x9a001", "k3x9a00z", "k3x9a010"]
    assert len(set(names)) == len(names)
    assert all(len(interface_of(name).name) <= 15 for name in names)


def test_every_network_of_a_run_is_found_and_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another run's interfaces begin with other letters."""
    for interface in ("vsk3x9a010", "vsk3x9a020", "vszzzzz000", "eth0"):
        (tmp_path / interface).mkdir()
    monkeypatch.setattr(networks, "_LINKS", tmp_path)
    assert networks_of("k3x9a7b2") == ("k3x9a010", "k3x9a020")
