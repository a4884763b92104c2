"""YAML read and written at the speed of libyaml, where that is safe: a run reads a few hundred kubeconfigs."""

from __future__ import annotations

from typing import Any

import yaml

#: libyaml composes by recursion in C: 16,000 levels were seen to fit the stack of a thread, 30,000 to end the process.
#: So many characters hold no more levels than that.
_SAFE_CHARACTERS = 16_000
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_DUMPER = getattr(yaml, "CSafeDumper", yaml.SafeDumper)


def load_yaml(text: str) -> Any:
    """The one document of *text*, plain types only.

    :raises yaml.YAMLError: it is no YAML.
    """
    return yaml.load(text, Loader=_LOADER if len(text) <= _SAFE_CHARACTERS else yaml.SafeLoader)  # noqa: S506 - both safe


def dump_yaml(document: Any) -> str:
    """*document* as YAML text, its keys in their order.

    :raises yaml.YAMLError: it holds other than plain types.
    """
    return str(yaml.dump(document, Dumper=_DUMPER, sort_keys=False))
