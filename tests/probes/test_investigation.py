"""Looking at servers and kubeconfigs: what is found of servers that are wrong in one respect each."""

from __future__ import annotations

import base64
import datetime as dt
import json
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from vnode_suite.clusters.local.certificates import CertificateAuthority, KeyPair, Validity
from vnode_suite.core.secrets import Secret
from vnode_suite.diagnosis import EventText
from vnode_suite.diagnosis.evidence import Case, Standing
from vnode_suite.probes.investigation import Sources, investigate
from vnode_suite.probes.server_signs import Server, meet

HOST = "127.0.0.1"
DAY = dt.timedelta(days=1)


@contextmanager
def serving(pair: KeyPair | None, folder: Path) -> Iterator[int]:
    """A port that ends TLS with this pair, or says something plain."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    if pair is not None:
        (folder / "pair.pem").write_text(pair.certificate_pem + pair.key_pem, encoding="ascii")
        context.load_cert_chain(folder / "pair.pem")

    def serve(listener: socket.socket) -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with suppress(OSError), connection:
                connection.settimeout(30)
                if pair is None:
                    connection.recv(100)
                    connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
                else:
                    with context.wrap_socket(connection, server_side=True) as secure:
                        secure.recv(1)

    with socket.create_server((HOST, 0)) as listener:
        thread = threading.Thread(target=serve, args=(listener,), daemon=True)
        thread.start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
    thread.join(30)


def found(port: int, authority: CertificateAuthority, host: str = HOST) -> dict[str, str]:
    """Signs of the server at that port."""
    return {sign.name: sign.found for sign in meet(Server(host, port, authority.certificate_pem), ()).signs}


def past(authority: CertificateAuthority) -> KeyPair:
    """A certificate that ended yesterday."""
    now = dt.datetime.now(dt.UTC)
    return authority.serving("api", [HOST], Validity(now - 2 * DAY, now - DAY))


def future(authority: CertificateAuthority) -> KeyPair:
    """A certificate that begins tomorrow."""
    now = dt.datetime.now(dt.UTC)
    return authority.serving("api", [HOST], Validity(now + DAY, now + 2 * DAY))


SOUND = {"tls-dates": "valid", "tls-name": "covered", "tls-authority": "trusted"}


@pytest.mark.parametrize(
    ("made", "differs"),
    [
        (lambda authority: authority.serving("api", [HOST]), {}),
        (past, {"tls-dates": "expired"}),
        (future, {"tls-dates": "not-yet-valid"}),
        (lambda authority: authority.serving("api", ["other.test"]), {"tls-name": "not-covered"}),
        (
            lambda authority: CertificateAuthority("another").serving("api", [HOST]),
            {"tls-authority": "foreign"},
        ),
    ],
)
def test_a_certificate_is_judged_in_each_respect_by_itself(
    made: Callable[[CertificateAuthority], KeyPair], differs: dict[str, str], tmp_path: Path
) -> None:
    """One that has expired is still of its authority and name."""
    authority = CertificateAuthority("kubernetes")
    with serving(made(authority), tmp_path) as port:
        seen = found(port, authority)
    assert {name: seen[name] for name in SOUND} == {**SOUND, **differs}


def test_a_port_that_speaks_no_tls_is_said_so(tmp_path: Path) -> None:
    """A plain answer is no certificate's fault."""
    with serving(None, tmp_path) as port:
        assert found(port, CertificateAuthority("kubernetes"))["tls"] == "none"


def test_a_closed_port_is_refused() -> None:
    """Nobody listens: nothing is said of certificates."""
    with socket.create_server((HOST, 0)) as listener:
        port = listener.getsockname()[1]
    assert found(port, CertificateAuthority("kubernetes")) == {"name": "none", "dial": "refused"}


def kubeconfig(port: int, user: dict[str, object], ca_pem: str = "") -> Secret:
    """What was handed over."""
    cluster = {
        "server": f"https://{HOST}:{port}",
        "certificate-authority-data": base64.b64encode(ca_pem.encode()).decode(),
    }
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "c", "cluster": cluster}],
        "users": [{"name": "vnode", "user": user}],
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "vnode"}}],
        "current-context": "c",
    }
    return Secret(json.dumps(document), "kubeconfig")


def event(port: int, what: str) -> EventText:
    """An event of a VNode that was to reach that port."""
    return EventText(
        f'failed to get kubernetes server version, Get "https://{HOST}:{port}/version?timeout=32s": {what}'
    )


def standings(case: Case) -> dict[str, Standing]:
    """What is said of each cause that was named."""
    return {one.match.cause: one.standing for one in case.causes}


def test_a_refused_port_confirms_the_event() -> None:
    """The event says refused, and so does the port."""
    with socket.create_server((HOST, 0)) as listener:
        port = listener.getsockname()[1]
    said = event(port, f"dial tcp {HOST}:{port}: connect: connection refused")
    handed = kubeconfig(port, {"token": "abcdef.0123456789abcdef"}, CertificateAuthority("c").certificate_pem)
    case = investigate(Sources(handed=handed, events=(said,)))
    assert standings(case) == {"connection-refused": Standing.CONFIRMED}
    assert case.timeline[-1].clock == "runner"


def test_an_address_that_only_an_event_names_is_never_dialled() -> None:
    """An event is somebody else's text."""
    with socket.create_server((HOST, 0)) as listener:
        listener.settimeout(0.2)
        port = listener.getsockname()[1]
        investigate(Sources(events=(event(port, f"dial tcp {HOST}:{port}: i/o timeout"),)))
        with pytest.raises(TimeoutError):
            listener.accept()


def test_a_program_that_a_kubeconfig_names_is_never_run(tmp_path: Path) -> None:
    """Whoever wrote the kubeconfig would have it run with the rights of who diagnoses."""
    proof = tmp_path / "ran"
    program = {"apiVersion": "client.authentication.k8s.io/v1", "command": "/bin/touch", "args": [str(proof)]}
    authority = CertificateAuthority("kubernetes")
    with serving(authority.serving("api", [HOST]), tmp_path) as port:
        said = EventText(
            "failed to load kubeconfig: getting credentials: exec: executable /bin/touch not found"
        )
        handed = kubeconfig(port, {"exec": program}, authority.certificate_pem)
        case = investigate(Sources(handed=handed, events=(said,)))
    assert standings(case) == {"kubeconfig-unusable": Standing.CONFIRMED}
    assert not proof.exists()
