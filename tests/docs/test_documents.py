"""What the documents say is so: links, commands, options, tables."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from vnode_suite.cli import VERBS
from vnode_suite.cli import main as command
from vnode_suite.data.catalogue import load_catalogue
from vnode_suite.data.defects import load_defects
from vnode_suite.model import Exit
from vnode_suite.model.verdict import WORST_FIRST
from vnode_suite.pytest_plugin.options import KUBECONFIG, OPTIONS

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), ROOT / "reports" / "README.md"])
EXAMPLES = sorted((ROOT / "examples" / "ci").glob("*.yml"))
TEXTS = [*DOCUMENTS, *EXAMPLES]


def fenced(text: str) -> list[str]:
    """The fenced blocks of a document."""
    return re.findall(r"^```[a-z]*\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def spoken_commands(path: Path) -> Iterator[list[str]]:
    """Every `vnode-suite ...` that a document tells to type, as words, from blocks and inline code."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".yml":
        lines = text.splitlines()
    else:
        prose = re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)
        lines = [line for block in fenced(text) for line in block.splitlines()]
        lines += re.findall(r"^    (\S.+)$", prose, re.MULTILINE)
        lines += [re.sub(r"\s+", " ", code) for code in re.findall(r"`([^`]+)`", prose)]
    for line in lines:
        for part in line.split(" | "):
            found = re.search(r"(?:^|run\.py )(?:\.venv/bin/)?vnode-suite (.+)", part.strip())
            if found:
                yield shlex.split(re.sub(r"(?:^|\s)#.*", "", found[1]))


def documents(paths: list[Path]) -> Any:
    return pytest.mark.parametrize("path", paths, ids=lambda path: path.relative_to(ROOT).as_posix())


@documents(DOCUMENTS)
def test_links_lead_somewhere(path: Path) -> None:
    """A relative link or picture names a file that is there."""
    text = path.read_text(encoding="utf-8")
    targets = [target for target in re.findall(r"\]\(([^)\s]+)\)", text) if "://" not in target]
    missing = [target for target in targets if not (path.parent / target.split("#")[0]).exists()]
    assert missing == []


@documents(TEXTS)
def test_commands_exist(path: Path) -> None:
    """Every `vnode-suite` command in a document has its verb, and the verb has its options."""
    for words in spoken_commands(path):
        if words[0].startswith("-"):
            continue
        assert words[0] in VERBS, f"no verb {words[0]}"
        context = click.Context(command)
        verb = command.get_command(context, words[0])
        for word in words[1:]:
            if (
                isinstance(verb, click.Group)
                and not word.startswith("-")
                and verb.get_command(context, word.split("|")[0])
            ):
                verb = verb.get_command(context, word.split("|")[0])
        assert verb is not None
        known = {flag for each in verb.get_params(context) for flag in (*each.opts, *each.secondary_opts)}
        said = {word.split("=")[0] for word in words[1:] if re.match(r"--[a-z]", word)}
        assert said <= known | {"--help"}, f"vnode-suite {shlex.join(words)}"


@documents(TEXTS)
def test_options_exist(path: Path) -> None:
    """Every `--vnode-...` in a document is an option of the plugin."""
    known = {f"--{option.flag}" for option in (*OPTIONS, KUBECONFIG)}
    said = set(re.findall(r"--vnode-[a-z0-9-]+", path.read_text(encoding="utf-8")))
    assert said - known == set()


@documents(TEXTS)
def test_clauses_and_defects_exist(path: Path) -> None:
    """A clause or defect that is used as an example is in the catalogue."""
    text = path.read_text(encoding="utf-8")
    clauses = {clause.id for clause in load_catalogue("2024-02").clauses}
    chapters = {clause.partition("-")[0] for clause in clauses}
    said = {found[0] for found in re.finditer(r"\b([A-Z]{2,6})-\d\d\b", text) if found[1] in chapters}
    assert said - clauses == set()
    assert set(re.findall(r"--(?:vnode-)?defect[ =]([a-z-]+)", text)) - set(load_defects().names) == set()


