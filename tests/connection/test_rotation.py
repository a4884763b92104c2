"""CREATE-07: certificate requests read as renewals, and what a soak can show."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from vnode_suite.connection import rotation
from vnode_suite.connection.observing.rotation import _due
from vnode_suite.connection.rotation import Request
from vnode_suite.connection.steps import StepNotReached

VNODE = "vnd-0000000000000000abcd"
NOW = datetime.now(UTC).replace(microsecond=0)
_KEY = ec.generate_private_key(ec.SECP256R1())


def csr(name: str, user: str, *, life: float | None, age: float = 0.0) -> dict[str, Any]:
    """A CertificateSigningRequest for *user*, made *age* seconds ago; signed for *life* seconds, or not yet."""
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, user)])
    request = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(_KEY, hashes.SHA256())
    made = NOW - timedelta(seconds=age)
    found: dict[str, Any] = {
        "metadata": {"name": name, "creationTimestamp": made.strftime("%Y-%m-%dT%H:%M:%SZ")},
        "spec": {"username": user, "request": _coded(request.public_bytes(serialization.Encoding.PEM))},
    }
    if life is not None:
        certificate = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(subject)
            .public_key(_KEY.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(made - timedelta(minutes=5))
            .not_valid_after(made + timedelta(seconds=life))
            .sign(_KEY, hashes.SHA256())
        )
        found["status"] = {"certificate": _coded(certificate.public_bytes(serialization.Encoding.PEM))}
    return found


def _coded(pem: bytes) -> str:
    return base64.b64encode(pem).decode()


class Listing:
    """A client that lists the same requests always, and waits in vain."""

    def __init__(self, *items: Mapping[str, Any]) -> None:
        self.items = list(items)
        self.waited: list[float] = []

    def list(self, path: str) -> list[Mapping[str, Any]]:
        assert path == "/apis/certificates.k8s.io/v1/certificatesigningrequests"
        return self.items

    def wait_for_list(self, path: str, predicate: Any, *, deadline_seconds: float, what: str) -> None:
        self.waited.append(deadline_seconds)
        assert not predicate(self.items)
        raise rotation.DeadlineExceeded(what)


def followed(client: Listing, wanted: int) -> tuple[Request, ...]:
    """What is seen of the VNode's requests there."""
    return rotation.follow(client, "v1", VNODE, wanted=wanted, deadline_seconds=60)  # type: ignore[arg-type]


def test_requests_of_the_vnode_count_whoever_asked_and_nobody_elses() -> None:
    """The first is asked for with the bootstrap token: only the name in the request tells whose it is."""
    client = Listing(
        csr("second", f"system:vnode:{VNODE}", life=30, age=5),
        csr("first", f"system:vnode:{VNODE}", life=30, age=25),
        csr("theirs", "system:vnode:vnd-of-somebody-else", life=30),
        csr("third", f"system:vnode:{VNODE}", life=30),
    )
    assert [each.name for each in followed(client, 2)] == ["first", "second", "third"]
    assert client.waited == []


def test_watching_ends_when_the_last_certificate_has_run_out() -> None:
    """A renewal that comes later is none: nobody waits for the deadline."""
    client = Listing(csr("first", f"system:vnode:{VNODE}", life=-2, age=30))
    assert [each.end is not None for each in followed(client, 2)] == [True]
    assert client.waited == []


def test_a_request_without_certificate_is_no_renewal() -> None:
    """It was asked for and not granted, which is another failure than not asking."""
    first = csr("first", f"system:vnode:{VNODE}", life=-2, age=30)
    found = followed(Listing(first, csr("asked", f"system:vnode:{VNODE}", life=None, age=5)), 2)
    assert [(each.name, each.end is None) for each in found] == [("first", False), ("asked", True)]


@pytest.mark.parametrize(("soak", "due"), [(100, 1), (170, 1), (190, 2), (10_000, 2)])
def test_a_soak_must_show_the_renewals_that_fall_into_it(soak: float, due: int) -> None:
    """A life of 100 s is renewed within 90: two of them need 180 s, and nobody watches more than two."""
    now = datetime.now(UTC)
    requests = [Request("first", "x", "", now, now + timedelta(seconds=100))]
    assert _due(requests, soak) == due


def test_a_soak_that_is_too_short_says_what_it_would_take() -> None:
    """A certificate of a year shows nothing in an hour: that is no pass."""
    requests = [Request("first", "x", "", NOW, NOW + timedelta(days=365))]
    with pytest.raises(StepNotReached, match="--vnode-soak") as missed:
        _due(requests, 3600)
    assert missed.value.unreached.reason == "too-short"
    with pytest.raises(StepNotReached, match="no certificate request"):
        _due([], 3600)
