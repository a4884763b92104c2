"""Who sent a request: ACS3-HMAC-SHA256 and classic RPC (HMAC-SHA1) verified, with nonce and clock window."""

from __future__ import annotations

import base64
import hashlib
import hmac
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from urllib.parse import quote

from vnode_suite.simulated.eci_api.errors import ApiError, missing

#: The gateway takes dates that differ by at most this much from its own clock, in seconds (its error pages).
CLOCK_WINDOW = 900.0
ACS3 = "ACS3-HMAC-SHA256"
_ACS3_SIGNED = (
    "host",
    "x-acs-action",
    "x-acs-version",
    "x-acs-date",
    "x-acs-signature-nonce",
    "x-acs-content-sha256",
)


@dataclass(frozen=True, slots=True)
class Credential:
    """An access key of an account; with a security token it is a temporary one."""

    access_key_id: str
    access_key_secret: str = field(repr=False)
    account_id: str
    security_token: str = field(default="", repr=False)
    active: bool = True
    #: RAM actions that this key may not call, ``eci:CreateVirtualNode``; ``*`` at the end matches a prefix.
    denied: tuple[str, ...] = ()

    def refuses(self, ram_action: str) -> bool:
        """Whether RAM denies this key the action."""
        return any(
            ram_action == rule or (rule.endswith("*") and ram_action.startswith(rule[:-1]))
            for rule in self.denied
        )


@dataclass(frozen=True, slots=True)
class Wire:
    """A request as it came in; nothing decoded but the query and a form body."""

    method: str
    path: str
    query: Sequence[tuple[str, str]]
    form: Sequence[tuple[str, str]]
    headers: Sequence[tuple[str, str]]
    body: bytes

    def header(self, name: str) -> str:
        """The value of a header, joined by commas when sent several times; empty if absent."""
        return ",".join(value.strip() for key, value in self.headers if key.lower() == name)

    @property
    def parameters(self) -> dict[str, str]:
        """Query and form as one; the form wins, and the last of a repeated name."""
        return dict(self.query) | dict(self.form)


class NonceBook:
    """Remembers nonces for as long as their date would still be taken."""

    def __init__(self, lifetime: float = 2 * CLOCK_WINDOW) -> None:
        self._lifetime = lifetime
        self._seen: set[tuple[str, str]] = set()
        self._order: deque[tuple[float, tuple[str, str]]] = deque()

    def use(self, access_key_id: str, nonce: str, now: float) -> None:
        """Note a nonce; raise ``SignatureNonceUsed`` when it was noted before."""
        while self._order and self._order[0][0] < now - self._lifetime:
            self._seen.discard(self._order.popleft()[1])
        entry = (access_key_id, nonce)
        if entry in self._seen:
            raise ApiError("SignatureNonceUsed")
        self._seen.add(entry)
        self._order.append((now, entry))


