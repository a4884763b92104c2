"""The ledger: everything that happens in a run, one JSON object a line, redacted as it enters.

Every event has ``seq`` (counted per shard from 1), ``at`` (RFC 3339, UTC, milliseconds, never going back
within a shard), ``shard`` and ``type``; the schema that ships with the package (``events.v1.schema.json``)
says what else. A line is written with one system call, so that a run killed at any moment leaves a readable
ledger whose last line at most is torn.
"""

from __future__ import annotations

import functools
import heapq
import json
import os
import re
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import fields, is_dataclass
from datetime import UTC, datetime
from enum import Enum
from pathlib import Path
from types import TracebackType
from typing import Any, Final

from vnode_suite.core.secrets import REGISTRY, Registry, Secret
from vnode_suite.model import Text

#: One line of the ledger, as read back.
Event = dict[str, Any]
Subscriber = Callable[[Event], None]

#: The types of event, and the fields without which one says nothing. What else each holds: the schema.
EVENT_TYPES: Final[Mapping[str, tuple[str, ...]]] = {
    "run-started": ("run_id",),
    "collected": ("clauses",),
    "cell-started": ("cell", "version", "identity", "provider"),
    "cell-finished": ("cell",),
    "cluster-ready": ("version",),
    "memory": ("processes",),
    "step": ("cell", "step", "state"),
    "waiting": ("cell", "for"),
    "result": ("cell", "clause", "status"),
    "control": ("cell", "clause", "defect", "caught"),
    "created": ("kind", "name", "where"),
    "deleted": ("kind", "name", "where"),
    "left": ("kind", "name", "where"),
    "timeline": ("cell", "lane", "text"),
    "vnode-event": ("cell",),
    "diagnosis": ("cell",),
    "interrupted": (),
    "harness-error": ("message",),
    "note": ("text",),
    "run-finished": ("exit_status",),
}

_TELLING_NAME = re.compile("token|secret|passw|passphrase|key", re.IGNORECASE)

#: What a reader gives in place of a line that is no event: the writer was killed within it and went on later.
TORN: Final = "torn"


class Ledger:
    """Appends events to one file. Safe to use from several threads; each process writes a shard of its own.

    :param path: the file; its folder is made.
    :param registry: knows the secrets; nothing that it finds gets into the file or to a subscriber.
    :param shard: the writer's name, ``main`` or that of an xdist worker.
    :param clock: tells the time, for tests.
    """

    def __init__(
        self,
        path: Path,
        registry: Registry = REGISTRY,
        shard: str = "main",
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.path = path
        self.shard = shard
        self._registry = registry
        self._clock = clock
        self._lock = threading.RLock()
        self._subscribers: list[Subscriber] = []
        path.parent.mkdir(parents=True, exist_ok=True)
        self._sequence, self._last_at = _where_it_ended(path, shard)
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
        self._closed = False
        if _ends_torn(path):
            os.write(self._file, b"\n")

    def write(self, type_: str, /, **content: object) -> Event:
        """Append one event and tell the subscribers.

        :param type_: one of `EVENT_TYPES`.
        :param content: the event's fields; texts, enumerations, times, paths and data classes are turned into
            JSON, secrets into marks.
        :returns: the event as it was written.
        :raises ValueError: unknown type, or a field that the type needs is missing: a bug of the caller.
        """
        # A caller cannot write `for=`, so `for_=` means it.
        content = {name.rstrip("_"): value for name, value in content.items()}
        _check(type_, content)
        counts: Counter[str] = Counter()
        plain = {name: self._plain_field(name, value, counts) for name, value in content.items()}
        with self._lock:
            if self._closed:
                raise ValueError(f"the ledger {self.path.name} is closed")
            self._sequence += 1
            self._last_at = max(self._last_at, timestamp(self._clock()))
            event: Event = {
                "seq": self._sequence,
                "at": self._last_at,
                "shard": self.shard,
                "type": type_,
                **plain,
            }
            if type_ == "timeline" and "at" in plain:
                # The time at which it happened, by `clock`; the event's own `at` is when it was written.
                event["at"], event["happened_at"] = self._last_at, plain["at"]
            if counts:
                event["redacted"] = dict(counts)
            os.write(self._file, _line(event))
            self._tell(event)
        return event

    def subscribe(self, subscriber: Subscriber) -> Callable[[], None]:
        """Call *subscriber* with every event from now on, on the writer's thread; the result undoes it."""
        with self._lock:
            self._subscribers.append(subscriber)

        def unsubscribe() -> None:
            with self._lock:
                if subscriber in self._subscribers:
                    self._subscribers.remove(subscriber)

        return unsubscribe

    def relay(self, event: Event) -> None:
        """Tell the subscribers of an event that another shard wrote; nothing is written."""
        with self._lock:
            self._tell(event)

    def _tell(self, event: Event) -> None:
        for subscriber in list(self._subscribers):
            subscriber(event)

    def close(self) -> None:
        """End the file on the disk; idempotent."""
        with self._lock:
            if not self._closed:
                self._closed = True
                os.fsync(self._file)
                os.close(self._file)

    def __enter__(self) -> Ledger:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _plain(self, value: object, counts: Counter[str]) -> Any:
        """*value* as JSON has it, without secrets."""
        if value is None or isinstance(value, bool | int | float):
            return value if not isinstance(value, Enum) else value.value
        if isinstance(value, str):
            text, found = self._registry.redact(str(value))
            if found:
                counts.update(found)
            return text
        if isinstance(value, Secret):
            counts[value.kind] += 1
            return str(value)
        if isinstance(value, Mapping):
            return {
                str(self._plain(str(key), counts)): self._plain_field(str(key), item, counts)
                for key, item in value.items()
            }
        if isinstance(value, list | tuple | set | frozenset):
            return [self._plain(item, counts) for item in value]
        return self._plain(_simpler(value), counts)

    def _plain_field(self, key: str, value: object, counts: Counter[str]) -> Any:
        """The value of a field, whose name may be what says that it is a secret."""
        plain = self._plain(value, counts)
        if isinstance(plain, str) and _is_telling(key):
            head = f"{key}: "
            whole, found = self._registry.redact(head + plain)
            if found and whole.startswith(head):
                counts.update(found)
                return whole.removeprefix(head)
        return plain


@functools.lru_cache(1024)
def _is_telling(name: str) -> bool:
    return _TELLING_NAME.search(name) is not None


def _simpler(value: object) -> object:
    if isinstance(value, Text):
        return value.as_dict()
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, datetime):
        return timestamp(value)
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in fields(value)}
    return str(value)


