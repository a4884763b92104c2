"""Servers of the run's own that stand where an API server would, each wrong in one respect."""

from __future__ import annotations

import base64
import contextlib
import datetime as dt
import json
import socket
import ssl
import tempfile
import threading
from collections.abc import Mapping
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any

from vnode_suite.clusters.local.certificates import CertificateAuthority, KeyPair, Validity
from vnode_suite.core.documents import dump_yaml, load_yaml

#: Somebody else's name, for a certificate that does not cover the address it is met at.
_OTHER_NAME = "api-server.of-another-cluster.invalid"
_HANDSHAKE_SECONDS = 5.0


def certificate_for(defect: str, authority: CertificateAuthority, host: str) -> KeyPair:
    """A serving certificate with the *defect* ``server-certificate-...``, otherwise right for *host*."""
    now = dt.datetime.now(dt.UTC)
    day = dt.timedelta(days=1)
    match defect:
        case "server-certificate-expired":
            return authority.serving("kube-apiserver", [host], Validity(now - 2 * day, now - day))
        case "server-certificate-not-yet-valid":
            return authority.serving("kube-apiserver", [host], Validity(now + day, now + 2 * day))
        case "server-certificate-wrong-name":
            return authority.serving("kube-apiserver", [_OTHER_NAME])
    raise KeyError(defect)


class TlsDouble:
    """Ends TLS on *host* with a certificate that has *defect*; whoever accepts it all the same is hung up on."""

    def __init__(self, defect: str, host: str) -> None:
        # The kubeconfig trusts this authority, so that the certificate is wrong in nothing but its defect.
        self.authority = CertificateAuthority("kubernetes")
        self._context = _context(certificate_for(defect, self.authority, host))
        self._listener = socket.create_server((host, 0))
        self.host, self.port = host, int(self._listener.getsockname()[1])
        self._thread = threading.Thread(target=self._serve, name=f"double-{defect}", daemon=True)
        self._thread.start()

    def kubeconfig(self, sound: str) -> str:
        """*sound*, pointed at this server."""
        return _pointed_at(sound, f"https://{self.host}:{self.port}", self.authority)

    def _serve(self) -> None:
        while True:
            try:
                plain, _ = self._listener.accept()
            except OSError:
                return  # Closed: nobody is to be served any more.
            threading.Thread(target=self._handshake, args=(plain,), daemon=True).start()

    def _handshake(self, plain: socket.socket) -> None:
        plain.settimeout(_HANDSHAKE_SECONDS)
        # Clients are meant to refuse this certificate, each in its own way.
        with (
            contextlib.suppress(OSError),
            plain,
            self._context.wrap_socket(plain, server_side=True) as secure,
        ):
            secure.recv(1)

    def __enter__(self) -> TlsDouble:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(timeout=_HANDSHAKE_SECONDS)


class OverloadedDouble:
    """Answers ``/version`` as the API server does, and 429 to everything else; a context manager."""

    def __init__(self, version_info: Mapping[str, Any], host: str) -> None:
        self.authority = CertificateAuthority("kubernetes")
        self._server = ThreadingHTTPServer(
            (host, 0), partial(_TurningAway, json.dumps(dict(version_info)).encode())
        )
        self._server.daemon_threads = True
        context = _context(self.authority.serving("kube-apiserver", [host]))
        self._server.socket = context.wrap_socket(
            self._server.socket, server_side=True, do_handshake_on_connect=False
        )
        self._url = f"https://{host}:{self._server.server_port}"
        self._thread = threading.Thread(
            target=self._server.serve_forever, name="double-overloaded", daemon=True
        )
        self._thread.start()

    def kubeconfig(self, sound: str) -> str:
        """*sound*, pointed at this server."""
        return _pointed_at(sound, self._url, self.authority)

    def __enter__(self) -> OverloadedDouble:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(timeout=_HANDSHAKE_SECONDS)


class _TurningAway(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = _HANDSHAKE_SECONDS

    def __init__(self, version: bytes, *rest: Any) -> None:
        self._version = version
        super().__init__(*rest)

    def _answer(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        known = self.path.startswith("/version")
        # The words of the API server's own filter (apiserver, filters.tooManyRequests).
        body = self._version if known else b"Too many requests, please try again later.\n"
        self.send_response(200 if known else 429)
        self.send_header("Content-Type", "application/json" if known else "text/plain; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        if not known:
            self.send_header("Retry-After", "1")
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _answer

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing: the VNode's events are the evidence."""


def _pointed_at(sound: str, server: str, authority: CertificateAuthority) -> str:
    document = load_yaml(sound)
    document["clusters"][0]["cluster"] = {
        "certificate-authority-data": base64.b64encode(authority.certificate_pem.encode()).decode(),
        "server": server,
    }
    return dump_yaml(document)


def _context(pair: KeyPair) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    # The ssl module reads keys from files only; this one is gone when it has been read.
    with tempfile.TemporaryDirectory(prefix="vnode-suite-double-") as folder:
        path = Path(folder, "server.pem")
        path.touch(mode=0o600)
        path.write_text(pair.certificate_pem + pair.key_pem, encoding="ascii")
        context.load_cert_chain(path)
    return context
