"""Which image a node is made of."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from vnode_suite.clusters.kind.images import obtain_image
from vnode_suite.core.errors import ClusterError
from vnode_suite.core.progress import SilentProgress
from vnode_suite.data.versions import load_versions

DockerThat = Callable[..., Any]
VERSION = load_versions().resolve("1.22")
BUILT = "vnode-suite/node:v1.22.15"


def inspected(identity: str, **labels: str) -> str:
    """What `docker image inspect` prints."""
    return json.dumps([{"Id": identity, "Config": {"Labels": labels or None}}])


def test_the_published_image_is_taken_by_digest_where_it_is_there(docker_that: DockerThat) -> None:
    """Nothing is pulled then, and one that was built here waits."""
    fake = docker_that(
        {
            ("image", "inspect", VERSION.node_image): inspected("sha256:p"),
            ("image", "inspect"): (1, "No such image"),
        }
    )
    found = obtain_image(VERSION, fake.docker, SilentProgress())
    assert (found.reference, found.id) == (VERSION.node_image, "sha256:p")
    assert "@sha256:" in found.reference
    assert [call[0] for call in fake.calls] == ["image"]


def test_an_image_built_here_is_taken_before_anything_is_pulled(docker_that: DockerThat) -> None:
    """And the report says how it came to be."""
    answers = {
        ("image", "inspect", BUILT): inspected(
            "sha256:b", **{"vnode-suite.provenance": '{"debian": "bookworm"}'}
        ),
        ("image", "inspect"): (1, "No such image"),
    }
    fake = docker_that(answers)
    found = obtain_image(VERSION, fake.docker, SilentProgress())
    assert found.reference == BUILT
    assert found.provenance == {"source": "built here", "recipe": '{"debian": "bookworm"}'}
    assert not [call for call in fake.calls if call[0] == "pull"]


def test_where_none_is_there_and_none_can_be_pulled_the_error_says_how_one_is_built(
    docker_that: DockerThat,
) -> None:
    """With what the registry, or its absence, said."""
    fake = docker_that({("image", "inspect"): (1, "No such image"), ("pull",): (1, "no such host")})
    with pytest.raises(ClusterError, match=r"no such host.*vnode-suite assets node-image 1\.22"):
        obtain_image(VERSION, fake.docker, SilentProgress())
    assert ["pull", "--quiet", VERSION.node_image] in fake.calls


def test_an_image_of_another_patch_than_the_one_asked_for_is_not_taken(docker_that: DockerThat) -> None:
    """1.22.17 is published and 1.22.15 can be built; 1.22.3 is neither."""
    fake = docker_that({("image", "inspect"): inspected("sha256:x")})
    with pytest.raises(ClusterError, match=r"no image of 1\.22\.3 is published"):
        obtain_image(load_versions().resolve("1.22.3"), fake.docker, SilentProgress())
    assert not fake.calls
