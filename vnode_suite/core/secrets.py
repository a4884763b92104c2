"""Secrets: a type that never shows itself, and a registry that finds each of them in any text.

A secret is registered where it is born. Whatever enters the ledger passes `Registry.redact`; finished files
pass `Registry.scan`. How known secrets are found in time linear in the text, however many there are: every
run of eight bytes of every form is put in one set, as a number; a text is cut into blocks of eight bytes, and a
form of 15 characters or more cannot occur in it without one of the blocks being in the set.

What a text looks like (has it a shape, has it Base64) depends on the text alone, so it is remembered for short
texts, whatever is registered meanwhile; whether it holds a known secret is always looked up anew. Files of a
report say the same many times, so shapes and Base64 are looked for in their distinct fragments.
"""

from __future__ import annotations

import base64
import functools
import hmac
import itertools
import re
import sys
import threading
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NoReturn

from vnode_suite.core.secret_forms import SHAPES, SHORTEST_FORM, literal_forms

#: Length of a block in characters and in bytes; a form of at least ``2 * _BLOCK - 1`` contains a whole block at any
#: offset.
_BLOCK: Final = 8
_SEEDED: Final = 2 * _BLOCK - 1
#: So many short texts, and so many Base64 texts, are remembered, each of at most so many characters: 4 MiB
#: of each at most.
_REMEMBERED: Final = 8192
_LONGEST_REMEMBERED: Final = 512
#: From so many characters on a text is likely to repeat itself enough for its distinct fragments to be looked
#: at first.
_REPETITIVE: Final = 1 << 14
#: With more different blocks found in a text than this, each of its blocks is looked up instead.
_FEW_BLOCKS: Final = 32
#: Nested Base64 deeper than this does not occur (a key, in a kubeconfig, in a request, in a log).
_DEPTH: Final = 4
#: What stands in a text where a secret stood.
_MARK: Final = "[redacted:{kind}]"
#: Size in characters of the pieces in which a file is scanned, and how far two of them overlap.
_PIECE: Final = 1 << 20
_OVERLAP: Final = 1 << 14

_RUN = "[A-Za-z0-9+/_-]"
#: What may stand between two parts of one Base64 text: a line's end (real or JSON-escaped), a percent-encoded
#: + or /.
_JOINT = r"(?:%2[BbFf]|\r?\n[ \t]{0,16}|(?:\\r)?\\n)"
_BASE64_RUN = re.compile(_RUN + r"{24,}+")
_BASE64_JOINED = re.compile(f"{_RUN}++(?:{_JOINT}{_RUN}++)*+")
#: Shorter runs decode to less than the shortest secret that is not found as a literal.
_SHORTEST_RUN: Final = 24
_HEX = re.compile("(?:[0-9a-fA-F]{2})++")
_PERCENT = re.compile(r"%2([BbFf])")
_WHITE = re.compile(r"\s+|(?:\\r)?\\n")
#: A line's end within one Base64 text: see `_JOINT`.
_WRAP = re.compile(rf"\n(?:(?<={_RUN}\n)|(?<={_RUN}\r\n))(?=[ \t]{{0,16}}{_RUN})")
#: White space that stands for a wrap's line end for a moment.
_WRAPPED: Final = "\x1f"
#: No shape and no Base64 text holds or crosses this character.
_APART: Final = "<"


class Secret:
    """A value that must not be shown; it is known to the registry from its birth.

    Only `reveal` gives the value. Printing, formatting, comparing, hashing and copying are safe; pickling is
    refused.

    :param value: the secret text.
    :param kind: what it is, in a word that may be shown, such as ``bootstrap-token``.
    :param registry: who will look for it; the process's own by default.
    """

    __slots__ = ("_kind", "_value")

    def __init__(self, value: str, kind: str = "secret", registry: Registry | None = None) -> None:
        self._value = value
        self._kind = kind
        (REGISTRY if registry is None else registry).register(value, kind)

    @property
    def kind(self) -> str:
        """What the secret is, in a word that may be shown."""
        return self._kind

    def reveal(self) -> str:
        """The value itself."""
        return self._value

    def __repr__(self) -> str:
        return f"Secret({self._kind})"

    def __str__(self) -> str:
        return _MARK.format(kind=self._kind)

    def __format__(self, spec: str) -> str:
        return format(str(self), spec)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(self._value.encode(), other._value.encode())

    def __hash__(self) -> int:
        return hash((Secret, self._value))

    def __copy__(self) -> Secret:
        return self

    def __deepcopy__(self, memo: object) -> Secret:
        return self

    def __reduce__(self) -> NoReturn:
        raise TypeError(f"a secret ({self._kind}) is not pickled")


