"""Building a node image, as far as that can be shown without Docker."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from importlib import resources
from pathlib import Path
from typing import Any

import pytest

from vnode_suite.clusters.kind import nodeimage
from vnode_suite.clusters.kind.nodeimage import build
from vnode_suite.clusters.local.store import Store
from vnode_suite.core.errors import AssetsError
from vnode_suite.core.progress import SilentProgress
from vnode_suite.data.versions import load_versions

DockerThat = Callable[..., Any]
VERSION = load_versions().resolve("1.22")


def order(docker_that: DockerThat, tmp_path: Path, version: str = "1.22") -> object:
    """Build an image with a docker that answers nothing."""
    return build.build_node_image(
        load_versions().resolve(version),
        store=Store(tmp_path / "assets"),
        docker=docker_that({}).docker,
        progress=SilentProgress(),
    )


def test_an_image_is_called_by_the_patch_that_is_built() -> None:
    """Another one than the published image's."""
    assert build.local_reference(VERSION) == "vnode-suite/node:v1.22.15"
    assert build.local_reference(load_versions().resolve("1.22.17")) is None


def test_who_is_not_root_is_told_before_anything_is_built(
    docker_that: DockerThat, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """debootstrap makes device files and changes its root."""
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(AssetsError, match=r"needs root; found: user 1000"):
        order(docker_that, tmp_path)


def test_a_machine_without_debootstrap_is_told_what_to_install(
    docker_that: DockerThat, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is Debian's and in most distributions."""
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(shutil, "which", lambda _: None)
    with pytest.raises(AssetsError, match="apt-get install debootstrap"):
        order(docker_that, tmp_path)


def test_a_patch_whose_modules_cannot_be_had_is_refused(docker_that: DockerThat, tmp_path: Path) -> None:
    """1.22.17 lacks some."""
    with pytest.raises(AssetsError, match=r"no node image of 1\.22\.17 can be built"):
        order(docker_that, tmp_path, "1.22.17")


@pytest.mark.parametrize(
    ("called", "legacy", "nft", "runs"),
    [
        ("iptables", 0, 3, "iptables-nft"),
        ("iptables", 3, 1, "iptables-legacy"),
        ("ip6tables-restore", 0, 0, "ip6tables-nft-restore"),
        ("iptables-save", 3, 0, "iptables-legacy-save"),
    ],
)
def test_kube_proxy_runs_the_kind_of_iptables_that_the_nodes_rules_are_in(
    tmp_path: Path, called: str, legacy: int, nft: int, runs: str
) -> None:
    """Rules of the other kind would be beside those of the node, not among them."""
    script = (resources.files(nodeimage) / "iptables.sh").read_text(encoding="utf-8")
    script = script.replace("/usr/sbin/", f"{tmp_path}/").replace("/run/", f"{tmp_path}/")
    for kind, rules in (("legacy", legacy), ("nft", nft)):
        for family in ("iptables", "ip6tables"):
            for action in ("", "-save", "-restore"):
                listing = "".join("echo -A RULE\n" for _ in range(rules)) if action == "-save" else ""
                file = tmp_path / f"{family}-{kind}{action}"
                file.write_text(f'#!/bin/sh\n{listing}echo "$(basename "$0") $*" >&2\n')
                file.chmod(0o755)
    wrapper = tmp_path / called
    wrapper.write_text(script)
    wrapper.chmod(0o755)
    said = subprocess.run([wrapper, "-w", "5"], capture_output=True, text=True, check=True)
    assert said.stderr.strip() == f"{runs} -w 5"


@pytest.mark.parametrize("name", ["pause", "kindnet"])
def test_the_stand_ins_need_nothing_but_gos_own_library(name: str) -> None:
    """They are built without fetching a module."""
    source = (resources.files(nodeimage) / f"{name}.go.txt").read_text(encoding="utf-8")
    block = source.partition("import (")[2].partition(")")[0]
    imports = [line.strip().strip('"') for line in block.splitlines() if line.strip()]
    assert imports
    assert not [path for path in imports if "." in path.partition("/")[0]]


def test_every_package_is_named_once() -> None:
    """debootstrap takes the list as it is."""
    assert len(build.PACKAGES) == len(set(build.PACKAGES))
