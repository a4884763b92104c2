"""Who calls: a given access key, or whatever Alibaba Cloud's own default chain finds."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import Any

from vnode_suite.eci.errors import CredentialRefused


@dataclass(frozen=True, slots=True)
class StaticCredentials:
    """An access key; with a security token a temporary one (STS)."""

    access_key_id: str
    access_key_secret: str = field(repr=False)
    security_token: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class DefaultChain:
    """The SDK's default provider chain.

    In its order: environment variables (``ALIBABA_CLOUD_ACCESS_KEY_ID`` ...), OIDC (RRSA), the CLI's and
    SDK's profile files, the ECS instance's RAM role, a credentials URI. The SDK reads
    the variables when it is imported, so they must be set before that.
    """


Credentials = StaticCredentials | DefaultChain


def resolve(credentials: Credentials) -> Any:
    """The SDK's credential client; raises :class:`CredentialRefused` when the chain finds nothing."""
    from alibabacloud_credentials import models
    from alibabacloud_credentials.client import Client

    if isinstance(credentials, StaticCredentials):
        return Client(
            models.Config(
                type="sts" if credentials.security_token else "access_key",
                access_key_id=credentials.access_key_id,
                access_key_secret=credentials.access_key_secret,
                security_token=credentials.security_token or None,
            )
        )
    # The chain logs a traceback for each source that has nothing, through a handler of its own.
    logging.getLogger("credentials").disabled = True
    client = Client()
    try:
        client.get_credential()
    except Exception as error:
        # The chain raises exceptions of its own, of requests and plain ones; all mean that nothing was found.
        raise CredentialRefused(
            "no credentials were found",
            wanted="one source of Alibaba Cloud's default credential chain",
            found=f"{type(error).__name__} from the last source tried",
            remedy="set ALIBABA_CLOUD_ACCESS_KEY_ID and ALIBABA_CLOUD_ACCESS_KEY_SECRET, or a profile",
        ) from None
    return client
