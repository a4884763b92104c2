"""Ports that two runs on one machine never share."""

from __future__ import annotations

import socket

import pytest

from vnode_suite.clusters.local import ports
from vnode_suite.clusters.local.ports import PortClaims
from vnode_suite.core.errors import ClusterError


def test_two_claims_never_give_one_port() -> None:
    """Two runs on one machine do not disturb each other."""
    with PortClaims() as ours, PortClaims() as theirs:
        ports = [claims.claim("127.0.0.1") for _ in range(30) for claims in (ours, theirs)]
    assert len(set(ports)) == 60


def test_a_port_that_somebody_listens_on_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stranger claims nothing; it is there all the same."""
    with PortClaims() as claims:
        taken = claims.claim("127.0.0.1")
    monkeypatch.setattr(ports, "FIRST_PORT", taken)
    monkeypatch.setattr(ports, "LAST_PORT", taken)
    with (
        socket.create_server(("127.0.0.1", taken)),
        PortClaims() as claims,
        pytest.raises(ClusterError, match=r"no free port at 127\.0\.0\.1"),
    ):
        claims.claim("127.0.0.1")
    with PortClaims() as claims:
        assert claims.claim("127.0.0.1") == taken


def test_an_address_that_is_not_ours_has_no_free_port() -> None:
    """The error says that this may be why."""
    with PortClaims() as claims, pytest.raises(ClusterError, match="not on this machine"):
        claims.claim("192.0.2.1")