def test_first_two_blocks_are_the_two_commands() -> None:
    """The README's first two fenced blocks are one line each: the main job, and the project's own tests."""
    main_job, own_tests = fenced((ROOT / "README.md").read_text(encoding="utf-8"))[:2]
    assert main_job.count("\n") == own_tests.count("\n") == 1
    assert "--region" in main_job
    assert "pytest tests" in own_tests


def test_exit_statuses_are_the_real_ones() -> None:
    """The README's table has every exit status, and the order in which the worst wins."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    told = [int(number) for number in re.findall(r"^\| (\d+) \|", text, re.MULTILINE)]
    assert told == sorted(status.value for status in Exit)
    order = re.search(r"the worst wins: ([\d, ]+)", text)
    assert order is not None
    assert [int(number) for number in order[1].split(", ") if number.strip()] == [
        status.value for status in WORST_FIRST if status is not Exit.CONFORMANT
    ]


def test_number_of_clauses_is_the_real_one() -> None:
    """The README counts the clauses as the catalogue does."""
    told = re.search(r"into (\d+) clauses", (ROOT / "README.md").read_text(encoding="utf-8"))
    assert told is not None
    assert int(told[1]) == len(load_catalogue("2024-02").clauses)


def project() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def locked() -> dict[str, str]:
    """Version by package, as pinned."""
    pins = re.findall(
        r"^([a-z0-9][a-z0-9.-]*)==([^ ;\\]+)",
        (ROOT / "requirements.txt").read_text(encoding="utf-8"),
        re.MULTILINE,
    )
    return dict(pins)


def test_every_dependency_is_explained() -> None:
    """The table of dependencies has every one of them, with the version that is pinned, and no other."""
    text = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8").partition("## Dependencies")[2]
    rows = [
        line.split("|")
        for line in text.splitlines()
        if line.startswith("| ") and not line.startswith("| package")
    ]
    told = {name.strip(" *") for row in rows for name in re.sub(r"\*extra `\w+`:\*", "", row[1]).split(",")}
    described = project()["project"]
    extras = [each for group in described["optional-dependencies"].values() for each in group]
    assert told == {Requirement(each).name for each in (*described["dependencies"], *extras)}
    versions = {version for row in rows for version in re.findall(r"\d+\.\d+(?:\.\d+)*(?=, \d{4}-)", row[5])}
    pinned = {
        version for name, version in locked().items() if name in {canonicalize_name(one) for one in told}
    }
    assert versions - pinned <= {"22.11.1"}, "pytest-kind alone is pinned nowhere"
    assert pinned - versions == set()


def test_lock_holds_what_the_project_asks_for() -> None:
    """Every dependency and development group is pinned, within its bounds."""
    described, pins = project(), locked()
    groups = [each for group in described["dependency-groups"].values() for each in group]
    asked = [
        *described["project"]["dependencies"],
        *described["project"]["optional-dependencies"]["xdist"],
        *groups,
    ]
    for requirement in map(Requirement, asked):
        version = pins[canonicalize_name(requirement.name)]
        assert requirement.specifier.contains(version), (
            f"{requirement} is pinned at {version}: tox run -e lock"
        )


def test_both_locks_agree() -> None:
    """What packages are built with is pinned alike in both files."""
    build = (ROOT / "requirements-build.txt").read_text(encoding="utf-8")
    pins = locked()
    assert all(
        pins[name] == version
        for name, version in re.findall(r"^([a-z0-9-]+)==([^ ;\\]+)", build, re.MULTILINE)
    )


def tracked() -> list[Path]:
    """Text files that git knows, or would add."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if listed.returncode != 0:
        pytest.skip("no git checkout")
    return [ROOT / name for name in listed.stdout.splitlines() if (ROOT / name).is_file()]


def test_no_file_names_this_machine() -> None:
    """No tracked text names the folder of the checkout, or the home of whoever works on it."""
    places = {str(ROOT) + os.sep, str(Path.home()) + os.sep} - {"/"}
    named = [
        path.relative_to(ROOT).as_posix()
        for path in tracked()
        if any(place.encode() in path.read_bytes() for place in places)
    ]
    assert named == []


def test_ci_calls_the_commands_of_the_readme() -> None:
    """CI takes both commands from the README instead of repeating them."""
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert "$(readme 1)" in script
    assert "$(readme 2)" in script
