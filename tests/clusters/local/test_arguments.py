"""The argument sets: the same everywhere but where a named fact of the version says otherwise."""

from __future__ import annotations

from pathlib import Path

import pytest

from vnode_suite.clusters.local.arguments import (
    API_SERVER,
    ControlPlaneLayout,
    ControlPlaneSettings,
    api_server_arguments,
    controller_manager_arguments,
    etcd_arguments,
    scheduler_arguments,
)
from vnode_suite.data.versions import VersionFacts, load_versions

LAYOUT = ControlPlaneLayout(Path("/run"), 20001, 20002, 20003, 20004)
SETTINGS = ControlPlaneSettings()


def facts(minor: str) -> VersionFacts:
    """The facts of a minor."""
    return load_versions().resolve(minor).facts


@pytest.mark.parametrize(
    ("minor", "present"), [("1.13", True), ("1.22", True), ("1.23", True), ("1.24", False)]
)
def test_plain_text_ports_are_closed_as_long_as_there_are_flags_for_them(minor: str, present: bool) -> None:
    """Below 1.20 they are open by default; from 1.24 on the flags end the process."""
    assert ("--insecure-port=0" in api_server_arguments(LAYOUT, SETTINGS, facts(minor))) is present
    assert ("--port=0" in controller_manager_arguments(LAYOUT, SETTINGS, facts(minor))) is present
    assert ("--port=0" in scheduler_arguments(LAYOUT, SETTINGS, facts(minor))) is present


@pytest.mark.parametrize(
    ("minor", "flag"),
    [
        ("1.18", "--experimental-cluster-signing-duration=60000ms"),
        ("1.19", "--cluster-signing-duration=60000ms"),
    ],
)
def test_the_signing_duration_is_set_by_the_flag_that_the_version_has(minor: str, flag: str) -> None:
    """The old name went in 1.25."""
    settings = ControlPlaneSettings(cluster_signing_seconds=60)
    assert flag in controller_manager_arguments(LAYOUT, settings, facts(minor))


@pytest.mark.parametrize(("minor", "present"), [("1.26", True), ("1.27", False)])
def test_the_eviction_timeout_is_given_only_where_it_exists(minor: str, present: bool) -> None:
    """An unknown flag ends the process."""
    arguments = controller_manager_arguments(LAYOUT, SETTINGS, facts(minor))
    assert any(each.startswith("--pod-eviction-timeout=") for each in arguments) is present


@pytest.mark.parametrize(
    ("address", "advertised"),
    [("127.0.0.1", "192.0.2.9"), ("10.77.0.1", "10.77.0.1"), ("127.0.0.7", "192.0.2.9")],
)
def test_a_loopback_address_is_served_but_never_advertised(address: str, advertised: str) -> None:
    """The API server refuses loopback in Endpoints, and looks for a default route when told nothing."""
    arguments = api_server_arguments(LAYOUT, ControlPlaneSettings(address=address), facts("1.22"))
    assert f"--bind-address={address}" in arguments
    assert f"--advertise-address={advertised}" in arguments


def test_every_server_speaks_tls_and_etcd_asks_for_a_certificate() -> None:
    """No plain text anywhere, and etcd closed to everybody but the API server."""
    etcd = etcd_arguments(LAYOUT)
    assert "--client-cert-auth" in etcd
    assert [each for each in etcd if "http://" in each] == []
    for make in (api_server_arguments, controller_manager_arguments, scheduler_arguments):
        assert any(
            each.startswith("--tls-private-key-file=") for each in make(LAYOUT, SETTINGS, facts("1.13"))
        )


def test_what_a_caller_adds_comes_last_and_so_wins() -> None:
    """Of a flag given twice the components take the last."""
    settings = ControlPlaneSettings(extra_arguments={API_SERVER: ["--v=4"]})
    assert api_server_arguments(LAYOUT, settings, facts("1.22"))[-1] == "--v=4"
    assert "--v=4" not in scheduler_arguments(LAYOUT, settings, facts("1.22"))


def test_the_certificate_names_can_be_added_to_or_replaced() -> None:
    """A certificate without the right name is a defect that a control needs."""
    usual = ControlPlaneSettings(address="10.77.0.1", extra_names=["api.example.com"]).certificate_names()
    assert {"localhost", "127.0.0.1", "10.77.0.1", "api.example.com", "10.96.0.1"} <= set(usual)
    assert ControlPlaneSettings(serving_names=["other.example.com"]).certificate_names() == [
        "other.example.com"
    ]
