"""What can go wrong between a VNode and an API server, told in the words of the Go programs that people know.

Each text is made from a failure that happened; none is invented.
"""

from __future__ import annotations

import errno
import os
import ssl
from dataclasses import dataclass

import aiohttp

from vnode_suite.simulated.vpc.dns import LookupFailed

#: The page's own spelling (revision 2024-02-27): the closing parenthesis is missing there too.
TIMED_OUT = "net/http: request canceled (Client.Timeout exceeded while awaiting headers"

_ERRNO_WORDS = {
    errno.ECONNREFUSED: ("refused", "connect: connection refused"),
    errno.EHOSTUNREACH: ("no-route", "connect: no route to host"),
    errno.ENETUNREACH: ("network-unreachable", "connect: network is unreachable"),
    errno.ETIMEDOUT: ("timeout", "connect: connection timed out"),
    errno.ECONNRESET: ("reset", "read: connection reset by peer"),
    errno.EPIPE: ("reset", "write: broken pipe"),
}


@dataclass(slots=True, eq=False)
class ApiFailure(Exception):
    """A request that did not succeed. ``str()`` gives what client-go's error would read."""

    #: ``timeout``, ``refused``, ``x509-expired``...; ``status`` when the server answered.
    kind: str
    words: str
    method: str = ""
    url: str = ""
    #: HTTP status, 0 when the server did not answer.
    code: int = 0
    #: ``reason`` of the server's Status object.
    reason: str = ""

    def __str__(self) -> str:
        if self.code or not self.url:
            return self.words
        # The service publishes the URL's quotes escaped, as its log has them.
        return f'{self.method.title()} \\"{self.url}\\": {self.words}'


def transport_words(error: BaseException, peer: str) -> tuple[str, str]:
    """``(kind, words)`` of a failure before any answer; ``peer`` is ``address:port`` as it was dialled.

    Certificates are judged elsewhere, since Go's words need what the server presented.
    """
    if isinstance(error, TimeoutError):
        return "timeout", TIMED_OUT
    if isinstance(error, aiohttp.ServerDisconnectedError):
        return "closed", "EOF"
    cause = error.os_error if isinstance(error, aiohttp.ClientConnectorError) else error
    if isinstance(cause, LookupFailed):
        if cause.timed_out:
            return "dns-timeout", f"dial tcp: lookup {cause.name} on {cause.server}: i/o timeout"
        return "dns-no-such-host", f"dial tcp: lookup {cause.name} on {cause.server}: no such host"
    if isinstance(cause, ssl.SSLError):
        return _tls_words(cause)
    if isinstance(cause, OSError) and cause.errno in _ERRNO_WORDS:
        kind, words = _ERRNO_WORDS[cause.errno]
        return kind, f"{'dial' if words.startswith('connect') else 'read'} tcp {peer}: {words}"
    if isinstance(cause, OSError) and cause.errno:
        return "other", f"dial tcp {peer}: connect: {os.strerror(cause.errno).lower()}"
    return "other", f"dial tcp {peer}: {cause}"


def _tls_words(error: ssl.SSLError) -> tuple[str, str]:
    if error.reason in {
        "WRONG_VERSION_NUMBER",
        "HTTP_REQUEST",
        "PACKET_LENGTH_TOO_LONG",
        "RECORD_LAYER_FAILURE",
    }:
        return "tls", "http: server gave HTTP response to HTTPS client"
    alert = str(error.reason or error).lower().replace("_", " ")
    return "tls", f"remote error: tls: {alert.split('alert ')[-1]}"


def unexpected_status(code: int, verb: str) -> tuple[str, str]:
    """``(reason, message)`` of an answer without a Status (apimachinery, NewGenericServerResponse)."""
    words = {
        401: ("Unauthorized", "the server has asked for the client to provide credentials"),
        403: ("Forbidden", "forbidden"),
        404: ("NotFound", "the server could not find the requested resource"),
        429: (
            "TooManyRequests",
            "the server has received too many requests and has asked us to try again later",
        ),
        500: ("InternalError", "an error on the server has prevented the request from succeeding"),
        503: ("ServiceUnavailable", "the server is currently unable to handle the request"),
        504: (
            "Timeout",
            "the server was unable to return a response in the time allotted, "
            f"but may still be processing the request ({verb})",
        ),
    }
    return words.get(
        code,
        ("Unknown", f"the server responded with the status code {code} but did not return more information"),
    )
