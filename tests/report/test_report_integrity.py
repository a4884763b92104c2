"""Any changed byte of a run's files is found."""

from __future__ import annotations

import base64
import json
import random
from pathlib import Path

import pytest
import stories
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from vnode_suite.core.errors import UsageError
from vnode_suite.report.integrity import ENVELOPE, PREDICATE_TYPE, STATEMENT, sign, verify
from vnode_suite.report.render import render


@pytest.fixture
def folder(ledger_path: Path) -> Path:
    """A finished run with its reports and a piece of evidence."""
    story = stories.failing(ledger_path)
    story.tell()
    evidence = ledger_path.parent / "evidence" / "kube-apiserver.log"
    evidence.parent.mkdir()
    evidence.write_text("started\n" * 50)
    render(ledger_path.parent, story.catalogue)
    return ledger_path.parent


@pytest.fixture
def keys(tmp_path: Path) -> tuple[Path, Path]:
    """The user's private and public key."""
    private = ed25519.Ed25519PrivateKey.generate()
    paths = tmp_path / "key.pem", tmp_path / "key.pub.pem"
    paths[0].write_bytes(
        private.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    paths[1].write_bytes(
        private.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
    )
    return paths


def flip_a_byte(path: Path, chance: random.Random) -> bytes:
    """Change one byte somewhere in the file; gives what it was."""
    before = path.read_bytes()
    at = chance.randrange(len(before))
    after = bytearray(before)
    after[at] ^= chance.randrange(1, 256)
    path.write_bytes(bytes(after))
    return before


def test_an_untouched_run_is_sound(folder: Path) -> None:
    """Every file is known and as it was."""
    found = verify(folder)
    assert found.sound
    assert set(found.intact) == {
        "report.json", "report.html", "junit.xml", "ctrf.json", "events.jsonl", "evidence/kube-apiserver.log",
    }  # fmt: skip
    assert found.signature == "none"


def test_each_of_a_hundred_changed_bytes_is_found(folder: Path) -> None:
    """Whichever file, whichever byte, whichever bit; and the file is named."""
    chance = random.Random(7)
    files = [folder / name for name in verify(folder).intact]
    for _ in range(100):
        file = chance.choice(files)
        before = flip_a_byte(file, chance)
        found = verify(folder)
        assert not found.sound
        assert found.changed == (file.relative_to(folder).as_posix(),)
        file.write_bytes(before)
    assert verify(folder).sound


def test_with_a_signature_a_changed_byte_of_the_statement_is_found(
    folder: Path, keys: tuple[Path, Path]
) -> None:
    """And one of the envelope, where it bears on the signature."""
    sign(folder, keys[0])
    assert verify(folder, keys[1]).signature == "valid"
    chance = random.Random(11)
    for _ in range(100):
        before = flip_a_byte(folder / STATEMENT, chance)
        assert not verify(folder, keys[1]).sound
        (folder / STATEMENT).write_bytes(before)
    envelope = json.loads((folder / ENVELOPE).read_text())
    signature = bytearray(base64.b64decode(envelope["signatures"][0]["sig"]))
    signature[5] ^= 1
    envelope["signatures"][0]["sig"] = base64.b64encode(bytes(signature)).decode()
    (folder / ENVELOPE).write_text(json.dumps(envelope))
    assert verify(folder, keys[1]).signature == "invalid"


def test_another_key_does_not_do(folder: Path, keys: tuple[Path, Path], tmp_path: Path) -> None:
    """A signature by somebody else is invalid, and one that is missing is too, where a key was given."""
    assert not verify(folder, keys[1]).sound
    sign(folder, keys[0])
    other = tmp_path / "other.pem"
    other.write_bytes(
        ed25519.Ed25519PrivateKey.generate()
        .public_key()
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    )
    assert verify(folder, other).signature == "invalid"
    assert verify(folder).signature == "unchecked"


def test_a_missing_and_an_added_file_are_found(folder: Path) -> None:
    """A run is all of its files and no others."""
    (folder / "junit.xml").unlink()
    (folder / "evidence" / "more.log").write_text("planted")
    found = verify(folder)
    assert (found.missing, found.unknown, found.sound) == (("junit.xml",), ("evidence/more.log",), False)


@pytest.mark.parametrize(
    "content", [None, b"", b"{}", b"[]", b'{"_type": "https://in-toto.io/Statement/v1"}', b"\xff"]
)
def test_without_a_statement_nothing_is_sound(folder: Path, content: bytes | None) -> None:
    """A run that cannot be checked is not taken for checked."""
    (folder / STATEMENT).unlink()
    if content is not None:
        (folder / STATEMENT).write_bytes(content)
    assert verify(folder).problem
    assert not verify(folder).sound


def test_the_statement_is_an_in_toto_test_result(folder: Path) -> None:
    """Subjects with digests, and clauses by how they ended."""
    data = json.loads((folder / STATEMENT).read_text())
    assert (data["_type"], data["predicateType"]) == ("https://in-toto.io/Statement/v1", PREDICATE_TYPE)
    predicate = data["predicate"]
    assert predicate["result"] == "FAILED"
    assert predicate["failedTests"] == ["1.22-bootstrap/DS-02"]
    assert predicate["warnedTests"] == ["1.22-bootstrap/PORT-02", "1.22-serviceaccount/PORT-02"]
    assert "1.22-bootstrap/PRE-01" in predicate["passedTests"]
    assert predicate["configuration"][0]["annotations"]["accepted"] is False


def test_rendering_again_after_signing_takes_the_signature_away(
    folder: Path, keys: tuple[Path, Path]
) -> None:
    """An old signature never stands beside new files."""
    sign(folder, keys[0])
    render(folder, stories.catalogue())
    assert not (folder / ENVELOPE).exists()
    assert verify(folder).sound


def test_a_key_of_another_kind_is_refused(folder: Path, tmp_path: Path) -> None:
    """In one line that says which kind is wanted."""
    key = tmp_path / "ec.pem"
    key.write_bytes(
        ec.generate_private_key(ec.SECP256R1()).private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    for wrong in (key, tmp_path / "none.pem"):
        with pytest.raises(UsageError, match="Ed25519"):
            sign(folder, wrong)
