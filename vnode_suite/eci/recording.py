"""Recording the exchanges with the ECI API, and answering from a recording instead of the service.

Written here rather than taken from a library: what is recorded is the call with its parameters, not HTTP.
HTTP-level recorders (vcrpy, betamax) match URLs, and here a URL holds a signature, a nonce, a date and the
kubeconfig, none of which is the same in two runs or may be written to a file; nor do they know that an answer
from after a deletion must not be given before it.

A recording has no secret in it: a kubeconfig is a placeholder, account ids and access keys are
replaced, the same ones by the same name. It says where it comes from: only one of the live service is graded
``recorded``.
"""

from __future__ import annotations

import datetime as dt
import json
import re
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final, Literal

from vnode_suite.core.errors import CloudError, UsageError
from vnode_suite.eci import errors
from vnode_suite.eci.exchange import ApiCall, Product, Transport
from vnode_suite.model import Grade, Text

FORMAT: Final = "vnode-suite/eci-recording/v1"
#: A recording older than this many days is named in the report: the service may answer otherwise by now.
STALE_AFTER_DAYS: Final = 90
SDKS: Final = ("alibabacloud-eci20180808", "alibabacloud-tea-openapi", "darabonba-core")
Source = Literal["live", "emulator"]

#: Parameters that differ from run to run and decide nothing about the answer.
_UNMATCHED: Final = frozenset({"ClientToken", "KubeConfig", "NextToken"})
_SECRET_KEYS: Final = re.compile(
    r"kubeconfig|secret|token$|password|accesskey|credential|signature", re.IGNORECASE
)
_SECRET_TEXTS: Final = (
    (re.compile(r"\bLTAI[A-Za-z0-9]{8,}\b"), "ACCESS-KEY-ID"),
    (re.compile(r"\bSTS\.[A-Za-z0-9]{8,}\b"), "ACCESS-KEY-ID"),
    (re.compile(r"\b[a-z0-9]{6}\.[a-z0-9]{16}\b"), "BOOTSTRAP-TOKEN"),
    (re.compile(r"\beyJ[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*"), "JWT"),
    (re.compile(r"-----BEGIN [A-Z ]+-----.*?(-----END [A-Z ]+-----|$)", re.DOTALL), "PEM"),
)
_NUMBERED: Final = re.compile(r"\{[A-Z-]+-[0-9]+\}")
_HARMLESS_TOKENS: Final = frozenset({"NextToken", "ClientToken"})


class NotRecorded(CloudError):
    """A replay was asked for an exchange that the recording does not hold; nothing is made up."""


@dataclass(frozen=True, slots=True)
class Exchange:
    """One call and what came of it: a body, or an error answer; both without secrets."""

    product: Product
    action: str
    parameters: Mapping[str, Any]
    body: Mapping[str, Any] | None = None
    #: ``{"kind", "code", "http_status", "message", "request_id", "retry_after"}``.
    error: Mapping[str, Any] | None = None
    #: Seconds since the recording began.
    at: float = 0.0


@dataclass(frozen=True, slots=True)
class Recording:
    """A whole recording."""

    source: Source
    region: str
    #: UTC, RFC 3339.
    recorded_at: str
    suite_version: str
    sdk_versions: Mapping[str, str]
    exchanges: tuple[Exchange, ...]
    #: What the recorded run knew beside the exchanges and a replay needs (see :meth:`RecordingTransport.note`).
    facts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def grade(self) -> Grade:
        """What evidence drawn from it is worth."""
        return Grade.RECORDED if self.source == "live" else Grade.SIMULATED

    def came_ready(self, virtual_node_id: str) -> bool:
        """Whether that VNode was ever shown Ready: only then may a simulated one join in its place."""
        shown = (row for each in self.exchanges for row in (each.body or {}).get("VirtualNodes") or ())
        return any(
            row.get("VirtualNodeId") == virtual_node_id and row.get("Status") == "Ready" for row in shown
        )

    def age_days(self, now: dt.datetime | None = None) -> float:
        """How old it is."""
        made = dt.datetime.fromisoformat(self.recorded_at.replace("Z", "+00:00"))
        return ((now or dt.datetime.now(dt.UTC)) - made).total_seconds() / 86400

    def warnings(self, now: dt.datetime | None = None) -> list[Text]:
        """What a report has to say about it."""
        found, days = [], self.age_days(now)
        if days > STALE_AFTER_DAYS:
            found.append(
                Text(
                    f"the recording is {days:.0f} days old (over {STALE_AFTER_DAYS}): the service may answer "
                    "otherwise by now",
                    f"录制已有 {days:.0f} 天(超过 {STALE_AFTER_DAYS} 天):服务的应答可能已经改变",
                )
            )
        if self.source != "live":
            found.append(
                Text(
                    "the recording was made from the emulator: its rows are graded simulated",
                    "该录制取自模拟器:相应的行评为 simulated",
                )
            )
        return found


