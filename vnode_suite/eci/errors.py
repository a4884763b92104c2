"""What can go wrong between the suite and the ECI API, told apart by what a person has to do about it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from vnode_suite.core.errors import CloudError, SuiteError


class EciError(SuiteError):
    """The service answered, and the answer was not 200.

    :param code: the API's error code; empty when there was no answer of the API.
    :param http_status: 0 when there was no answer.
    :ivar effect_unknown: whether the call may have taken effect all the same: this attempt of it, or an earlier one.
    """

    effect_unknown: bool = False

    def __init__(
        self,
        summary: str,
        *,
        action: str = "",
        code: str = "",
        http_status: int = 0,
        message: str = "",
        request_id: str = "",
        wanted: str | None = None,
        found: str | None = None,
        remedy: str | None = None,
    ) -> None:
        self.action = action
        self.code = code
        self.http_status = http_status
        self.message = message
        self.request_id = request_id
        super().__init__(summary, wanted=wanted, found=found, remedy=remedy)


class PermissionRefused(EciError):
    """RAM, or the account's standing, refuses the action; ``ram_action`` is what has to be granted."""

    def __init__(self, summary: str, *, ram_action: str = "", **rest: Any) -> None:
        self.ram_action = ram_action
        super().__init__(summary, **rest)


class CredentialRefused(EciError):
    """The access key, the security token, the signature or the clock is not accepted."""


class QuotaExceeded(EciError):
    """The account has as many VNodes (or instances) as it may."""


class OutOfStock(EciError):
    """The zone or region has no capacity to sell."""


class NoFreeAddress(EciError):
    """The vSwitch has no free address."""


class Arrears(EciError):
    """The account owes money, or has none."""


class Throttled(EciError):
    """Too many calls; ``retry_after`` is the wait the service asks for, in seconds, if it said so."""

    def __init__(self, summary: str, *, retry_after: float | None = None, **rest: Any) -> None:
        self.retry_after = retry_after
        super().__init__(summary, **rest)


class ParameterRefused(EciError):
    """A parameter is missing or wrong, or does not fit another one."""


class IdempotencyMismatch(ParameterRefused):
    """The ClientToken was used before with other parameters."""


class WrongState(EciError):
    """The VNode is in a state that does not allow the action (not Ready, or Pods are on it)."""


class NotFound(EciError):
    """What the call names does not exist."""


class ServiceFailed(EciError):
    """The service says that it failed itself (5xx)."""

    effect_unknown = True


class EciUnreachable(EciError, CloudError):
    """No answer of the API: no connection, a connection that broke, or something that is not the API's
    JSON.
    """

    effect_unknown = True


class EciTimeout(EciUnreachable):
    """No answer in time; whether the call took effect is not known."""


