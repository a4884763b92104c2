"""Asking the cluster for a client certificate, the first time and on renewal."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any

from vnode_suite.simulated.vnode.api import ApiServer
from vnode_suite.simulated.vnode.certificates import KeyAndRequest, belongs_to_key, new_request

#: The signer of a VNode's certificates (published approver, README and source).
SIGNER = "kubernetes.io/kube-apiserver-client"
#: Exactly these (same source).
USAGES = ("digital signature", "key encipherment", "client auth")


class RequestRefused(Exception):
    """A certificate signing request was denied, has failed, or was answered with a certificate of no use."""


@dataclass(frozen=True, slots=True)
class ClientCertificate:
    """A certificate that was issued, with its key; PEM."""

    certificate_pem: str
    key_pem: str = field(repr=False)


@dataclass(slots=True)
class SigningRequest:
    """One request, from its key to its certificate; every step can be tried again after an `ApiFailure`."""

    virtual_node_id: str
    #: Collection, ``/apis/certificates.k8s.io/<version>/certificatesigningrequests``.
    collection: str
    pair: KeyAndRequest
    name: str = ""

    @classmethod
    def prepare(cls, virtual_node_id: str, api_version: str) -> SigningRequest:
        """A fresh key; nothing is sent yet. ``api_version`` is what the server serves: v1 or v1beta1."""
        collection = f"/apis/certificates.k8s.io/{api_version}/certificatesigningrequests"
        return cls(virtual_node_id, collection, new_request(virtual_node_id))

    async def submit(self, server: ApiServer) -> None:
        """Create the object. Raises `ApiFailure`."""
        body = {
            "apiVersion": self.collection.removeprefix("/apis/").removesuffix("/certificatesigningrequests"),
            "kind": "CertificateSigningRequest",
            "metadata": {"generateName": "csr-"},
            "spec": {
                "request": base64.b64encode(self.pair.request_pem.encode()).decode(),
                # Servers before 1.18 drop the field; later ones need it to choose the signer.
                "signerName": SIGNER,
                "usages": list(USAGES),
            },
        }
        created = await server.create(self.collection, body)
        self.name = created["metadata"]["name"]

    async def result(
        self, server: ApiServer, patience: float, overdue: Callable[[str], None]
    ) -> ClientCertificate:
        """Wait for the certificate, calling ``overdue`` with a text every ``patience`` seconds.

        Raises `ApiFailure`, or `RequestRefused` when there is nothing more to wait for.
        """
        state: dict[str, Any] = {}
        while True:
            try:
                async with asyncio.timeout(patience):
                    return await self._issued(server, state)
            except TimeoutError:
                step = "signed" if _condition(state, "Approved") else "approved"
                overdue(f"timed out waiting for certificate signing request {self.name} to be {step}")

    async def _issued(self, server: ApiServer, state: dict[str, Any]) -> ClientCertificate:
        async with aclosing(
            server.changes(self.collection, fieldSelector=f"metadata.name={self.name}")
        ) as changes:
            async for change in changes:
                if change.type == "DELETED":
                    raise RequestRefused(f"certificate signing request {self.name} was deleted")
                state.clear()
                state.update(change.object)
                certificate = self._judge(change.object)
                if certificate is not None:
                    return certificate
        raise AssertionError("a watch without end has ended")

    def _judge(self, request: Mapping[str, Any]) -> ClientCertificate | None:
        for kind, verb in (("Denied", "is denied"), ("Failed", "failed")):
            condition = _condition(request, kind)
            if condition is not None:
                reason, message = condition.get("reason", ""), condition.get("message", "")
                raise RequestRefused(
                    f"certificate signing request {self.name} {verb}, reason: {reason}, message: {message}"
                )
        encoded = request.get("status", {}).get("certificate")
        if not encoded or _condition(request, "Approved") is None:
            return None
        certificate = base64.b64decode(encoded).decode()
        if not belongs_to_key(certificate, self.pair.key_pem):
            raise RequestRefused("tls: private key does not match public key")
        return ClientCertificate(certificate, self.pair.key_pem)


def _condition(request: Mapping[str, Any], kind: str) -> Mapping[str, Any] | None:
    for condition in request.get("status", {}).get("conditions") or ():
        # Servers before 1.19 have no status in a condition: its presence is the statement.
        if condition.get("type") == kind and condition.get("status", "True") == "True":
            return dict(condition)
    return None
