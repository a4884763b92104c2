"""Reading the flat parameters of an RPC call: ``Tag.1.Key``, ``True``, JSON lists in a string."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Final

from vnode_suite.simulated.eci_api.errors import invalid, missing

#: Parameters of the protocol, not of the action; they never count as a difference between two calls.
COMMON: Final = frozenset(
    {
        "Action", "Version", "Format", "Timestamp", "SignatureNonce", "SignatureMethod", "SignatureVersion",
        "SignatureType", "Signature", "AccessKeyId", "SecurityToken",
    }
)  # fmt: skip
#: Who the caller's account is, in a way of before RAM: every action has them, none looks at them.
LEGACY: Final = frozenset({"OwnerAccount", "OwnerId", "ResourceOwnerAccount", "ResourceOwnerId"})
_INDEXED = re.compile(r"(?P<name>[A-Za-z]+)\.(?P<index>[0-9]{1,4})(?:\.(?P<field>[A-Za-z]+))?")


class Parameters:
    """The parameters of one call, read with the rules of the action's metadata."""

    def __init__(self, values: Mapping[str, str]) -> None:
        self.values = {key: value for key, value in values.items() if key not in COMMON}
        self._read: set[str] = set()

    @property
    def ignored(self) -> list[str]:
        """What was sent and nobody looked at: a filter among them did not filter."""
        return sorted(self.values.keys() - self._read - LEGACY)

    def all_known(self) -> None:
        """Each was looked at before: the call repeats another one."""
        self._read.update(self.values)

    def raw(self, name: str) -> str:
        """A value as it came; empty if not sent."""
        self._read.add(name)
        return self.values.get(name, "")

    def required(self, name: str) -> str:
        """A value that must be there and not be empty."""
        value = self.raw(name)
        if not value:
            raise missing(name)
        return value

    def text(self, name: str, default: str = "", *, longest: int = 1024) -> str:
        """A free text; an empty one counts as not sent."""
        value = self.raw(name) or default
        if len(value) > longest:
            raise invalid(name, f"longer than {longest} characters")
        if any(ord(char) < 0x20 and char not in "\n\r\t" for char in value):
            raise invalid(name, "it holds control characters")
        return value

    def boolean(self, name: str, default: bool = False) -> bool:
        """``true`` or ``false`` in any case (the Python SDK sends ``True``)."""
        value = self.raw(name)
        if not value:
            return default
        if value.lower() not in ("true", "false"):
            raise invalid(name, "it is neither true nor false")
        return value.lower() == "true"

    def integer(self, name: str, default: int, *, least: int, most: int) -> int:
        """A whole number within bounds."""
        value = self.raw(name)
        if not value:
            return default
        if not re.fullmatch(r"[+-]?[0-9]{1,18}", value, re.ASCII) or not least <= int(value) <= most:
            raise invalid(name, f"it is not a whole number from {least} to {most}")
        return int(value)

    def comma_list(self, name: str) -> list[str]:
        """Items of a comma-separated string; empty if not sent."""
        value = self.text(name, longest=4096)
        return [item.strip() for item in value.split(",")] if value else []

    def json_list(self, name: str, *, most: int) -> list[str] | None:
        """A JSON array of strings in a string; ``None`` if not sent."""
        value = self.raw(name)
        if not value:
            return None
        try:
            items = json.loads(value)
        except (ValueError, RecursionError):
            items = None
        if not isinstance(items, list) or not all(isinstance(item, str) for item in items):
            raise invalid(name, "it is not a JSON array of strings")
        if len(items) > most:
            raise invalid(name, f"it holds more than {most} items")
        return items

    def table(self, name: str, fields: tuple[str, ...], *, most: int) -> list[dict[str, str]]:
        """Rows of a repeated structure, in order of their index: ``Tag.N.Key`` and so on."""
        rows: dict[int, dict[str, str]] = {}
        for key, value in self.values.items():
            match = _INDEXED.fullmatch(key)
            if match is None or match["name"] != name:
                continue
            self._read.add(key)
            if match["field"] not in fields:
                raise invalid(key, f"the fields of {name} are {', '.join(fields)}")
            index = int(match["index"])
            if not 1 <= index <= most:
                raise invalid(key, f"the index goes from 1 to {most}")
            rows.setdefault(index, {})[str(match["field"])] = value
        return [rows[index] for index in sorted(rows)]

    def tags(self) -> dict[str, str]:
        """``Tag.N.Key`` and ``Tag.N.Value``; at most 20, the documented number."""
        tags: dict[str, str] = {}
        for row in self.table("Tag", ("Key", "Value"), most=20):
            key, value = row.get("Key", ""), row.get("Value", "")
            if not key:
                raise missing("Tag.N.Key")
            if len(key) > 128 or len(value) > 128:
                raise invalid("Tag", "a key or value is longer than 128 characters")
            if key.startswith(("aliyun", "acs:")) or "://" in key:
                raise invalid("Tag", "a key may not start with aliyun or acs:, nor hold a URL")
            if key in tags:
                raise invalid("Tag", f"the key {key} is given twice")
            tags[key] = value
        return tags
