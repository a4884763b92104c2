"""Waiver files: what is accepted, and that each mistake is named with its row."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from vnode_suite.core.errors import UsageError
from vnode_suite.data.tables import violations
from vnode_suite.data.waivers import load_waivers

CLAUSES = ("DS-02", "DS-04", "PORT-02")
CELLS = ("1.19-bootstrap", "1.22-serviceaccount")
GOOD = """
[[waiver]]
clause = "DS-04"
cell = "*"
reason = "the log agent is being moved"
owner = "platform team"
expires = 2026-12-31

[[waiver]]
clause = "PORT-02"
cell = "1.19-bootstrap"
reason = "no scraper needs it"
owner = "platform team"
expires = "2026-06-30"
"""


def written(folder: Path, text: str) -> Path:
    """A waiver file with that text."""
    path = folder / "waivers.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_good_file_is_read(tmp_path: Path) -> None:
    """Rows come in order, days as days whether quoted or not."""
    waivers = load_waivers(written(tmp_path, GOOD), clauses=CLAUSES, cells=CELLS)
    assert [(waiver.clause, waiver.cell, waiver.expires) for waiver in waivers] == [
        ("DS-04", "*", date(2026, 12, 31)),
        ("PORT-02", "1.19-bootstrap", date(2026, 6, 30)),
    ]


def test_the_ledgers_form_has_the_published_shape(tmp_path: Path) -> None:
    """Read and written again, a file is of the shape that its schema describes."""
    waivers = load_waivers(written(tmp_path, GOOD), clauses=CLAUSES)
    assert violations({"waiver": [waiver.as_dict() for waiver in waivers]}, "waivers") == []


def test_an_empty_file_waives_nothing(tmp_path: Path) -> None:
    """No rows, no waivers."""
    assert load_waivers(written(tmp_path, "# nothing yet\n"), clauses=CLAUSES) == ()


def test_cells_of_other_runs_are_allowed_where_none_are_given(tmp_path: Path) -> None:
    """One file may serve several runs."""
    text = GOOD.replace("1.19-bootstrap", "1.14-bootstrap")
    assert len(load_waivers(written(tmp_path, text), clauses=CLAUSES)) == 2
    with pytest.raises(UsageError, match=r"waiver 2.*1\.14-bootstrap.*1\.19-bootstrap"):
        load_waivers(written(tmp_path, text), clauses=CLAUSES, cells=CELLS)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('clause = "DS-04"', 'clause = "DS-40"', "waiver 1.*DS-40.*DS-04"),
        ('clause = "DS-04"\n', "", "waiver 1.*clause is missing"),
        ("expires = 2026-12-31\n", "", "waiver 1.*expires is missing"),
        ("expires = 2026-12-31", 'expires = "soon"', "waiver 1.*expires is no day.*soon"),
        ("expires = 2026-12-31", "expires = 20261301", "waiver 1.*expires is no day"),
        ('reason = "no scraper needs it"', 'reason = "  "', "waiver 2.*reason is empty"),
        ('owner = "platform team"', "owner = 7", "waiver 1.*owner is empty or no text"),
        ('cell = "*"', 'cell = "*"\nuntil = 2027-01-01', "waiver 1.*until is not known"),
        ("[[waiver]]", "[[waivers]]", "waivers is not known"),
        (
            'clause = "PORT-02"\ncell = "1.19-bootstrap"',
            'clause = "DS-04"\ncell = "*"',
            "DS-04 is waived twice",
        ),
        ('reason = "the log', "reason = the log", "is no TOML"),
    ],
)
def test_a_mistake_is_named(tmp_path: Path, old: str, new: str, said: str) -> None:
    """Each kind of mistake is a usage error that says which row and what."""
    assert old in GOOD
    with pytest.raises(UsageError, match=f"(?s){said}"):
        load_waivers(written(tmp_path, GOOD.replace(old, new)), clauses=CLAUSES, cells=CELLS)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    """A missing file is a usage error with its path."""
    with pytest.raises(UsageError, match=r"missing\.toml cannot be read"):
        load_waivers(tmp_path / "missing.toml", clauses=CLAUSES)


def test_a_single_table_is_no_list(tmp_path: Path) -> None:
    """[waiver] instead of [[waiver]] is told as what it is."""
    text = GOOD.split("[[waiver]]")[1]
    with pytest.raises(UsageError, match="no list of rows"):
        load_waivers(written(tmp_path, f"[waiver]{text}"), clauses=CLAUSES)
