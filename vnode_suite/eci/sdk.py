"""Calls through Alibaba Cloud's official SDK; the only module that imports it.

ECI goes through its typed client (``alibabacloud_eci20180808``). The few reads of VPC, ECS and STS go
through the generic call of the core that this client brings along: the typed clients of those products are
20 MB each.
"""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Mapping
from typing import Any, Final

from vnode_suite.core.modules import import_meanwhile
from vnode_suite.eci import errors, proxies
from vnode_suite.eci.credentials import Credentials, resolve
from vnode_suite.eci.endpoints import Endpoints
from vnode_suite.eci.exchange import VERSIONS, ApiCall, Product

#: Time to open a connection, in seconds (the SDK's default).
CONNECT_TIMEOUT = 5.0
#: Time to wait for an answer unless the call's deadline is nearer, in seconds (the SDK's default is 10).
READ_TIMEOUT = 20.0
_WORDS = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")

#: What the text of a transport error says, in the words to show; the text itself quotes the URL, where the
#: kubeconfig travels, so it is never shown.
_TROUBLES: Final[tuple[tuple[str, str, bool], ...]] = (
    (r"Read timed out|timed out\b.*read", "no answer in time", True),
    (r"ConnectTimeoutError|connect timeout", "no connection in time", False),
    (r"Connection refused", "connection refused", False),
    (
        r"Failed to resolve|Name or service not known|getaddrinfo",
        "the endpoint's name cannot be resolved",
        False,
    ),
    (
        r"CERTIFICATE_VERIFY_FAILED|SSLError|SSLCertVerification",
        "the endpoint's certificate is not trusted",
        False,
    ),
    (r"ProxyError|Cannot connect to proxy", "the proxy cannot be reached", False),
    (r"No route to host|Network is unreachable", "no route to the endpoint", False),
    (r"Connection reset|Connection aborted|RemoteDisconnected|BrokenPipe", "the connection broke", False),
)


def preload() -> threading.Thread:
    """Import the SDK in a thread: it costs about half a second, which other work can hide."""
    return import_meanwhile("alibabacloud_eci20180808.client", "alibabacloud_eci20180808.models")


class SdkTransport:
    """Sends calls with the official SDK; no retries of its own.

    :param endpoints: where each product is.
    :param credentials: who calls.
    :param user_agent: added to the SDK's own.
    """

    def __init__(
        self, endpoints: Endpoints, credentials: Credentials, user_agent: str = "vnode-suite"
    ) -> None:
        self._endpoints = endpoints
        self._credentials = credentials
        self._user_agent = user_agent
        self._clients: dict[Product, Any] = {}
        self._lock = threading.Lock()

    @property
    def access_key_id(self) -> str:
        """Whose calls these are, as the service is told: not a secret, and not for others to read."""
        return str(resolve(self._credentials).get_credential().access_key_id)

    def send(self, call: ApiCall, timeout: float) -> Mapping[str, Any]:
        """Send one call once; raises the ``EciError`` tree."""
        client = self._client(call.product)
        try:
            if call.product == "eci":
                return self._typed(client, call, timeout)
            return self._generic(client, call, timeout)
        except errors.EciError:
            raise
        except Exception as error:
            # The SDK raises its own trees, those of requests and plain TypeErrors for bodies it cannot read.
            raise _translate(call, error) from None

    def _client(self, product: Product) -> Any:
        with self._lock:
            if product not in self._clients:
                self._clients[product] = self._open(product)
            return self._clients[product]

    def _open(self, product: Product) -> Any:
        from alibabacloud_eci20180808.client import Client as EciSdk
        from alibabacloud_tea_openapi.client import Client as CoreSdk
        from alibabacloud_tea_openapi.utils_models import Config

        # With DEBUG=sdk in the environment the SDK prints whole requests, kubeconfig included.
        logging.getLogger("darabonba-core").disabled = True
        host, protocol = self._endpoints.host(product), self._endpoints.protocol
        config = Config(
            credential=resolve(self._credentials),
            endpoint=host,
            protocol=protocol,
            region_id=self._endpoints.region,
            user_agent=self._user_agent,
            connect_timeout=int(CONNECT_TIMEOUT * 1000),
            ca=self._endpoints.ca_file or None,
        )
        if proxies.bypasses_proxy(host):
            proxies.go_direct(protocol, host)
        if product == "eci":
            return EciSdk(config)
        client = CoreSdk(config)
        client._endpoint = host
        return client

    def _typed(self, client: Any, call: ApiCall, timeout: float) -> Mapping[str, Any]:
        import alibabacloud_eci20180808.models as models

        request = getattr(models, f"{call.action}Request")().from_map(dict(call.parameters))
        method = getattr(client, f"{_WORDS.sub('_', call.action).lower()}_with_options")
        body: Mapping[str, Any] = method(request, _runtime(timeout)).body.to_map()
        return body

    def _generic(self, client: Any, call: ApiCall, timeout: float) -> Mapping[str, Any]:
        from alibabacloud_tea_openapi.utils import Utils
        from alibabacloud_tea_openapi.utils_models import OpenApiRequest, Params

        params = Params(
            action=call.action,
            version=VERSIONS[call.product],
            protocol="HTTPS",
            pathname="/",
            method="POST",
            auth_type="AK",
            style="RPC",
            req_body_type="formData",
            body_type="json",
        )
        request = OpenApiRequest(query=Utils.query(dict(call.parameters)))
        body = client.call_api(params, request, _runtime(timeout)).get("body")
        if not isinstance(body, Mapping):
            raise TypeError("the answer is no object")
        return body


def _runtime(timeout: float) -> Any:
    from darabonba.runtime import RuntimeOptions

    return RuntimeOptions(
        read_timeout=int(min(timeout, READ_TIMEOUT) * 1000),
        connect_timeout=int(min(timeout, CONNECT_TIMEOUT) * 1000),
    )


def _translate(call: ApiCall, error: Exception) -> errors.EciError:
    code, status = str(getattr(error, "code", None) or ""), getattr(error, "status_code", None)
    if isinstance(status, int) and code not in ("", "None"):
        data = getattr(error, "data", None) or {}
        retry_after = getattr(error, "retry_after", None)
        return errors.from_answer(
            action=call.action,
            ram_action=call.ram_action,
            code=code,
            http_status=status,
            message=str(data.get("Message") or data.get("message") or ""),
            request_id=str(data.get("RequestId") or ""),
            # The header is in milliseconds, as every SDK of the family reads it.
            retry_after=retry_after / 1000 if retry_after else None,
            denied=data.get("AccessDeniedDetail"),
        )
    if code == "InvalidCredentials":
        return errors.CredentialRefused(f"{call.action} was not sent", action=call.action, code=code)
    text = str(error)
    for pattern, words, is_timeout in _TROUBLES:
        if re.search(pattern, text):
            kind = errors.EciTimeout if is_timeout else errors.EciUnreachable
            return kind(
                f"{call.action} got no answer",
                action=call.action,
                found=words,
                remedy="check the endpoint, the network and the proxy variables",
            )
    return errors.EciUnreachable(
        f"{call.action} got no answer of the API",
        action=call.action,
        wanted="a JSON answer",
        found=f"something else ({type(getattr(error, 'inner_exception', None) or error).__name__})",
        remedy="check that the endpoint is the API's and that no proxy answers for it",
    )
