"""Schemas: that they forbid what they should, and that tables are read fast."""

from __future__ import annotations

import copy
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import pytest

from vnode_suite.data.tables import read_schema, read_table, violations

TABLES = {
    "clauses": "clauses/2024-02.toml",
    "defects": "defects.toml",
    "causes": "causes.toml",
    "deadlines": "deadlines.toml",
}


@pytest.mark.parametrize("kind", [*TABLES, "waivers"])
def test_the_schemas_are_schemas(kind: str) -> None:
    """Each schema is a valid one of its draft, named and versioned."""
    import jsonschema

    schema = read_schema(kind)
    jsonschema.Draft202012Validator.check_schema(schema)
    assert schema["$id"] == f"vnode-suite/{kind}/v1"


@pytest.mark.parametrize(
    ("kind", "rows"), [("clauses", "clause"), ("defects", "defect"), ("causes", "cause")]
)
def test_a_row_that_lacks_or_adds_a_field_is_found(kind: str, rows: str) -> None:
    """A missing language, a missing name and a stray field are each named by their place."""
    table = read_table(TABLES[kind])
    changes: tuple[tuple[Callable[[dict[str, Any]], object], str], ...] = (
        (lambda row: row.update(colour="red"), "colour"),
        (lambda row: row.pop("id", None) or row.pop("name", None), "required"),
        (lambda row: row.pop("zh", None) or row.get("title", {}).pop("zh", None), "zh"),
    )
    for change, said in changes:
        changed = copy.deepcopy(table)
        change(changed[rows][3])
        found = violations(changed, kind)
        assert any(line.startswith(f"{rows}.3") and said in line for line in found), (kind, said, found)


def test_loading_a_catalogue_is_fast() -> None:
    """A catalogue is read in tens of milliseconds, for it is read by every command."""
    best = min(_seconds_to_read("clauses/2024-02.toml") for _ in range(5))
    # 30 ms is the aim on an idle core; a busy machine is given some room.
    assert best < 0.06


def test_loading_brings_no_schema_library_in() -> None:
    """Reading every table leaves the slow import of jsonschema alone."""
    code = (
        "import sys; from vnode_suite.data import catalogue, causes, deadlines, defects, waivers; "
        "catalogue.load_catalogue('2024-02'); causes.load_causes(); defects.load_defects(); "
        "deadlines.load_deadlines({}, simulated=True); sys.exit('jsonschema' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def _seconds_to_read(name: str) -> float:
    began = time.process_time()
    read_table(name)
    return time.process_time() - began
