"""What every verb shares: help, examples, completion, and how the command ends."""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click
import pytest

from vnode_suite.cli import VERBS, main
from vnode_suite.core.errors import ClusterError
from vnode_suite.core.modules import environment
from vnode_suite.core.secrets import Secret

if TYPE_CHECKING:
    from tests.cli.conftest import Command

#: Importing any of these takes longer than the help may.
_HEAVY = (
    "pytest",
    "kubernetes",
    "cryptography",
    "rich",
    "alibabacloud_eci20180808",
    "aiohttp",
    "yaml",
    "requests",
)


def _leaves(
    command: click.Command, path: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    if not isinstance(command, click.Group):
        yield path, command
        return
    context = click.Context(command)
    for name in command.list_commands(context):
        below = command.get_command(context, name)
        assert below is not None
        yield from _leaves(below, (*path, name))


LEAVES = dict(_leaves(main))


def _examples(command: click.Command) -> list[str]:
    return re.findall(r"vnode-suite [^\n]*", command.epilog or "")


def test_the_help_imports_nothing_heavy() -> None:
    """Help comes at once: no verb is imported to print it."""
    code = (
        "import sys; from vnode_suite.cli import main; main(['--help'], standalone_mode=False);"
        f"print([name for name in {_HEAVY!r} if name in sys.modules], file=sys.stderr);"
        "print(sorted(name for name in sys.modules if name.startswith('vnode_suite.')), file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment(), capture_output=True, text=True, check=True
    )
    heavy, ours = done.stderr.splitlines()
    assert heavy == "[]"
    assert ours == "['vnode_suite.cli', 'vnode_suite.cli.app']"
    assert all(verb.about in " ".join(done.stdout.split()) for verb in VERBS.values())


@pytest.mark.parametrize("path", LEAVES, ids=" ".join)
def test_every_verb_has_help_with_an_example_of_its_own(vnode_suite: Command, path: tuple[str, ...]) -> None:
    """Help says what the verb does and shows how it is called."""
    done = vnode_suite(*path, "--help")
    assert done.exit_code == 0, done.output
    assert f"vnode-suite {' '.join(path)}" in done.output.split("xample")[1]
    assert LEAVES[path].get_short_help_str()


@pytest.mark.parametrize(
    "example", [line for command in (main, *LEAVES.values()) for line in _examples(command)]
)
def test_every_example_in_the_help_is_understood(
    example: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Examples are parsed as the command parses them, in a folder that has the files that they name."""
    monkeypatch.chdir(tmp_path)
    for file in ("admin.conf", "vnode-config", "signer.pem", "signer.pub"):
        Path(file).touch()
    words = shlex.split(re.split(r" [<>|] ", example)[0])[1:]
    command: click.Command | None = main
    name: str | None = "vnode-suite"
    while isinstance(command, click.Group):
        context = click.Context(command, info_name=name)
        name, command, words = command.resolve_command(context, words)
    assert command is not None
    command.make_context(name, words)


def test_an_unknown_verb_names_near_ones(vnode_suite: Command) -> None:
    """Wrong usage is status 4 and one line."""
    done = vnode_suite("clauss")
    assert (done.exit_code, done.stdout) == (4, "")
    assert done.stderr.startswith("error: there is no verb 'clauss'; wanted: such as clauses")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["clauses", "--no-such"], "No such option"),
        (["clauses", "--lang", "fr"], "'fr' is not one of 'en', 'zh'"),
        (["cluster", "down"], "takes names, or --all"),
        (["report", "merge", "a"], "Missing option '--into'"),
        (["kubeconfig", "bootstrap", "--token-ttl", "soon"], "is no time"),
        (["completion", "tcsh"], "'tcsh' is not one of"),
    ],
)
def test_wrong_usage_of_a_verb_is_status_4(vnode_suite: Command, arguments: list[str], said: str) -> None:
    """Whether click or the suite finds it, it is one line that says what is wrong."""
    done = vnode_suite(*arguments)
    assert done.exit_code == 4
    assert said in done.stderr
    assert done.stderr.count("\n") == 1


def test_an_error_for_a_person_is_status_1(vnode_suite: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was wanted, found, and is to be done, on one line without a traceback."""

    def refuse() -> None:
        raise ClusterError("no such thing", wanted="a thing", remedy="make one")

    monkeypatch.setattr("vnode_suite.data.versions.load_versions", refuse)
    done = vnode_suite("versions")
    assert done.exit_code == 1
    assert done.stderr == "error: no such thing; wanted: a thing; what to do: make one\n"


def test_a_bug_is_status_3_and_shows_no_secret(vnode_suite: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bug is said to be one; its traceback comes only on demand, without secrets."""
    secret = Secret("wJalrXUtnFEMI-K7MDENG-bPxRfiCY")

    def break_down() -> None:
        raise RuntimeError(f"refused {secret.reveal()}")

    monkeypatch.setattr("vnode_suite.data.versions.load_versions", break_down)
    quiet, loud = vnode_suite("versions"), vnode_suite("versions", env={"VNODE_SUITE_DEBUG": "1"})
    assert (quiet.exit_code, loud.exit_code) == (3, 3)
    assert "internal error" in quiet.stderr
    assert "Traceback" not in quiet.stderr
    assert "Traceback" in loud.stderr
    assert secret.reveal() not in quiet.output + loud.output


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interruption_is_status_2(vnode_suite: Command, number: signal.Signals) -> None:
    """SIGTERM is answered as Ctrl-C is."""
    code = "import signal, sys; from vnode_suite.cli import main; print('x', flush=True); main()"
    process = subprocess.Popen(
        [sys.executable, "-c", code, "diagnose"],
        env=environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    process.stdout.readline()
    _await_reading(process.pid)
    process.send_signal(number)
    _, said = process.communicate(timeout=30)
    assert process.returncode == 2
    assert said.strip() == "error: interrupted"


def _await_reading(pid: int) -> None:
    """Wait until the process sleeps in a read of its standard input."""
    from vnode_suite.core.polling import poll

    def reads() -> bool | None:
        wait = Path(f"/proc/{pid}/wchan").read_text(encoding="ascii")
        call = Path(f"/proc/{pid}/syscall").read_text(encoding="ascii").split()
        return True if "pipe" in wait or call[:2] == ["0", "0x0"] else None

    poll(reads, what="the command to read", deadline_seconds=30)


def test_a_reader_that_has_enough_is_nobodys_mistake(vnode_suite: Command) -> None:
    """`vnode-suite clauses | head -1` leaves no error on the terminal."""
    process = vnode_suite.start("clauses", "--json")
    assert process.stdout is not None
    process.stdout.readline()
    process.stdout.close()
    assert process.wait(60) in (0, 128 + 13)
    assert process.stderr is not None
    assert process.stderr.read() == ""
    process.stderr.close()


def test_the_version_is_told(vnode_suite: Command) -> None:
    """Also where only a source tree is there."""
    done = vnode_suite("--version")
    assert done.exit_code == 0
    assert done.output.startswith("vnode-suite ")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_gets_a_completion_script(vnode_suite: Command, shell: str) -> None:
    """The script asks the command through the variable that the command heeds."""
    done = vnode_suite("completion", shell)
    assert done.exit_code == 0, done.output
    assert "_VNODE_SUITE_COMPLETE" in done.stdout


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("vnode-suite cl", ["clauses", "cluster"]),
        ("vnode-suite explain ds-0", ["DS-01", "DS-02"]),
        ("vnode-suite defects kube-proxy-not", ["kube-proxy-not-excluded"]),
        ("vnode-suite run --cloud e", ["emulator"]),
        ("vnode-suite run --region cn-sh", ["cn-shanghai", "cn-shenzhen"]),
        ("vnode-suite assets f", ["fetch"]),
    ],
)
def test_verbs_options_and_names_are_completed(vnode_suite: Command, words: str, expected: list[str]) -> None:
    """Bash is answered with every name that begins so."""
    asked = {
        "_VNODE_SUITE_COMPLETE": "bash_complete",
        "COMP_WORDS": words,
        "COMP_CWORD": str(len(words.split()) - 1),
    }
    done = vnode_suite.process(env={**environment(), **asked})
    answers = [line.partition(",")[2] for line in done.stdout.splitlines()]
    assert set(expected) <= set(answers), done
    assert all(each.lower().startswith(words.split()[-1].lower()) for each in answers)


def test_a_terminal_without_chinese_gets_an_answer(vnode_suite: Command) -> None:
    """What cannot be written is replaced; JSON is escaped instead, so that it stays true."""
    ascii_only = {**environment(), "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    plain = vnode_suite.process("explain", "DS-02", "--lang", "zh", env=ascii_only)
    assert (plain.returncode, plain.stderr) == (0, "")
    row = vnode_suite.process("explain", "DS-02", "--lang", "zh", "--json", env=ascii_only)
    assert row.returncode == 0
    assert "\\u" in row.stdout
    assert os.linesep in plain.stdout


def test_a_reader_that_wants_nothing_is_nobodys_mistake(vnode_suite: Command) -> None:
    """`vnode-suite clauses | true`: click's own answer, 1, would mean that a clause failed."""
    process = vnode_suite.start("clauses", "--json")
    assert process.stdout is not None
    process.stdout.close()
    assert process.wait(60) == 128 + 13
    assert process.stderr is not None
    assert process.stderr.read() == ""
