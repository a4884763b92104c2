"""Proxy variables of the environment, as every other tool reads them.

The SDK applies ``HTTP_PROXY`` to 127.0.0.1 too and does not look at ``NO_PROXY`` (measured with
darabonba-core 1.0.9): an emulator on loopback could not be reached on a machine behind a proxy. So the
connection pool that the SDK uses for an endpoint is given an adapter that goes direct where no proxy is
meant.
"""

from __future__ import annotations

import os
from typing import Any
from urllib.parse import urlsplit


def bypasses_proxy(endpoint: str, environment: dict[str, str] | None = None) -> bool:
    """Whether the endpoint (``host`` or ``host:port``) is reached without a proxy: loopback, or in
    ``NO_PROXY``.
    """
    import ipaddress

    from requests.utils import should_bypass_proxies

    values = os.environ if environment is None else environment
    host = urlsplit(f"//{endpoint}").hostname or ""
    if host == "localhost":
        return True
    try:
        if ipaddress.ip_address(host).is_loopback:
            return True
    except ValueError:
        pass
    listed = values.get("no_proxy") or values.get("NO_PROXY")
    return bool(listed) and bool(should_bypass_proxies(f"http://{endpoint}", no_proxy=listed))


def go_direct(protocol: str, endpoint: str) -> None:
    """Make the SDK's connection pool for this endpoint ignore proxies."""
    from darabonba.core import DEFAULT_POOL_MAXSIZE, DaraCore
    from requests.adapters import HTTPAdapter

    class DirectAdapter(HTTPAdapter):
        def send(self, request: Any, *args: Any, **kwargs: Any) -> Any:
            kwargs["proxies"] = {}
            return super().send(request, *args, **kwargs)

    prefix = f"{protocol}://"
    # The key and the call are the ones of DaraCore.do_action; port 80 stands there for "as the endpoint
    # says".
    session = DaraCore._get_session(
        session_key=f"{prefix}{endpoint}:80:pool={DEFAULT_POOL_MAXSIZE}",
        protocol=protocol,
        tls_min_version=None,
        verify=True,
        pool_size=DEFAULT_POOL_MAXSIZE,
    )
    session.mount(prefix, DirectAdapter(pool_maxsize=DEFAULT_POOL_MAXSIZE))
