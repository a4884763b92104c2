"""Digests of a run's files, in an in-toto statement, and the check that nothing was changed since.

The statement (``statement.intoto.json``) has the test-result predicate. With a user's Ed25519 key it is also
signed: ``statement.dsse.json`` is a DSSE envelope around the very bytes of the statement, so that a change of
the statement itself is found too.
"""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from vnode_suite.core.errors import UsageError
from vnode_suite.model import Result
from vnode_suite.report.endings import End, end_of
from vnode_suite.report.types import Report, Row

STATEMENT: Final = "statement.intoto.json"
ENVELOPE: Final = "statement.dsse.json"
PREDICATE_TYPE: Final = "https://in-toto.io/attestation/test-result/v0.1"
STATEMENT_TYPE: Final = "https://in-toto.io/Statement/v1"
PAYLOAD_TYPE: Final = "application/vnd.in-toto+json"
#: Written after the digests that ``report.json`` lists, so it cannot list them itself; the statement does.
_RENDERED = frozenset({"report.json", "report.html", "junit.xml", "ctrf.json"})
_OUTSIDE = frozenset({STATEMENT, ENVELOPE})


def sha256_of(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def files_of(folder: Path, *, rendered: bool = False) -> dict[str, Path]:
    """The files of a run by path (relative, with /), in order.

    :param rendered: also the reports themselves.
    """
    without = _OUTSIDE if rendered else _OUTSIDE | _RENDERED
    files = sorted(path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
    return {name: path for path in files if (name := path.relative_to(folder).as_posix()) not in without}


def digests_of(folder: Path, *, rendered: bool = False) -> dict[str, str]:
    """SHA-256 of the files of a run, named as in `files_of`."""
    return {name: sha256_of(path) for name, path in files_of(folder, rendered=rendered).items()}


def statement(folder: Path, report: Report) -> dict[str, Any]:
    """The in-toto statement about the files in *folder*."""
    verdict = report.verdict
    ended: dict[End, list[str]] = {end: [] for end in End}
    for row in report.results:
        ended[end_of(row, report)].append(_name(row))
    result = "PASSED" if verdict.result is Result.CONFORMANT and verdict.exit_status == 0 else "FAILED"
    return {
        "_type": STATEMENT_TYPE,
        "subject": [
            {"name": name, "digest": {"sha256": digest}}
            for name, digest in digests_of(folder, rendered=True).items()
        ],
        "predicateType": PREDICATE_TYPE,
        "predicate": {
            "result": "WARNED" if result == "PASSED" and ended[End.ADVICE] else result,
            "configuration": [
                {
                    "name": f"page-revision-{report.run.page_revision}",
                    "uri": report.page.address,
                    "annotations": {
                        "suite_version": report.run.suite_version,
                        "profile": report.run.profile,
                        "verdict": verdict.result.value,
                        "evidence": verdict.evidence.value if verdict.evidence else "none",
                        "accepted": verdict.accepted,
                    },
                }
            ],
            "passedTests": ended[End.PASSED],
            "warnedTests": ended[End.ADVICE],
            "failedTests": [*ended[End.FAILED], *ended[End.ERROR]],
        },
    }


def _name(row: Row) -> str:
    return f"{row.cell}/{row.clause}"


def seal(folder: Path, report: Report) -> Path:
    """Write the statement about all files in *folder*; a signature over an older one is removed."""
    (folder / ENVELOPE).unlink(missing_ok=True)
    path = folder / STATEMENT
    path.write_text(
        json.dumps(statement(folder, report), ensure_ascii=False, indent=1) + "\n", encoding="utf-8"
    )
    return path


def _pre_authentication(payload: bytes) -> bytes:
    """What a DSSE signature covers: type and payload, each with its length."""
    kind = PAYLOAD_TYPE.encode()
    return b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(payload), payload)


def sign(folder: Path, key: Path) -> Path:
    """Sign the statement in *folder*.

    :param key: the user's Ed25519 private key, as PEM.
    :returns: the envelope's path.
    :raises UsageError: no such key, or of another kind.
    """
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        private = load_pem_private_key(key.read_bytes(), None)
    except (OSError, ValueError, TypeError) as error:
        raise UsageError(f"no private key can be read from {key.name}", wanted="Ed25519 as PEM") from error
    if not isinstance(private, Ed25519PrivateKey):
        raise UsageError(
            f"{key.name} is of another kind", wanted="an Ed25519 private key", found=type(private).__name__
        )
    payload = (folder / STATEMENT).read_bytes()
    signature = private.sign(_pre_authentication(payload))
    public = private.public_key().public_bytes_raw()
    envelope = {
        "payloadType": PAYLOAD_TYPE,
        "payload": base64.b64encode(payload).decode(),
        "signatures": [
            {"keyid": hashlib.sha256(public).hexdigest(), "sig": base64.b64encode(signature).decode()}
        ],
    }
    path = folder / ENVELOPE
    path.write_text(json.dumps(envelope, indent=1) + "\n", encoding="utf-8")
    return path


@dataclass(frozen=True, slots=True)
class Verified:
    """What a check of a run's files found."""

    #: Files whose bytes are those of the statement.
    intact: tuple[str, ...]
    changed: tuple[str, ...]
    missing: tuple[str, ...]
    #: Files that the statement does not know.
    unknown: tuple[str, ...]
    #: ``valid``, ``invalid``, ``unchecked`` (there is one, but no key was given) or ``none``.
    signature: str
    #: Set where the statement itself cannot be trusted or read.
    problem: str = ""

    @property
    def sound(self) -> bool:
        """Nothing was changed, as far as can be told."""
        return not (
            self.changed or self.missing or self.unknown or self.problem or self.signature == "invalid"
        )


def verify(folder: Path, public_key: Path | None = None) -> Verified:
    """Compare every file in *folder* with the statement.

    :param public_key: Ed25519 as PEM; without it, a signature is not checked.
    """
    try:
        raw = (folder / STATEMENT).read_bytes()
        wanted = _subjects(json.loads(raw))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        return Verified((), (), (), (), "none", f"the statement cannot be read ({type(error).__name__})")
    signature = _check_signature(folder, raw, public_key)
    found = digests_of(folder, rendered=True)
    return Verified(
        intact=tuple(name for name, digest in wanted.items() if found.get(name) == digest),
        changed=tuple(name for name, digest in wanted.items() if name in found and found[name] != digest),
        missing=tuple(name for name in wanted if name not in found),
        unknown=tuple(name for name in found if name not in wanted),
        signature=signature,
    )


def _subjects(data: dict[str, Any]) -> dict[str, str]:
    if data["_type"] != STATEMENT_TYPE or data["predicateType"] != PREDICATE_TYPE or not data["subject"]:
        raise ValueError("another kind of statement")
    return {str(each["name"]): str(each["digest"]["sha256"]) for each in data["subject"]}


def _check_signature(folder: Path, raw: bytes, public_key: Path | None) -> str:
    envelope = folder / ENVELOPE
    if not envelope.exists():
        return "none" if public_key is None else "invalid"
    try:
        data = json.loads(envelope.read_bytes())
        same = base64.b64decode(data["payload"], validate=True) == raw and data["payloadType"] == PAYLOAD_TYPE
        signatures = [base64.b64decode(each["sig"], validate=True) for each in data["signatures"]]
    except (ValueError, KeyError, TypeError):
        return "invalid"
    if not same:
        return "invalid"
    if public_key is None:
        return "unchecked"
    return "valid" if any(_holds(public_key, raw, signature) for signature in signatures) else "invalid"


def _holds(public_key: Path, raw: bytes, signature: bytes) -> bool:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    try:
        public = load_pem_public_key(public_key.read_bytes())
    except (OSError, ValueError) as error:
        raise UsageError(
            f"no public key can be read from {public_key.name}", wanted="Ed25519 as PEM"
        ) from error
    if not isinstance(public, Ed25519PublicKey):
        raise UsageError(f"{public_key.name} is of another kind", wanted="an Ed25519 public key")
    try:
        public.verify(signature, _pre_authentication(raw))
    except InvalidSignature:
        return False
    return True
