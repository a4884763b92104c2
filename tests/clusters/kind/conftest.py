"""A stand-in for the docker command: answers what a test says, and writes down what it was asked."""

from __future__ import annotations

import json
import sys
import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from vnode_suite.clusters.kind.docker import Docker

_PROGRAM = textwrap.dedent(
    """\
    #!{python}
    import json, pathlib, sys

    home = pathlib.Path({home!r})
    argv = sys.argv[1:]
    with (home / "calls").open("a") as calls:
        calls.write(json.dumps(argv) + "\\n")
    for start, code, text in json.loads((home / "answers").read_text()):
        if argv[: len(start)] == start:
            print(text, file=sys.stderr if code else sys.stdout)
            sys.exit(code)
    """
)


@dataclass(frozen=True, slots=True)
class FakeDocker:
    """The docker under test, and what it was asked."""

    docker: Docker
    home: Path

    @property
    def calls(self) -> list[list[str]]:
        """Arguments of each call, in order."""
        file = self.home / "calls"
        return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


Answers = dict[tuple[str, ...], str | tuple[int, str]]


@pytest.fixture
def docker_that(tmp_path: Path) -> Callable[[Answers], FakeDocker]:
    """Make a docker that answers calls by how they begin; what is not named it answers with nothing."""

    def make(answers: Answers) -> FakeDocker:
        home = tmp_path / "docker"
        home.mkdir(exist_ok=True)
        rows = [
            [list(start), *((0, said) if isinstance(said, str) else said)] for start, said in answers.items()
        ]
        (home / "answers").write_text(json.dumps(rows))
        program = home / "docker"
        program.write_text(_PROGRAM.format(python=sys.executable, home=str(home)))
        program.chmod(0o755)
        return FakeDocker(Docker(str(program)), home)

    return make