@dataclass(frozen=True, slots=True)
class Hit:
    """A secret found where none may be. Says where and of what kind, never what."""

    kind: str
    #: Characters from the start of the text (of the file, decoded as UTF-8).
    offset: int
    #: Characters.
    length: int
    path: Path | None = None


#: First and last offset of a find, and its kind.
_Span = tuple[int, int, str]


class Registry:
    """Every secret of this process, and how to find them. Safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._values: dict[str, str] = {}
        #: Those that are looked for already: one token is in many kubeconfigs.
        self._forms: set[tuple[str, str]] = set()
        self._seeds: dict[str, tuple[tuple[str, str], ...]] = {}
        #: Each eight bytes of each form as a number: looking numbers up takes a tenth of the time.
        self._blocks: set[int] = set()
        self._short: dict[str, str] = {}
        #: What is in a Base64 text: the same ones come again in each file of a report.
        self._within: dict[tuple[int, str, int], str | None] = {}
        self._generation = 0
        #: How often each kind was taken out of a text so far.
        self.redactions: Counter[str] = Counter()

    def register(self, value: str | bytes, kind: str = "secret") -> None:
        """Look for *value* in all its encodings from now on; values below 6 characters are left out."""
        text = value.decode("utf-8", "replace") if isinstance(value, bytes) else value
        with self._lock:
            if text in self._values or len(text) < 6:
                return
            self._values[text] = kind
            for form in literal_forms(text):
                self._add(form, kind)
            # Whoever is looking with what was known before remembers it under the number before.
            self._generation += 1
            self._within = {}

    def _add(self, form: str, kind: str) -> None:
        if len(form) < _SEEDED:
            self._short[form] = kind
            return
        entry = (form, kind)
        if entry in self._forms:
            return
        self._forms.add(entry)
        fresh: list[str] = []
        for start in range(len(form) - _BLOCK + 1):
            seed = form[start : start + _BLOCK]
            known = self._seeds.get(seed)
            if known is None:
                fresh.append(seed)
                self._seeds[seed] = (entry,)
            elif entry not in known:
                self._seeds[seed] = (*known, entry)
        if form.isascii():
            self._blocks.update(_blocks_of("".join(fresh).encode()))
            return
        raw = form.encode("utf-8", "surrogatepass")
        for start in range(_BLOCK):
            self._blocks.update(_blocks_of(raw[start:]))

    def register_environment(self, environment: Mapping[str, str]) -> None:
        """Register the values of variables whose names say that they hold a credential."""
        for name, value in environment.items():
            if re.search(
                r"SECRET|TOKEN|PASSW|ACCESS_?KEY|CREDENTIAL|PRIVATE_?KEY", name, re.IGNORECASE
            ) and not (value.startswith(("/", "~")) or len(value) < 8):
                self.register(value, "environment")

    def known(self, after: int = 0) -> list[tuple[str, str]]:
        """(value, kind) of all that is registered, to be handed on over a channel that is not kept.

        :param after: of the first so many it is known already.
        """
        with self._lock:
            return list(itertools.islice(self._values.items(), after, None))

    def take_over(self, known: Iterable[tuple[str, str]]) -> None:
        """Register what another process's registry knew."""
        for value, kind in known:
            self.register(value, kind)

    def redact(self, text: str) -> tuple[str, Counter[str]]:
        """*text* with a mark in place of each secret, and how many of each kind there were."""
        spans = self._spans(text)
        counts: Counter[str] = Counter()
        if not spans:
            return text, counts
        pieces: list[str] = []
        position = 0
        for start, end, kind in spans:
            pieces += (text[position:start], _MARK.format(kind=kind))
            counts[kind] += 1
            position = end
        pieces.append(text[position:])
        with self._lock:
            self.redactions.update(counts)
        return "".join(pieces), counts

    def scan(self, source: bytes | str | Path) -> list[Hit]:
        """The secrets in a finished text or file, which should be none. A file is read in pieces."""
        if isinstance(source, Path):
            return self._scan_file(source)
        text = source.decode("utf-8", "replace") if isinstance(source, bytes) else source
        return [Hit(kind, start, end - start) for start, end, kind in self._spans(text)]

    def _scan_file(self, path: Path) -> list[Hit]:
        hits: dict[tuple[int, str], Hit] = {}
        offset, tail = 0, ""
        with path.open(encoding="utf-8", errors="replace", newline="") as stream:
            while piece := stream.read(_PIECE):
                text = tail + piece
                start_of_text = offset - len(tail)
                for start, end, kind in self._spans(text):
                    hits.setdefault(
                        (start_of_text + start, kind), Hit(kind, start_of_text + start, end - start, path)
                    )
                offset += len(piece)
                tail = text[-_OVERLAP:]
        return list(hits.values())

    def _spans(self, text: str) -> list[_Span]:
        if len(text) < SHORTEST_FORM:
            return []
        found = list(self._literal_spans(text))
        if not found and len(text) >= _REPETITIVE and not self._looks_secret(_distinct(text)):
            return []
        shaped, encoded = _looks(text)
        if shaped:
            found += _shape_spans(text)
        if encoded:
            found += self._nested_spans(text, _DEPTH)
        return _merged(text, found) if found else []

    def _looks_secret(self, text: str) -> bool:
        finds = itertools.chain(_shape_spans(text), self._nested_spans(text, _DEPTH))
        return next(finds, None) is not None

    def _literal_spans(self, text: str) -> Iterator[_Span]:
        for form, kind in list(self._short.items()):
            at = text.find(form)
            while at >= 0:
                yield at, at + len(form), kind
                at = text.find(form, at + 1)
        if len(text) < _SEEDED:
            return
        known = self._blocks.intersection(_blocks_of(text.encode("utf-8", "surrogatepass")))
        if known:
            # In order: of Base64 with several secrets in it, the first one's kind is told.
            yield from sorted(self._seeded_spans(text, known))

    def _seeded_spans(self, text: str, known: set[int]) -> Iterator[_Span]:
        """The forms around the blocks of *text* that are *known*."""
        raw = [block.to_bytes(_BLOCK, sys.byteorder) for block in known]
        # Eight bytes of other letters are fewer characters than a seed has, or begin within one.
        if len(raw) > _FEW_BLOCKS or not all(map(bytes.isascii, raw)):
            for block in range(0, len(text), _BLOCK):
                yield from self._forms_at(text, block)
            return
        for seed in (block.decode() for block in raw):
            at = text.find(seed)
            while at >= 0:
                yield from self._forms_at(text, at)
                at = text.find(seed, at + 1)

    def _forms_at(self, text: str, block: int) -> Iterator[_Span]:
        for form, kind in self._seeds.get(text[block : block + _BLOCK], ()):
            yield from _around(text, block, form, kind)

    def _nested_spans(self, text: str, depth: int) -> Iterator[_Span]:
        """Base64 whose content, or the content of whose content, holds a secret: all of it is hidden."""
        if not _BASE64_RUN.search(text):
            return
        joined = "%2" in text or "\n" in text or "\\n" in text
        for run in (_BASE64_JOINED if joined else _BASE64_RUN).finditer(text):
            if run.end() - run.start() < _SHORTEST_RUN:
                continue
            if kind := self._kind_of_run(run[0], depth):
                yield run.start(), run.end(), kind

    def _kind_of_run(self, run: str, depth: int) -> str | None:
        known, key = self._within, (self._generation, run, depth)
        if key not in known:
            if len(known) >= _REMEMBERED or len(run) > _LONGEST_REMEMBERED:
                known = {}
            readings = list(_decoded(run))
            kind = None
            # All at once is faster, and nearly always there is nothing.
            if self._kind_within(_APART.join(readings), depth - 1):
                found = (self._kind_within(reading, depth - 1) for reading in readings)
                kind = next(filter(None, found), None)
            known[key] = kind
        return known[key]

    def _kind_within(self, text: str, depth: int) -> str | None:
        for _, _, kind in (*self._literal_spans(text), *_shape_spans(text)):
            return kind
        if depth > 0:
            for _, _, kind in self._nested_spans(text, depth):
                return kind
        return None


