"""The KubeConfig parameter: Base64 of a kubeconfig, or Base64 of its percent-encoded form."""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections import OrderedDict
from urllib.parse import unquote

import yaml

from vnode_suite.simulated.eci_api.errors import invalid

#: Bytes of a decoded kubeconfig; a real one is 5-8 kB, the bound only keeps the parser's work finite.
LONGEST = 512 * 1024
#: Levels of nesting; a kubeconfig with extensions has about 6.
DEEPEST = 40
_KNOWN: OrderedDict[bytes, str] = OrderedDict()
_KNOWN_SIZE = 64


def decode(value: str) -> str:
    """The kubeconfig's text; ``InvalidParameter`` when it is none.

    The last ones decoded are remembered: one cluster's kubeconfig is sent with every VNode, and parsing YAML
    costs more than the rest of the call.
    """
    digest = hashlib.sha256(value.encode("utf-8", "surrogateescape")).digest()
    if digest in _KNOWN:
        _KNOWN.move_to_end(digest)
        return _KNOWN[digest]
    text = _decode(value)
    _KNOWN[digest] = text
    if len(_KNOWN) > _KNOWN_SIZE:
        _KNOWN.popitem(last=False)
    return text


def _decode(value: str) -> str:
    try:
        raw = base64.b64decode(value.replace("\n", "").replace("\r", ""), validate=True)
        text = raw.decode("utf-8")
    except (ValueError, binascii.Error):
        raise invalid("KubeConfig", "it is not Base64 of a text") from None
    if len(text) > LONGEST:
        raise invalid("KubeConfig", f"it is longer than {LONGEST} bytes")
    for candidate in (text, unquote(text)) if "%" in text else (text,):
        # The sample of the reference page keeps literal backslash-n for its line ends after unquoting.
        for form in (candidate, candidate.replace("\\n", "\n")):
            if _is_kubeconfig(form):
                return form
    raise invalid("KubeConfig", "it does not decode to a kubeconfig")


def _is_kubeconfig(text: str) -> bool:
    try:
        return {"clusters", "users"} <= _top_level_lists(text)
    except (yaml.YAMLError, ValueError, _TooDeep):
        return False


class _TooDeep(Exception):
    """Nested deeper than a kubeconfig ever is."""


def _top_level_lists(text: str) -> set[str]:
    """Keys of the top mapping whose value is a list.

    Read from the parser's events: composing the document recurses in C, where input such as 200,000 opening
    brackets ends the process instead of raising an error.
    """
    depth, key, is_key, found = 0, "", True, set()
    for event in yaml.parse(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
        if depth == 1 and isinstance(event, yaml.events.NodeEvent):
            if is_key:
                key = event.value if isinstance(event, yaml.events.ScalarEvent) else ""
            elif isinstance(event, yaml.events.SequenceStartEvent):
                found.add(key)
            is_key = not is_key
        if isinstance(event, yaml.events.CollectionStartEvent):
            if depth == 0 and not isinstance(event, yaml.events.MappingStartEvent):
                return set()
            depth += 1
            if depth > DEEPEST:
                raise _TooDeep
        elif isinstance(event, yaml.events.CollectionEndEvent):
            depth -= 1
    return found
