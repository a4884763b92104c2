"""The table of versions: what it holds, and what is asked of it."""

from __future__ import annotations

import tomllib
from importlib import resources

import jsonschema
import pytest

from vnode_suite.core.errors import UsageError
from vnode_suite.data.versions import Versions, load_versions, parse_versions, schema

VERSIONS = load_versions()
TEXT = resources.files("vnode_suite.data").joinpath("versions.toml").read_text(encoding="utf-8")


def test_the_table_is_of_the_shape_that_its_schema_describes() -> None:
    """The schema is what a contributor edits against."""
    jsonschema.Draft202012Validator(schema()).validate(tomllib.loads(TEXT))


def test_the_schema_refuses_what_nobody_reads() -> None:
    """A misspelt key would otherwise be a silent no."""
    table = tomllib.loads(TEXT)
    table["version"][0]["offical"] = "1.13.12"
    with pytest.raises(jsonschema.ValidationError, match="offical"):
        jsonschema.validate(table, schema())


@pytest.mark.parametrize(
    ("page", "first", "last", "count"), [("2024-02", "1.13", "1.22", 10), ("2025-07", "1.16", "1.30", 15)]
)
def test_each_page_revision_has_its_window(page: str, first: str, last: str, count: int) -> None:
    """PRE-01 judges against these."""
    minors = VERSIONS.window(page).minors
    assert (minors[0], minors[-1], len(minors)) == (first, last, count)


def test_an_unknown_page_revision_is_refused_with_those_there_are() -> None:
    """A usage error names what is allowed."""
    with pytest.raises(UsageError, match="2024-02, 2025-07"):
        VERSIONS.window("2023-01")


@pytest.mark.parametrize("minor", VERSIONS.window("2024-02").minors)
def test_every_minor_of_the_first_window_can_be_had_from_each_source(minor: str) -> None:
    """Release download, module build, and a node image by digest."""
    version = VERSIONS.resolve(minor)
    assert version.build is not None
    assert version.build.deviations
    assert version.patch_from("official") == version.patch
    assert str(version.patch_from("modules")).startswith(f"{minor}.")
    assert "@sha256:" in version.node_image


@pytest.mark.parametrize(
    ("fact", "below", "last", "since", "first"),
    [
        ("csr_api", "1.18", "v1beta1", "1.19", "v1"),
        ("lease_for_vnode", "1.13", False, "1.14", True),
        ("endpoints_right_needed", "1.13", True, "1.14", False),
        ("published_approver_works", "1.18", False, "1.19", True),
        ("ready_path", "1.15", "/healthz", "1.16", "/readyz"),
        ("insecure_port_flag", "1.23", True, "1.24", False),
        ("csr_apis_served", "1.21", ("v1", "v1beta1"), "1.22", ("v1",)),
    ],
)
def test_a_fact_changes_where_it_was_seen_to_change(
    fact: str, below: str, last: object, since: str, first: object
) -> None:
    """Each was measured on running servers; the table must not drift from that."""
    assert getattr(VERSIONS.resolve(below).facts, fact) == last
    assert getattr(VERSIONS.resolve(since).facts, fact) == first


def test_a_minor_takes_any_patch_and_a_patch_takes_only_itself() -> None:
    """The official release and the modules end at different patches."""
    minor, modules, official = (VERSIONS.resolve(each) for each in ("1.22", "v1.22.15", "1.22.17"))
    assert (minor.patch_from("official"), minor.patch_from("modules")) == ("1.22.17", "1.22.15")
    assert (modules.patch_from("official"), modules.patch_from("modules")) == ("1.22.15", "1.22.15")
    assert (official.patch_from("official"), official.patch_from("modules")) == ("1.22.17", None)
    assert [str(each) for each in (minor, modules, official)] == ["1.22", "1.22.15", "1.22.17"]


@pytest.mark.parametrize("wanted", ["1", "1.99", "1.2x", "1.22.1.1", "latest", ""])
def test_what_is_no_known_version_is_refused_with_the_range(wanted: str) -> None:
    """The line that a person sees says what is allowed."""
    with pytest.raises(UsageError, match=r"1\.13 to 1\.30"):
        VERSIONS.resolve(wanted)


def test_ranges_lists_and_all_expand_to_each_version_once_and_in_order() -> None:
    """1.9 would sort after 1.13 as text: order is the table's."""
    assert [str(each) for each in VERSIONS.expand(["1.15-1.17", "1.13", "1.16", "1.16.15"])] == [
        "1.13",
        "1.15",
        "1.16",
        "1.16.15",
        "1.17",
    ]
    assert len(VERSIONS.window("2024-02").expand(["all"])) == 10


def test_a_backward_range_is_refused_with_the_right_way_round() -> None:
    """It would otherwise be empty, and an empty run is no acceptance."""
    with pytest.raises(UsageError, match=r"1\.13-1\.22"):
        VERSIONS.expand(["1.22-1.13"])


def test_a_new_minor_is_added_by_data_alone() -> None:
    """It inherits the last value of every fact."""
    more: Versions = parse_versions(
        TEXT + '\n[[version]]\nminor = "1.31"\npages = []\nofficial = "1.31.14"\n'
    )
    assert more.resolve("1.31").facts == more.resolve("1.30").facts


def test_a_fact_that_the_code_does_not_know_is_a_bug_that_shows() -> None:
    """Data that nobody reads misleads."""
    extra = '[facts.unheard_of]\nabout = "nothing"\nsource = "nowhere"\nsince = { "1.13" = true }\n'
    with pytest.raises(ValueError, match="unheard_of"):
        parse_versions(TEXT + extra)