class Scrubber:
    """Replaces what may not be written down, the same value by the same name every time.

    :param known: values that are secret or personal whatever they look like, to the name that stands for
        them: the account id, the access key.
    """

    def __init__(self, known: Mapping[str, str] | None = None) -> None:
        self._known = {value: name for value, name in (known or {}).items() if value}
        self._counts: dict[str, dict[str, str]] = {}

    def scrub(self, value: Any, key: str = "") -> Any:
        """A copy without secrets."""
        if isinstance(value, Mapping):
            return {name: self.scrub(item, str(name)) for name, item in value.items()}
        if isinstance(value, Sequence) and not isinstance(value, str | bytes):
            return [self.scrub(item, key) for item in value]
        if not isinstance(value, str):
            name = None if isinstance(value, bool) else self._known.get(str(value))
            return f"{{{name}}}" if name else value
        if key and _SECRET_KEYS.search(key) and key not in _HARMLESS_TOKENS and value:
            return f"{{{key.upper()}}}"
        return self._text(value)

    def _text(self, text: str) -> str:
        for value, name in self._known.items():
            text = text.replace(value, f"{{{name}}}")
        for pattern, name in _SECRET_TEXTS:
            text = pattern.sub(partial(self._named, name), text)
        return text

    def _named(self, name: str, match: re.Match[str]) -> str:
        seen = self._counts.setdefault(name, {})
        return seen.setdefault(match[0], f"{{{name}-{len(seen) + 1}}}")


class RecordingTransport:
    """Passes calls on and writes each exchange down as it happens (one JSON line each, after a head line).

    Written at once, so that an interrupted run leaves a readable recording.

    :param scrubber: replaces secrets and what names the account.
    :param redact: takes any secret that is left out of a line; what it takes out is not found again by a replay.
    """

    def __init__(
        self,
        inner: Transport,
        path: Path,
        region: str,
        source: Source,
        scrubber: Scrubber,
        redact: Callable[[str], str] = lambda text: text,
    ) -> None:
        self._inner = inner
        self._path = path
        self._scrubber = scrubber
        self._redact = redact
        self._lock = threading.Lock()
        self._started = dt.datetime.now(dt.UTC)
        head = {
            "format": FORMAT,
            "source": source,
            "region": region,
            "recorded_at": self._started.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "suite_version": _version("vnode-suite"),
            "sdk_versions": sdk_versions(),
        }
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(head) + "\n", "utf-8")

    def send(self, call: ApiCall, timeout: float) -> Mapping[str, Any]:
        """Send and write down; a failed write fails the call, a recording with a hole would mislead."""
        try:
            body = self._inner.send(call, timeout)
        except errors.EciError as error:
            self._write(call, error=_error_row(error))
            raise
        self._write(call, body=body)
        return body

    def note(self, fact: str, value: Any) -> None:
        """Write down something of the run that no exchange holds: its id, its place, the API servers' addresses."""
        self._append({"fact": fact, "value": value})

    def _write(
        self, call: ApiCall, body: Mapping[str, Any] | None = None, error: Mapping[str, Any] | None = None
    ) -> None:
        self._append(
            {
                "product": call.product,
                "action": call.action,
                "parameters": call.parameters,
                "body": body,
                "error": error,
                "at": round((dt.datetime.now(dt.UTC) - self._started).total_seconds(), 3),
            }
        )

    def _append(self, row: Mapping[str, Any]) -> None:
        with self._lock, self._path.open("a", encoding="utf-8") as file:
            line = json.dumps(self._scrubber.scrub(row), ensure_ascii=False)
            file.write(self._redact(line) + "\n")


class ReplayTransport:
    """Answers from a recording, in its order; fails closed.

    An exchange matches by product, action and parameters, but for those that differ in every run
    (ClientToken, kubeconfig, page tokens) and but for the parameters named in ``aliases``. Each is used
    once; the last answer of a read is repeated, since a replayed run may poll once more than the recorded
    one. What was read of a VNode after a change of it is not told before that change is made again, nor what was
    read before it afterwards.

    :param aliases: values of this run to the values they had in the recording (the run's id ...).
    :param follow: told each change that was answered, so that a simulated VNode can follow the recording.
    """

    def __init__(
        self,
        recording: Recording,
        aliases: Mapping[str, str] | None = None,
        follow: Callable[[ApiCall, Mapping[str, Any]], None] = lambda _call, _body: None,
    ) -> None:
        self.recording = recording
        self._follow = follow
        self._aliases = dict(aliases or {})
        self._keys = tuple(_key(row.action, row.parameters) for row in recording.exchanges)
        self._epochs = tuple(_epochs(recording.exchanges))
        self._changes: Counter[str] = Counter()
        self._used: set[int] = set()
        self._lock = threading.Lock()

    def send(self, call: ApiCall, timeout: float) -> Mapping[str, Any]:
        """The recorded answer; :class:`NotRecorded` when there is none."""
        wanted = _key(call.action, _renamed(call.parameters, self._aliases))
        with self._lock:
            found = self._take(call, wanted)
            if found is not None and found.error is None:
                self._changes.update(_changed(call.action, call.parameters))
        if found is None:
            raise NotRecorded(
                f"{call.action} with these parameters is not in the recording",
                wanted="an exchange recorded before",
                found=f"{self._count(call.action)} of that action with others, or before other changes",
                remedy="record again with the same options, or leave out what was not recorded",
            )
        if found.error is not None:
            raise _error_from_row(call, found.error)
        back = {recorded: mine for mine, recorded in self._aliases.items()}
        body: Mapping[str, Any] = _renamed(found.body or {}, back)
        if not call.is_read:
            self._follow(call, body)
        return body

    def unused(self) -> Iterator[Exchange]:
        """Exchanges that the replay has not asked for."""
        return (row for number, row in enumerate(self.recording.exchanges) if number not in self._used)

    def _count(self, action: str) -> int:
        return sum(row.action == action for row in self.recording.exchanges)

    def _take(self, call: ApiCall, wanted: str) -> Exchange | None:
        last: Exchange | None = None
        now = _asked_of(call.action, call.parameters)
        for number, row in enumerate(self.recording.exchanges):
            if row.product != call.product or self._keys[number] != wanted:
                continue
            if call.is_read and any(self._epochs[number][name] != self._changes[name] for name in now):
                continue
            if number not in self._used:
                self._used.add(number)
                return row
            last = row
        return last if call.is_read else None


