"""Texts with ``<fields>``, matched whole and in linear time.

A template is literal text with fields. It must account for all of an event's text, from its first character
to its last: what merely contains the words of a cause is another component's text, or nothing that we know,
and says nothing. Each field takes as much as it can and gives nothing back (possessive quantifiers and atomic
groups only), so there is no backtracking and a match costs one pass over the text, whatever the text.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from vnode_suite.data.causes import Cause, load_causes

#: A longer text is no event of one VNode; it is not looked at.
LONGEST = 4096

_ADDRESS = r"(?>\[[0-9A-Fa-f:.%a-z]{2,60}+\]|[A-Za-z0-9.*_-]{1,253}+)(?::[0-9*X]{1,5}+)?+"
# The service's own words before what went wrong; client-go and Go's errors follow them.
_FAILED = r'(?>failed to (?>[A-Za-z0-9 ./_()"@-]{1,200}+)(?>: |, )){1,3}+(?>cannot [a-z ]{1,80}+: )?+'
# client-go's words where a lock is taken before anything else: any component that elects a leader has them, so what
# follows must be a VNode's.
_LOCK = r"error (?>initially creating leader election record|retrieving resource lock [a-z0-9./-]{1,300}+): "
_LEAD = f"(?>{_FAILED}|{_LOCK})?+"
# Paths of a Kubernetes API server: a request to a registry, a webhook or a metrics end is somebody else's.
_PATH = r'/(?>version|apis|api|healthz|livez|readyz|openapi)(?>[/?](?>[^\s":]|:(?! )){0,1000}+)?+'
_REQUEST = rf'{_LEAD}(?>Get|Post|Put|Patch|Delete|Head) "?+https://(?P<server>{_ADDRESS}){_PATH}"?+: '
_VNODE_USER = (
    r'"(?>system:vnode[A-Za-z0-9:._-]{0,200}+|system:bootstrap:[a-z0-9]{6}|'
    r'system:serviceaccount:kube-system:[a-z0-9.-]{1,253}+|system:anonymous)"'
)

#: What a template may begin with; matched once for all templates.
_HEADS: Mapping[str, re.Pattern[str]] = {
    "lead": re.compile(_LEAD),
    "failed": re.compile(_FAILED),
    "lock": re.compile(_LOCK),
    "request": re.compile(_REQUEST),
}
#: Field to what it stands for; the ones in `_CAPTURED` are kept.
_FIELDS: Mapping[str, str] = {
    "quote": '"?+',
    "paren": r"\)?+",
    "server": _ADDRESS,
    "address": _ADDRESS,
    "flow": f"{_ADDRESS}->{_ADDRESS}",
    "host": r"(?>[A-Za-z0-9.*_%-]|:(?! )){1,253}+",
    "names": r"(?>(?!not )[^\s,]{1,253}+(?>, (?!not )[^\s,]{1,253}+){0,200}+)",
    "number": "[0-9]{1,9}+",
    "time": r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]{5,20}+(?>Z|[+-][0-9:]{4,6}+)",
    "verify": "(?>tls: failed to verify certificate: )?+",
    "because": r"(?>(?> \(|: ).{1,2000}+)?+",
    "attempt": r"(?> \([a-z]{1,10}+ [A-Za-z0-9 .:/_-]{1,300}+\))?+",
    "paren-text": r"\([^()]{0,500}+\)",
    "word": r'(?>"[^"]{0,253}+"|[^\s":,]{1,253}+)',
    "entry": "(?>context|cluster|auth info|user)",
    "path": r"(?>[^\s:]|:(?! )){1,300}+",
    "rest": ".{0,2000}+",
    "object": r'[a-z0-9.-]{1,120}+(?> "[^"]{1,253}+")?+',
    "anyone": '"[^"]{1,253}+"',
    "vnode-user": _VNODE_USER,
    "verb": "[a-z*]{1,30}+",
    "resource": '"[^"]{1,253}+"',
    "group": '"[^"]{0,253}+"',
    "scope": '(?>at the cluster scope|in the namespace "[^"]{1,253}+")',
}
_CAPTURED = frozenset(
    {"server", "address", "host", "time", "anyone", "vnode-user", "verb", "resource", "group", "scope"}
)
_FIELD = re.compile(r"<([a-z-]+)>")
# A code stands alone or before its message, as the SDK's errors and the service's events have it.
_CODE = re.compile(
    r"(?>Error: )?+(?P<code>[A-Z][A-Za-z]{2,60}+(?>\.[A-Za-z]{1,60}+){0,4}+)"
    r"(?>(?>: |, | code: ).{0,2000}+)?+"
)


@dataclass(frozen=True, slots=True)
class Match:
    """A cause that a text tells of."""

    cause: Cause
    documented: bool
    #: What the fields held, such as ``server`` and ``address``; the second of a kind is ``address_2``.
    fields: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Template:
    """A compiled template: the head that it begins with (empty: none) and the pattern of all the rest."""

    head: str
    tail: re.Pattern[str]


@dataclass(frozen=True, slots=True)
class _Rule:
    cause: Cause
    documented: bool
    template: Template


def compile_template(template: str) -> Template:
    """Compile a template.

    :raises ValueError: it has a field that is not known.
    """
    head = _FIELD.match(template)
    if head and head[1] in _HEADS:
        return Template(head[1], _tail(template[head.end() :]))
    return Template("", _tail(template))


def _tail(template: str) -> re.Pattern[str]:
    parts: list[str] = []
    seen: dict[str, int] = {}
    for number, piece in enumerate(_FIELD.split(template)):
        if number % 2 == 0:
            parts.append(re.escape(piece))
            continue
        if piece not in _FIELDS:
            raise ValueError(f"template {template!r} has the unknown field <{piece}>")
        if piece in _CAPTURED:
            seen[piece] = seen.get(piece, 0) + 1
            name = piece.replace("-", "_") + (f"_{seen[piece]}" if seen[piece] > 1 else "")
            parts.append(f"(?P<{name}>{_FIELDS[piece]})")
        else:
            parts.append(_FIELDS[piece])
    return re.compile("".join(parts))


def normalised(text: str) -> str:
    """*text* with its quotes and spaces as Go wrote them.

    The page shows its texts as a log has them, with escaped quotes; a terminal may have wrapped them, and an
    editor may have bent the quotes.
    """
    for escaped, plain in (('\\\\\\"', '"'), ('\\"', '"'), ("“", '"'), ("”", '"')):
        text = text.replace(escaped, plain)
    text = " ".join(text.split())
    if len(text) > 1 and text[0] == text[-1] == '"':
        text = text[1:-1]
    return text


def match(text: str, reason: str = "") -> Match | None:
    """The cause that an event of this *text* and *reason* tells of; None if it tells of none that we know."""
    if len(text) > LONGEST:
        return None
    plain = normalised(text)
    heads = {name: pattern.match(plain) for name, pattern in _HEADS.items()}
    for rule in _compiled():
        head = heads.get(rule.template.head)
        if rule.template.head and head is None:
            continue
        found = rule.template.tail.fullmatch(plain, head.end() if head else 0)
        if found:
            return Match(rule.cause, rule.documented, _fields(head) | _fields(found))
    code = _CODE.fullmatch(plain)
    for name in (reason, code["code"] if code else ""):
        if name in _codes():
            return Match(_codes()[name], False, {"code": name})
    return None


def _fields(found: re.Match[str] | None) -> dict[str, str]:
    if found is None:
        return {}
    return {name: value.strip('"') for name, value in found.groupdict().items() if value is not None}


@functools.cache
def _compiled() -> tuple[_Rule, ...]:
    return tuple(sorted(_every_rule(), key=lambda rule: not rule.documented))


def _every_rule() -> Iterator[_Rule]:
    for cause in load_causes():
        for rule in cause.rules:
            for template in rule.texts:
                yield _Rule(cause, rule.documented, compile_template(template))


@functools.cache
def _codes() -> Mapping[str, Cause]:
    return {code: cause for cause in load_causes() for rule in cause.rules for code in rule.codes}
