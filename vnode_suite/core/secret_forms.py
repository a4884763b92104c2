"""The forms in which a secret can turn up: its encodings, and the shapes by which an unknown one is known."""

from __future__ import annotations

import base64
import html
import json
import re
import string
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from urllib.parse import quote, quote_plus

#: A form shorter than this many characters would be found in ordinary words, so it is not looked for.
SHORTEST_FORM = 6

_PEM_BODY_LINE = re.compile(r"[A-Za-z0-9+/]{16,}={0,2}")
#: What a path of small letters, digits and slashes has none of, and Base64 is full of.
_NEVER_IN_PATHS = frozenset(string.ascii_uppercase + "+=")

#: Of a longer value only the forms that keep its characters in sequence are kept in memory; its Base64 is
#: found by decoding (`vnode_suite.core.secrets`).
_LONG = 128


def literal_forms(value: str) -> frozenset[str]:
    """Every literal text that gives *value* away: plain, escaped, URL, hex, Base64 at each alignment, PEM
    lines.

    A text of several lines (a key, a kubeconfig) is known by its PEM body lines and long values, so that it
    is found whatever separates the lines; its plain lines (`apiVersion: v1`) are ordinary words and are not
    forms.
    """
    lines = value.splitlines()
    parts = [value] if len(lines) < 2 else _telling_parts(lines)
    return frozenset(form for part in parts for form in _forms(part) if len(form) >= SHORTEST_FORM)


def _telling_parts(lines: Iterable[str]) -> list[str]:
    found: list[str] = []
    for line in lines:
        if not line.startswith("-----") and not _is_public(line):
            found += [part for part in _PEM_BODY_LINE.findall(line) if not (part.isalpha() or _is_path(part))]
    return found


def _is_path(part: str) -> bool:
    """A kubeconfig may name files, programs and servers, of which errors must be able to speak.

    A line of a key, 64 characters, looks so once in 10^15, and the others would be found.
    """
    return "/" in part and _NEVER_IN_PATHS.isdisjoint(part)


def _is_public(line: str) -> bool:
    """A certificate in a kubeconfig is meant to be seen; hiding it would hide evidence."""
    return "certificate-authority-data" in line or "client-certificate-data" in line


def _forms(value: str) -> Iterator[str]:
    yield value
    yield from _escaped(value)
    yield from _url_forms(value)
    if len(value) <= _LONG:
        raw = value.encode()
        yield raw.hex()
        yield raw.hex().upper()
        yield from _base64_forms(raw)


def _escaped(value: str) -> Iterator[str]:
    as_json = json.dumps(value)[1:-1]
    yield as_json
    yield json.dumps(value, ensure_ascii=False)[1:-1]
    yield json.dumps(as_json)[1:-1]
    yield repr(value)[1:-1]
    yield html.escape(value)
    yield html.escape(as_json)


def _url_forms(value: str) -> Iterator[str]:
    for text in (quote(value, safe=""), quote(value), quote_plus(value)):
        yield text
        yield re.sub(r"%[0-9A-F]{2}", lambda found: found[0].lower(), text)


def _base64_forms(raw: bytes) -> Iterator[str]:
    """What stays the same of *raw* in Base64 when 0, 1 or 2 (mod 3) unknown bytes stand before it."""
    for before in range(3):
        encoded = base64.b64encode(b"\0" * before + raw).decode().rstrip("=")
        # The first characters mix in the bytes before, the last one those after.
        start = (0, 2, 3)[before]
        end = len(encoded) - (1 if (before + len(raw)) % 3 else 0)
        core = encoded[start:end]
        yield core
        yield core.replace("+", "-").replace("/", "_")
        yield core.replace("+", "%2B").replace("/", "%2F")
        yield core.replace("+", "%2b").replace("/", "%2f")