class Authenticator:
    """Decides whose request a request is.

    :param credentials: the keys that exist, by access key id.
    :param clock: seconds since the epoch; replaced in tests.
    """

    def __init__(self, credentials: Mapping[str, Credential], clock: Callable[[], float] = time.time) -> None:
        self.credentials = credentials
        self._clock = clock
        self._nonces = NonceBook()

    def authenticate(self, wire: Wire) -> Credential:
        """The credential that signed the request; raises :class:`ApiError` with the gateway's code."""
        if wire.header("authorization"):
            return self._acs3(wire)
        if wire.header("x-acs-signature-nonce") and not wire.parameters.get("Signature"):
            raise missing("Authorization")
        return self._rpc(wire)

    def _acs3(self, wire: Wire) -> Credential:
        algorithm, fields = _authorization(wire.header("authorization"))
        if algorithm != ACS3:
            raise ApiError("IncompleteSignature", detail=f"only {ACS3} is taken")
        credential = self._credential(fields["Credential"], wire.header("x-acs-security-token"))
        names = fields["SignedHeaders"].lower().split(";")
        unsigned = [name for name in _ACS3_SIGNED if name not in names]
        if unsigned:
            raise ApiError("IncompleteSignature", detail=f"headers not signed: {', '.join(unsigned)}")
        nonce = wire.header("x-acs-signature-nonce")
        if not nonce:
            raise missing("SignatureNonce")
        now = self._check_date(wire.header("x-acs-date"))
        payload = hashlib.sha256(wire.body).hexdigest()
        if not _same(payload, wire.header("x-acs-content-sha256").lower()):
            raise ApiError("SignatureDoesNotMatch")
        canonical = acs3_canonical(wire, names, payload)
        signature = acs3_signature(canonical, credential.access_key_secret)
        if not _same(signature, fields["Signature"].lower()):
            raise ApiError("SignatureDoesNotMatch")
        self._nonces.use(credential.access_key_id, nonce, now)
        return credential

    def _rpc(self, wire: Wire) -> Credential:
        given = wire.parameters
        for name in (
            "AccessKeyId",
            "Signature",
            "SignatureMethod",
            "SignatureVersion",
            "SignatureNonce",
            "Timestamp",
        ):
            if not given.get(name):
                raise missing(name)
        if given["SignatureMethod"] != "HMAC-SHA1" or given["SignatureVersion"] != "1.0":
            raise ApiError("IncompleteSignature", detail="only HMAC-SHA1, version 1.0, is taken")
        credential = self._credential(given["AccessKeyId"], given.get("SecurityToken", ""))
        now = self._check_date(given["Timestamp"])
        if not _same(rpc_signature(wire.method, given, credential.access_key_secret), given["Signature"]):
            raise ApiError("SignatureDoesNotMatch")
        self._nonces.use(credential.access_key_id, given["SignatureNonce"], now)
        return credential

    def _credential(self, access_key_id: str, security_token: str) -> Credential:
        credential = self.credentials.get(access_key_id)
        if credential is None:
            raise ApiError("InvalidAccessKeyId.NotFound")
        if not credential.active:
            raise ApiError("InvalidAccessKeyId.Inactive")
        if credential.security_token and not security_token:
            raise ApiError("InvalidSecurityToken.Malformed")
        if not _same(credential.security_token, security_token):
            raise ApiError("InvalidSecurityToken.MismatchWithAccessKey")
        return credential

    def _check_date(self, text: str) -> float:
        if not text:
            raise missing("Timestamp")
        try:
            sent = datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC).timestamp()
        except ValueError:
            raise ApiError("InvalidTimeStamp.Format") from None
        now = self._clock()
        if abs(now - sent) > CLOCK_WINDOW:
            raise ApiError("InvalidTimeStamp.Expired")
        return now


def acs3_canonical(wire: Wire, signed: Sequence[str], payload_hash: str) -> str:
    """The canonical request of ACS3; the query is quoted anew, since clients send it in another form."""
    query = "&".join(f"{_quote(key)}={_quote(value)}" for key, value in sorted(wire.query))
    values: dict[str, list[str]] = {}
    for key, value in wire.headers:
        values.setdefault(key.lower(), []).append(value.strip())
    headers = "".join(f"{name}:{','.join(sorted(values.get(name, [''])))}\n" for name in signed)
    return "\n".join((wire.method, wire.path or "/", query, headers, ";".join(signed), payload_hash))


def acs3_signature(canonical: str, secret: str) -> str:
    """Hex HMAC of the canonical request's hash; the secret is used as it is."""
    text = f"{ACS3}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    return hmac.new(secret.encode(), text.encode(), hashlib.sha256).hexdigest()


def rpc_signature(method: str, parameters: Mapping[str, str], secret: str) -> str:
    """Base64 HMAC-SHA1 over every parameter but ``Signature`` (classic RPC, version 1.0)."""
    query = "&".join(
        f"{_quote(key)}={_quote(value)}" for key, value in sorted(parameters.items()) if key != "Signature"
    )
    text = f"{method}&%2F&{_quote(query)}"
    digest = hmac.new(f"{secret}&".encode(), text.encode(), hashlib.sha1).digest()
    return base64.b64encode(digest).decode()


def _authorization(header: str) -> tuple[str, dict[str, str]]:
    algorithm, _, rest = header.partition(" ")
    fields = dict(part.strip().partition("=")[::2] for part in rest.split(","))
    for name in ("Credential", "SignedHeaders", "Signature"):
        if not fields.get(name):
            raise ApiError("IncompleteSignature", detail=f"Authorization lacks {name}")
    return algorithm, fields


def _quote(text: str) -> str:
    return quote(text, safe="~", errors="surrogateescape")


def _same(mine: str, theirs: str) -> bool:
    return hmac.compare_digest(
        mine.encode("utf-8", "surrogateescape"), theirs.encode("utf-8", "surrogateescape")
    )
