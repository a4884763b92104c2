"""What a Kubernetes API server is asked and answers, and the two ways in which it does not answer well."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from vnode_suite.core.errors import ClusterError, SuiteError

Json = dict[str, Any]
Items = list[Json]

PatchType = Literal["merge", "strategic", "json"]

#: Content type of each kind of patch.
PATCH_CONTENT_TYPES: Mapping[PatchType, str] = {
    "merge": "application/merge-patch+json",
    "strategic": "application/strategic-merge-patch+json",
    "json": "application/json-patch+json",
}


class KubeError(SuiteError):
    """The API server answered, and the answer was no.

    :ivar status: the HTTP status.
    :ivar reason: the server's reason, such as `Forbidden`, `NotFound`, `AlreadyExists`.
    :ivar message: the server's own words.
    :ivar body: the whole `Status` object, or an empty mapping where the answer was none.
    """

    def __init__(
        self, status: int, reason: str, message: str, body: Json | None = None, *, request: str = ""
    ) -> None:
        self.status, self.reason, self.message = status, reason, message
        self.body, self.request = body or {}, request
        super().__init__(f"{request or 'the API server'} answered {status} {reason}", found=message or None)


class KubeUnreachable(ClusterError):
    """No HTTP answer came from the API server: it could not be reached, or TLS failed.

    :ivar detail: the transport's own words.
    """

    def __init__(self, server: str, detail: str) -> None:
        self.detail = detail
        super().__init__(f"the API server {server} cannot be reached", found=detail)


class WatchExpired(KubeError):
    """The resource version is too old to be watched from (410 Gone): list again."""


@dataclass(frozen=True, slots=True)
class RawResponse:
    """An HTTP answer as it came."""

    status: int
    text: str
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class AccessRequest:
    """One question "may they?" for an access review (`authorization.k8s.io/v1`).

    Give `path` alone for a non-resource address such as `/version`.
    """

    verb: str
    resource: str = ""
    group: str = ""
    subresource: str = ""
    name: str = ""
    namespace: str = ""
    path: str = ""

    def attributes(self) -> Json:
        """The part of a review's `spec` that says what is asked."""
        if self.path:
            return {"nonResourceAttributes": {"path": self.path, "verb": self.verb}}
        named = {
            "verb": self.verb,
            "group": self.group,
            "resource": self.resource,
            "subresource": self.subresource,
            "name": self.name,
            "namespace": self.namespace,
        }
        return {"resourceAttributes": {key: value for key, value in named.items() if value}}

    def __str__(self) -> str:
        if self.path:
            return f"{self.verb} {self.path}"
        resource = f"{self.resource}/{self.subresource}" if self.subresource else self.resource
        qualified = f"{resource}.{self.group}" if self.group else resource
        where = f" in {self.namespace}" if self.namespace else ""
        return f"{self.verb} {qualified}{' ' + self.name if self.name else ''}{where}"


@dataclass(frozen=True, slots=True)
class AccessDecision:
    """The API server's answer to an `AccessRequest`."""

    request: AccessRequest
    allowed: bool
    reason: str = ""


Decisions = list[AccessDecision]


@dataclass(frozen=True, slots=True)
class WatchEvent:
    """One change: `type` is ADDED, MODIFIED, DELETED or BOOKMARK."""

    type: str
    object: Json


def decoded(answer: RawResponse, request: str) -> Json:
    """The object in an answer.

    :raises KubeError: the answer is an error.
    """
    try:
        body = json.loads(answer.text) if answer.text else {}
    except ValueError:
        body = {}
    if not isinstance(body, dict):
        body = {}
    if answer.status >= 400:
        if not body:
            body = {"code": answer.status, "message": answer.text.strip()[:500]}
        raise error_of({"code": answer.status, **body}, request)
    return body


def error_of(status: Json, request: str) -> KubeError:
    """The error that a `Status` object says."""
    code = int(status.get("code") or 0)
    kind = WatchExpired if code == 410 else KubeError
    reason, message = str(status.get("reason") or ""), str(status.get("message") or "")
    return kind(code, reason, message, status, request=request)
