"""How simulated VNodes reach a server that was there before their network."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml

from vnode_suite.access.kubeconfig import AdminCluster, build
from vnode_suite.clusters.local.certificates import CertificateAuthority
from vnode_suite.connection import way


@contextmanager
def _server(tmp_path: Path, names: Sequence[str]) -> Iterator[AdminCluster]:
    """A TLS server on loopback whose certificate holds *names*."""
    authority = CertificateAuthority("kubernetes")
    pair = authority.serving("kube-apiserver", names)
    file = tmp_path / "server.pem"
    file.write_text(pair.certificate_pem + pair.key_pem)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    client, _ = listener.accept()
                    with contextlib.suppress(OSError), context.wrap_socket(client, server_side=True):
                        pass

        threading.Thread(target=serve, daemon=True).start()
        port = listener.getsockname()[1]
        yield AdminCluster(f"https://127.0.0.1:{port}", authority.certificate_pem, "it")
        listener.shutdown(socket.SHUT_RDWR)


def test_loopback_server_is_relayed_under_a_name_of_its_certificate(tmp_path: Path) -> None:
    """A VNode dials a name that the certificate holds and that the VPC's DNS answers with the relay's address."""
    with _server(tmp_path, ["localhost", "127.0.0.1", "kubernetes", "kubernetes.default.svc"]) as admin:
        planned = way.plan(admin)
        found = way.resolve(admin, planned, relay=("10.1.0.1", 4443), namespaces=True)
    assert planned.dns_records == {"kubernetes.default.svc": "host"}
    assert planned.relayed == ("127.0.0.1", int(admin.server.rpartition(":")[2]))
    assert found.server == "https://kubernetes.default.svc:4443"
    assert found.addresses == ("10.1.0.1",)
    assert found.returns


def test_loopback_server_without_a_name_in_its_certificate_cannot_be_reached(tmp_path: Path) -> None:
    """Without a DNS name in the certificate there is no address that would pass for the server's: said, not guessed."""
    with _server(tmp_path, ["localhost", "127.0.0.1"]) as admin:
        found = way.resolve(admin, way.plan(admin), relay=None, namespaces=True)
    assert found.problem is not None
    assert "certificate" in found.problem.en


def test_a_server_of_this_machine_is_dialled_where_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """An address of this machine that is no loopback one needs neither a relay nor another kubeconfig."""
    monkeypatch.setattr(way, "_is_of_this_machine", lambda address: True)
    admin = AdminCluster("https://192.0.2.7:6443", "", "it")
    planned = way.plan(admin)
    found = way.resolve(admin, planned, relay=None, namespaces=True)
    assert planned.connected == ("192.0.2.7/32",)
    assert planned.relayed is None
    assert (found.server, found.problem) == ("", None)
    assert found.told("anything: unchanged") == "anything: unchanged"


def test_a_server_behind_this_machine_is_reached_one_way_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """A relay to another machine carries VNodes there; nothing carries that machine's dials back to them."""
    monkeypatch.setattr(way, "_is_of_this_machine", lambda address: False)
    monkeypatch.setattr(way, "_name_in_certificate", lambda *_: "api.cluster.example")
    admin = AdminCluster("https://192.0.2.7:6443", "", "it")
    found = way.resolve(admin, way.plan(admin), relay=("10.1.0.1", 1), namespaces=True)
    assert not found.returns


def test_nothing_is_changed_where_vnodes_have_no_network_of_their_own() -> None:
    """Without namespaces VNodes dial what everybody on this machine dials."""
    admin = AdminCluster("https://127.0.0.1:6443", "", "it")
    found = way.resolve(admin, way.Plan(relayed=("127.0.0.1", 6443), name="x"), relay=None, namespaces=False)
    assert (found.server, found.problem, found.how) == ("", None, None)


def test_kubeconfig_is_changed_for_vnodes_and_back() -> None:
    """Only the server's address differs between what VNodes are told and what this side uses."""
    admin = AdminCluster("https://127.0.0.1:6443", "-----BEGIN CERTIFICATE-----", "it")
    found = way.Way(admin.server, "https://api.example:7443", ("10.1.0.1",))
    text = build(admin, {"token": "t"})
    told = found.told(text)
    assert yaml.safe_load(told)["clusters"][0]["cluster"]["server"] == "https://api.example:7443"
    assert yaml.safe_load(found.from_here(told)) == yaml.safe_load(text)
    assert found.dialled_from_here("api.example", 7443) == ("127.0.0.1", 6443)
    assert found.dialled_from_here("api.example", 1) == ("api.example", 1)


def test_a_broken_server_in_a_kubeconfig_stays_broken() -> None:
    """A twin's own wrong address is not replaced by the right one on the way back."""
    admin = AdminCluster("https://127.0.0.1:6443", "-----BEGIN CERTIFICATE-----", "it")
    found = way.Way(admin.server, "https://api.example:7443", ("10.1.0.1",))
    text = build(admin, {"token": "t"}, server="https://lb.kubesphere.local:6443")
    assert found.from_here(found.told(text)) == text
