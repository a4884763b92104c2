"""Kubeconfig files read into one self-contained mapping whose secrets never touch the disk.

The official client wants certificates and keys as files. Left to itself it writes what a kubeconfig holds
inline into the temporary folder, where a killed run leaves private keys behind. Here inline data is put
into anonymous memory files instead, which vanish with the process.
"""

from __future__ import annotations

import base64
import binascii
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from vnode_suite.core.documents import load_yaml
from vnode_suite.core.errors import UsageError

#: Entries of a kubeconfig that hold a path, by the section they stand in (kubectl's `clientcmdapi` types).
_PATH_FIELDS = {
    "cluster": ("certificate-authority",),
    "user": ("client-certificate", "client-key", "tokenFile"),
}
_INLINE_FIELDS = {
    "cluster": ("certificate-authority",),
    "user": ("client-certificate", "client-key"),
}


@dataclass(slots=True)
class MemoryFiles:
    """Anonymous files that hold secrets for as long as this object is open."""

    _descriptors: list[int] = field(default_factory=list)

    def hold(self, content: bytes) -> str | None:
        """A path at which this process can read `content`; None where the system has no such files."""
        if not hasattr(os, "memfd_create"):
            return None
        descriptor = os.memfd_create("vnode-suite")
        os.write(descriptor, content)
        self._descriptors.append(descriptor)
        return f"/proc/self/fd/{descriptor}"

    def close(self) -> None:
        """Forget every file."""
        while self._descriptors:
            os.close(self._descriptors.pop())


def parse_kubeconfig(text: str, *, origin: str) -> dict[str, Any]:
    """The mapping that a kubeconfig's text holds.

    :param origin: where the text is from, for the error.
    :raises UsageError: it is no YAML mapping. The message never quotes the text, which may hold secrets.
    """
    try:
        document = load_yaml(text)
    except yaml.YAMLError as problem:
        mark = getattr(problem, "problem_mark", None)
        where = f"line {mark.line + 1}" if mark else "unknown line"
        raise UsageError(f"{origin} is not valid YAML", found=f"an error at {where}") from None
    if not isinstance(document, dict):
        raise UsageError(
            f"{origin} is not a kubeconfig",
            wanted="a mapping with clusters, users and contexts",
            found="nothing" if document is None else type(document).__name__,
        )
    return document


def read_kubeconfig_files(path: str | Path) -> dict[str, Any]:
    """The kubeconfig at `path`, or several joined by the system's path separator and merged as kubectl does.

    Relative paths inside are made absolute against the file that they stand in.
    """
    merged: dict[str, Any] = {"clusters": [], "users": [], "contexts": []}
    for part in str(path).split(os.pathsep):
        file = Path(part).expanduser()
        try:
            text = file.read_text(encoding="utf-8")
        except OSError as problem:
            raise UsageError(f"kubeconfig {file} cannot be read", found=problem.strerror) from None
        document = parse_kubeconfig(text, origin=f"kubeconfig {file}")
        _make_absolute(document, file.resolve().parent)
        for section in ("clusters", "users", "contexts"):
            taken = {entry.get("name") for entry in merged[section]}
            merged[section] += [e for e in document.get(section) or [] if e.get("name") not in taken]
        if document.get("current-context"):
            merged.setdefault("current-context", document["current-context"])
    return merged


def check_context(document: Mapping[str, Any], context: str | None) -> str:
    """The context to use.

    :raises UsageError: there is none of that name; the message names those there are.
    """
    names = [str(entry.get("name")) for entry in document.get("contexts") or []]
    wanted = context or document.get("current-context")
    if wanted not in names:
        raise UsageError(
            f"the kubeconfig has no context {wanted!r}" if wanted else "the kubeconfig names no context",
            wanted=f"one of: {', '.join(names)}" if names else "a kubeconfig with at least one context",
        )
    return str(wanted)


def hold_inline_data(document: dict[str, Any], files: MemoryFiles) -> None:
    """Replace each inline certificate and key in `document` by the path of a memory file."""
    for kind, entry in _entries(document):
        for name in _INLINE_FIELDS[kind]:
            encoded = entry.get(f"{name}-data")
            if not encoded:
                continue
            try:
                path = files.hold(base64.standard_b64decode(encoded))
            except (binascii.Error, ValueError):
                raise UsageError(f"{name}-data in the kubeconfig is not base64") from None
            if path is not None:
                del entry[f"{name}-data"]
                entry[name] = path


def _make_absolute(document: dict[str, Any], base: Path) -> None:
    for kind, entry in _entries(document):
        for name in _PATH_FIELDS[kind]:
            if entry.get(name):
                entry[name] = str(base / entry[name])
        command = (entry.get("exec") or {}).get("command")
        if command and os.sep in command:
            entry["exec"]["command"] = str(base / command)


def _entries(document: Mapping[str, Any]) -> Iterable[tuple[str, dict[str, Any]]]:
    for kind in ("cluster", "user"):
        for entry in document.get(f"{kind}s") or []:
            if isinstance(entry.get(kind), dict):
                yield kind, entry[kind]