#: Exact codes, then prefixes, to the error that tells what to do. Source: the API metadata's error lists and
#: the gateway's error pages.
_EXACT: Final[Mapping[str, type[EciError]]] = {
    "NoPermission": PermissionRefused,
    "CreateServiceLinkedRole.Denied": PermissionRefused,
    "InvalidUser.PassRoleForbidden": PermissionRefused,
    "Account.Arrearage": Arrears,
    "InvalidPaymentMethod.InsufficientBalance": Arrears,
    "Payfor.CreditPayInsufficientBalance": Arrears,
    "InsufficientBalance": Arrears,
    "QuotaExceeded": QuotaExceeded,
    "DedicatedHostQuotaExceeded": QuotaExceeded,
    "DiskNumber.LimitExceed": QuotaExceeded,
    "OperationDenied.NoStock": OutOfStock,
    "Zone.NotOnSale": OutOfStock,
    "RecommendEmpty.InstanceTypeFamilyNotMatched": OutOfStock,
    "InvalidVSwitchId.IpNotEnough": NoFreeAddress,
    "EipAddressPoolIpNotEnough": NoFreeAddress,
    "IdempotentParameterMismatch": IdempotencyMismatch,
    "VirtualNode.DELETE.FAILED": WrongState,
    "SignatureDoesNotMatch": CredentialRefused,
    "IncompleteSignature": CredentialRefused,
    "SignatureNonceUsed": CredentialRefused,
    "InvalidCredentials": CredentialRefused,
    "InvalidApi.NotFound": EciUnreachable,
}
_PREFIXES: Final[tuple[tuple[str, type[EciError]], ...]] = (
    ("Throttling", Throttled),
    ("IncorrectStatus", WrongState),
    ("QuotaExceeded", QuotaExceeded),
    ("InvalidAccessKeyId", CredentialRefused),
    ("InvalidSecurityToken", CredentialRefused),
    ("InvalidTimeStamp", CredentialRefused),
    ("Forbidden", PermissionRefused),
    ("SecurityRisk", PermissionRefused),
    ("ServiceNotEnabled", PermissionRefused),
    ("Missing", ParameterRefused),
    ("OperationDenied.", ParameterRefused),
    ("InvalidOperation.", ParameterRefused),
    ("Invalid", ParameterRefused),
)
_REMEDIES: Final[Mapping[type[EciError], str]] = {
    PermissionRefused: "grant the RAM action to this identity (`vnode-suite ram-policy` prints the policy)",
    CredentialRefused: "check the access key, the security token and this machine's clock",
    QuotaExceeded: "delete VNodes that are not needed, or ask for a higher quota",
    OutOfStock: "choose another zone or region, or try again later",
    NoFreeAddress: "give another vSwitch, or one more, or free addresses in it",
    Arrears: "settle the account's bill",
    Throttled: "call less often; the suite has already waited and retried",
    ParameterRefused: "correct the parameter that the message names",
    IdempotencyMismatch: "use a new ClientToken for a request with other parameters",
    WrongState: "wait for the state that the message names; delete the VNode's Pods before the VNode",
    NotFound: "check the id and the region",
    ServiceFailed: "try again; the request id helps the service's support",
}


def classify(code: str, http_status: int) -> type[EciError]:
    """The error class of an answer."""
    if code in _EXACT:
        return _EXACT[code]
    if code.endswith(".NotFound") and not code.startswith("InvalidAccessKeyId"):
        return NotFound
    for prefix, kind in _PREFIXES:
        if code.startswith(prefix):
            return kind
    if http_status >= 500:
        return ServiceFailed
    return PermissionRefused if http_status == 403 else EciError


def from_answer(
    action: str,
    ram_action: str,
    code: str,
    http_status: int,
    message: str,
    request_id: str,
    retry_after: float | None = None,
    denied: Mapping[str, Any] | None = None,
) -> EciError:
    """The typed error of an error answer.

    :param ram_action: the RAM action that the call needs, used when the answer does not name one.
    :param denied: ``AccessDeniedDetail`` of the body.
    """
    # Any error with a wait is throttling, whatever its code: so the SDKs read it since 2026.
    kind = Throttled if retry_after else classify(code, http_status)
    rest: dict[str, Any] = {
        "action": action,
        "code": code,
        "http_status": http_status,
        "message": message,
        "request_id": request_id,
        "found": f"{code} (HTTP {http_status}): {message}",
        "remedy": _REMEDIES.get(kind),
    }
    summary = f"{action} was refused"
    if issubclass(kind, PermissionRefused):
        missing = str((denied or {}).get("AuthAction") or _missing_action(code) or ram_action)
        rest["wanted"] = f"the RAM action {missing}" if _is_ram(code) else None
        if not _is_ram(code):
            rest["remedy"] = (
                "the account itself is not allowed to; its owner has to settle that in the console"
            )
        return kind(summary, ram_action=missing if _is_ram(code) else "", **rest)
    if issubclass(kind, Throttled):
        return kind(f"{action} was throttled", retry_after=retry_after, **rest)
    return kind(summary, **rest)


def _missing_action(code: str) -> str:
    return {
        "CreateServiceLinkedRole.Denied": "ram:CreateServiceLinkedRole",
        "InvalidUser.PassRoleForbidden": "ram:PassRole",
    }.get(code, "")


def _is_ram(code: str) -> bool:
    return code in _EXACT or code in ("Forbidden.RAM", "Forbidden.SubUser", "Forbidden")