def _key(action: str, parameters: Mapping[str, Any]) -> str:
    kept = {name: value for name, value in parameters.items() if name not in _UNMATCHED}
    # Secrets of this run and of the recorded one meet in the names that stand for them.
    text = json.dumps(Scrubber().scrub(kept), sort_keys=True, ensure_ascii=False, default=str)
    return f"{action} {_NUMBERED.sub('{NAME}', text)}"


def _epochs(exchanges: Sequence[Exchange]) -> Iterator[Counter[str]]:
    """For each exchange, how often each VNode had been changed before it."""
    changes: Counter[str] = Counter()
    for row in exchanges:
        yield changes.copy()
        if row.error is None:
            changes.update(_changed(row.action, row.parameters))


def _changed(action: str, parameters: Mapping[str, Any]) -> list[str]:
    """Ids of the VNodes that a successful call changes."""
    return [str(parameters["VirtualNodeId"])] if action in ("DeleteVirtualNode", "UpdateVirtualNode") else []


def _asked_of(action: str, parameters: Mapping[str, Any]) -> list[str]:
    """Ids of the VNodes that a read is about."""
    return json.loads(parameters.get("VirtualNodeIds") or "[]") if action == "DescribeVirtualNodes" else []


def load(path: Path) -> Recording:
    """Read a recording; :class:`UsageError` for a file that is none."""
    try:
        head, *rows = [json.loads(line) for line in path.read_text("utf-8").splitlines() if line.strip()]
        facts = {row["fact"]: row["value"] for row in rows if "fact" in row}
        if head.get("format") != FORMAT:
            raise ValueError(f"format {head.get('format')!r}")
        return Recording(
            source="live" if head["source"] == "live" else "emulator",
            region=head["region"],
            recorded_at=head["recorded_at"],
            suite_version=head["suite_version"],
            sdk_versions=head["sdk_versions"],
            exchanges=tuple(Exchange(**row) for row in rows if "fact" not in row),
            facts=facts,
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UsageError(
            f"{path.name} is no recording",
            wanted=f"a file in the format {FORMAT}",
            found=f"{type(error).__name__}: {error}",
        ) from None


def sdk_versions() -> dict[str, str]:
    """Versions of the SDK packages that took part."""
    return {name: _version(name) for name in SDKS}


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "absent"  # The suite itself, where it runs from a checkout that is not installed.


def _renamed(value: Any, aliases: Mapping[str, str]) -> Any:
    if isinstance(value, Mapping):
        return {name: _renamed(item, aliases) for name, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return [_renamed(item, aliases) for item in value]
    if not isinstance(value, str):
        return value
    for mine, recorded in aliases.items():
        value = value.replace(mine, recorded)
    return value


def _error_row(error: errors.EciError) -> dict[str, Any]:
    retry_after = error.retry_after if isinstance(error, errors.Throttled) else None
    return {
        "kind": type(error).__name__,
        "code": error.code,
        "http_status": error.http_status,
        "message": error.message,
        "request_id": error.request_id,
        "retry_after": retry_after,
    }


def _error_from_row(call: ApiCall, row: Mapping[str, Any]) -> errors.EciError:
    if not row["code"]:
        kind = errors.EciTimeout if row["kind"] == "EciTimeout" else errors.EciUnreachable
        return kind(f"{call.action} got no answer (recorded so)", action=call.action)
    return errors.from_answer(
        action=call.action,
        ram_action=call.ram_action,
        code=row["code"],
        http_status=row["http_status"],
        message=row["message"],
        request_id=row["request_id"],
        retry_after=row["retry_after"],
    )