def _check(type_: str, content: Mapping[str, object]) -> None:
    if type_ not in EVENT_TYPES:
        raise ValueError(f"unknown type of event {type_!r}; known: {', '.join(EVENT_TYPES)}")
    if missing := [name for name in EVENT_TYPES[type_] if name not in content]:
        raise ValueError(f"an event {type_!r} needs {', '.join(missing)}")


def timestamp(moment: datetime) -> str:
    """RFC 3339 in UTC with milliseconds, as in ``2026-01-31T12:00:00.000Z``: sorts as text."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _line(event: Event) -> bytes:
    return json.dumps(event, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace") + b"\n"


def _where_it_ended(path: Path, shard: str) -> tuple[int, str]:
    if not path.exists():
        return 0, ""
    sequence, last_at = 0, ""
    for event in read(path):
        if event.get("shard") == shard:
            sequence = max(sequence, int(event.get("seq", 0)))
        last_at = max(last_at, str(event.get("at", "")))
    return sequence, last_at


def _ends_torn(path: Path) -> bool:
    with path.open("rb") as stream:
        if stream.seek(0, os.SEEK_END) == 0:
            return False
        stream.seek(-1, os.SEEK_END)
        return stream.read(1) != b"\n"


def read(path: Path) -> Iterator[Event]:
    """The events of one file, in the order written, a line in memory at a time.

    A last line that was cut short is left out; such a line elsewhere is given as an event of type ``torn``.
    Unknown types and fields are given as they are.
    """
    with path.open("rb") as stream:
        for number, line in enumerate(stream, 1):
            event = _parsed(line)
            if event is not None:
                yield event
            elif line.endswith(b"\n") and line.strip():
                yield {"seq": 0, "at": "", "shard": "", "type": TORN, "line": number, "bytes": len(line)}


def _parsed(line: bytes) -> Event | None:
    try:
        event = json.loads(line)
    except ValueError:
        return None
    return event if isinstance(event, dict) else None


def merge(paths: Iterable[Path]) -> Iterator[Event]:
    """The events of several shards in one order: by time, then shard, then number. Memory: a line a shard."""
    return heapq.merge(
        *(read(path) for path in paths),
        key=lambda event: (str(event.get("at", "")), str(event.get("shard", "")), int(event.get("seq", 0))),
    )