def _around(text: str, block: int, form: str, kind: str) -> Iterator[_Span]:
    """The longest part of *form* around the block at *block*: a secret cut short or wrapped is one too."""
    seed = text[block : block + _BLOCK]
    at = form.find(seed)
    while at >= 0:
        before = 0
        while before < min(at, block) and text[block - before - 1] == form[at - before - 1]:
            before += 1
        after, most = _BLOCK, min(len(form) - at, len(text) - block)
        while after < most and text[block + after] == form[at + after]:
            after += 1
        if before + after >= min(len(form), _SEEDED):
            yield block - before, block + after, kind
        at = form.find(seed, at + 1)


def _blocks_of(raw: bytes) -> memoryview:
    """The whole blocks of *raw*, as numbers."""
    return memoryview(raw)[: len(raw) // _BLOCK * _BLOCK].cast("Q")


def _looks(text: str) -> tuple[bool, bool]:
    """Whether *text* may have a secret's shape, and whether it may hold Base64."""
    return _remembered_looks(text) if len(text) <= _LONGEST_REMEMBERED else (True, True)


@functools.lru_cache(_REMEMBERED)
def _remembered_looks(text: str) -> tuple[bool, bool]:
    return next(_shape_spans(text), None) is not None, _BASE64_RUN.search(text) is not None


def _shape_spans(text: str) -> Iterator[_Span]:
    lowered = text.lower()
    for shape in SHAPES:
        searched = lowered if shape.ignore_case else text
        if not any(mark in searched for mark in shape.marks):
            continue
        for found in shape.find(text, lowered):
            start, end = found.span("secret" if "secret" in shape.pattern.groupindex else 0)
            yield start, end, shape.kind


def _distinct(text: str) -> str:
    """The fragments of *text*, each once: if none of them has a shape or Base64 with a secret, nor has *text*.

    A fragment ends where no shape and no Base64 text goes on: at the end of a line (a private key goes on
    there, but its first line is found), between a comma and a quote, and before a tag.
    """
    apart = _WRAP.sub(_WRAPPED, text).replace(',"', ',\n"').replace(_APART, "\n" + _APART)
    return _APART.join(dict.fromkeys(apart.split("\n"))).replace(_WRAPPED, "\n")


def _decoded(run: str) -> Iterator[str]:
    """What *run* decodes to: as hexadecimal, and as Base64 from each of its first four characters.

    A path or a word may stand before the Base64.
    """
    plain = _PERCENT.sub(lambda code: "+" if code[1] in "Bb" else "/", _WHITE.sub("", run))
    if _HEX.fullmatch(plain):
        yield bytes.fromhex(plain).decode("utf-8", "replace")
    plain = plain.replace("-", "+").replace("_", "/")
    for skipped in range(4):
        length = (len(plain) - skipped) // 4 * 4
        yield base64.b64decode(plain[skipped : skipped + length]).decode("utf-8", "replace")


def _merged(text: str, found: list[_Span]) -> list[_Span]:
    """In order, without overlaps; finds that all but touch become one: no rest of a secret stays between."""
    found.sort(key=lambda span: (span[0], -span[1]))
    merged = [found[0]]
    for start, end, kind in found[1:]:
        first, last, known = merged[-1]
        if start <= last or (start <= last + 3 and " " not in text[last:start]):
            merged[-1] = (first, max(last, end), known)
        else:
            merged.append((start, end, kind))
    return merged


#: The registry of this process.
REGISTRY: Final = Registry()