@dataclass(frozen=True, slots=True)
class Shape:
    """A kind of secret that is known by how it looks, whether or not it was registered."""

    kind: str
    #: What is secret is group ``secret`` where there is one, else the whole match. Linear by construction:
    #: every repetition is possessive or bounded.
    pattern: re.Pattern[str]
    #: One of these occurs in every text that matches (in lower case, where case does not matter): looked for first,
    #: because it is much faster.
    marks: tuple[str, ...]
    #: Whether *pattern* is of lower-case letters that stand for capitals, too. `re.IGNORECASE` takes five times as
    #: long, and most of the time that a report's scan takes.
    ignore_case: bool = False

    def find(self, text: str, lowered: str) -> Iterator[re.Match[str]]:
        """Its finds in *text*, given the same text in lower case; offsets are those in *text*."""
        if not self.ignore_case:
            return self.pattern.finditer(text)
        if len(lowered) == len(text):
            return self.pattern.finditer(lowered)
        # Few letters become two in lower case (U+0130); the offsets would be others.
        return re.compile(self.pattern.pattern, re.IGNORECASE).finditer(text)


#: How the name of a field ends that says that its value is a credential. The value must be long enough not to be
#: prose. Few letters to begin with, and looking back from there, take a third of the time that whole names take.
_FIELD = (
    "(?:client-key-data|token|passw(?:or)?d|passphrase|secret[-_]?access[-_]?key|secret(?:"
    + "|".join(
        f"(?<={owner}{joint}secret)"
        for owner in ("client", "token", "access[-_]key", "accesskey")
        for joint in ("", "[-_]")
    )
    + "))"
)
_QUOTE = r"(?:\\*[\"']|&quot;|&#34;|&#39;)?"
_SEPARATOR = _QUOTE + r"[ \t]{0,8}(?:[:=]|%3[Dd]|%3[Aa])[ \t]{0,8}" + _QUOTE

SHAPES: tuple[Shape, ...] = (
    Shape(
        "private-key",
        re.compile(
            r"-----BEGIN (?:[A-Z0-9]{1,12} ){0,3}PRIVATE KEY-----[A-Za-z0-9+/=\s\\]*+"
            r"(?:-----END (?:[A-Z0-9]{1,12} ){0,3}PRIVATE KEY-----)?"
        ),
        ("PRIVATE KEY",),
    ),
    Shape(
        "jwt",
        re.compile(
            r"eyJ(?:(?<![\w-]eyJ)|(?<=\\[nrt]eyJ))[\w-]{8,}+\.eyJ[\w-]{8,}+(?:\.[\w-]{8,}+)?", re.ASCII
        ),
        ("eyJ",),
    ),
    Shape(
        "bootstrap-token",
        re.compile(
            r"\.(?:(?<=(?<![A-Za-z0-9._-])[a-z0-9]{6}\.)|(?<=\\[nrt][a-z0-9]{6}\.))(?=[a-z]{0,15}[0-9])(?=[0-9]{0,15}[a-z])"
            r"(?P<secret>[a-z0-9]{16}(?![A-Za-z0-9._-]))"
        ),
        (".",),
    ),
    Shape("access-key-id", re.compile(r"LTAI[A-Za-z0-9]{8,32}+"), ("LTAI",)),
    Shape("access-key-id", re.compile(r"STS\.[A-Za-z0-9]{16,64}+"), ("STS.",)),
    Shape(
        "bearer",
        re.compile(r"[Bb]earer (?=[A-Za-z._~+/-]{0,64}[0-9])(?P<secret>[A-Za-z0-9._~+/-]{12,}+=*+)"),
        ("earer ",),
    ),
    Shape(
        "url-password", re.compile(r"://[^\s/:@\"'<>]{0,256}+:(?P<secret>[^\s/:@\"'<>\[]{3,256}+)@"), ("://",)
    ),
    Shape(
        "credential-field",
        re.compile(rf"{_FIELD}{_SEPARATOR}(?P<secret>[A-Za-z0-9+/=._~%-]{{16,}}+)"),
        ("token", "secret", "passw", "passphrase", "client-key-data"),
        ignore_case=True,
    ),
    Shape(
        "password-field",
        re.compile(
            r"passw(?:or)?d\\*[\"']?[ \t]{0,8}[:=][ \t]{0,8}\\*[\"']?(?P<secret>[^\s\"'\\,;&<>\[]{4,256}+)"
        ),
        ("passw",),
        ignore_case=True,
    ),
)
