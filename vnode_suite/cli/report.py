"""`vnode-suite report`: what can be done with the report of a run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from vnode_suite.cli.app import examples, json_option, lang_option, print_json, say

if TYPE_CHECKING:
    from vnode_suite.model import Language

_NEWEST = Path("reports", "latest")
_RUN = click.Path(path_type=Path)
_KEY = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.group()
def report() -> None:
    """Show, render, merge, compare and verify reports.

    RUN is the folder of a run, or its report.json; where it may be left out it is reports/latest.
    """


@report.command(
    epilog=examples("vnode-suite report show", "vnode-suite report show reports/3f9a1c20 --lang zh")
)
@click.argument("run", type=_RUN, default=_NEWEST)
@lang_option
@json_option
def show(run: Path, lang: Language, as_json: bool) -> None:
    """Show the verdict of RUN and what matters of it, on one screen."""
    import sys

    from vnode_suite.report.document import load, to_json
    from vnode_suite.report.terminal import colour_wanted, summary

    there = load(run)
    if as_json:
        print_json(to_json(there))
        return
    where = run if run.is_dir() else run.parent
    click.echo(summary(there, lang, colour=colour_wanted(sys.stdout), where=str(where)))


@report.command(
    epilog=examples(
        "vnode-suite report render reports/3f9a1c20 --lang zh",
        "vnode-suite report render events.jsonl --into rendered",
    )
)
@click.argument("run", type=_RUN, default=_NEWEST)
@click.option("--into", type=_RUN, help="Folder to write to, instead of the run's own.")
@click.option(
    "--lang", type=click.Choice(["en", "zh"]), help="Language that it opens in; the run's own by default."
)
def render(run: Path, into: Path | None, lang: Language | None) -> int:
    """Write the reports of RUN anew from its ledger: also of a run that was killed."""
    from vnode_suite.data.catalogue import load_catalogue
    from vnode_suite.model import Exit
    from vnode_suite.report.render import render as write

    made = write(run, load_catalogue(_revision(run)), lang, into=into)
    for path in made.paths:
        click.echo(str(path))
    if not made.leaks:
        return Exit.CONFORMANT
    say(f"secrets were found in {len(made.leaks)} places of the finished files: see the report")
    return Exit.HARNESS


@report.command(
    epilog=examples("vnode-suite report merge reports/3f9a1c20 reports/77d0e1b4 --into reports/merged")
)
@click.argument("runs", type=_RUN, nargs=-1, required=True)
@click.option("--into", type=_RUN, required=True, help="Folder for the merged run; it must hold none yet.")
@lang_option
def merge(runs: tuple[Path, ...], into: Path, lang: Language) -> int:
    """Join RUNS, the jobs of one acceptance, into one report; ends with the status of its verdict."""
    import sys

    from vnode_suite.data.catalogue import load_catalogue
    from vnode_suite.report.merge import merge_runs
    from vnode_suite.report.terminal import colour_wanted, summary

    made = merge_runs(runs, into, load_catalogue(_revision(runs[0])), lang)
    click.echo(summary(made.report, lang, colour=colour_wanted(sys.stdout), where=str(into)))
    return made.report.verdict.exit_status


@report.command(epilog=examples("vnode-suite report diff reports/3f9a1c20 reports/latest"))
@click.argument("before", type=_RUN)
@click.argument("after", type=_RUN, default=_NEWEST)
@lang_option
@json_option
def diff(before: Path, after: Path, lang: Language, as_json: bool) -> int:
    """Say what changed from BEFORE to AFTER; ends with 1 if a clause ended worse."""
    from vnode_suite.report.diff import diff as compare
    from vnode_suite.report.diff import render_diff
    from vnode_suite.report.document import load

    found = compare(load(before), load(after))
    if as_json:
        print_json(found.to_json())
    else:
        click.echo(render_diff(found, lang), nl=False)
    return 1 if found.worse else 0


@report.command(
    epilog=examples(
        "vnode-suite report verify", "vnode-suite report verify reports/3f9a1c20 --public-key signer.pub"
    )
)
@click.argument("run", type=_RUN, default=_NEWEST)
@click.option("--public-key", type=_KEY, help="Ed25519 key, as PEM, that the statement was signed with.")
@json_option
def verify(run: Path, public_key: Path | None, as_json: bool) -> int:
    """Say whether any file of RUN was changed since it was written; ends with 1 if so."""
    import dataclasses

    from vnode_suite.report.integrity import verify as check

    found = check(_folder(run), public_key)
    if as_json:
        print_json({"sound": found.sound, **dataclasses.asdict(found)})
        return 0 if found.sound else 1
    for kind, names in (("changed", found.changed), ("missing", found.missing), ("unknown", found.unknown)):
        for name in names:
            click.echo(f"{kind}: {name}")
    if found.problem:
        click.echo(found.problem)
    said = "sound" if found.sound else "not sound"
    click.echo(f"{said}: {len(found.intact)} files as they were written; signature: {found.signature}")
    return 0 if found.sound else 1


@report.command(epilog=examples("vnode-suite report sign reports/3f9a1c20 --key signer.pem"))
@click.argument("run", type=_RUN, default=_NEWEST)
@click.option("--key", type=_KEY, required=True, help="Your Ed25519 private key, as PEM.")
def sign(run: Path, key: Path) -> None:
    """Sign the statement about the files of RUN."""
    from vnode_suite.core.errors import UsageError
    from vnode_suite.report.integrity import STATEMENT
    from vnode_suite.report.integrity import sign as write

    folder = _folder(run)
    if not (folder / STATEMENT).is_file():
        raise UsageError(f"{folder} has no {STATEMENT} to sign", remedy="vnode-suite report render writes it")
    click.echo(str(write(folder, key)))


@report.command(epilog=examples("vnode-suite report schema", "vnode-suite report schema --events"))
@click.option("--events", is_flag=True, help="Of the ledger's events instead.")
@click.option("--markdown", is_flag=True, help="As a page for people.")
def schema(events: bool, markdown: bool) -> None:
    """Print the JSON schema of report.json."""
    from vnode_suite.core.errors import UsageError
    from vnode_suite.report.document import schema as read
    from vnode_suite.report.reference import markdown as page

    if events and markdown:
        raise UsageError("--markdown is of report.json alone", remedy="leave --events away")
    if markdown:
        click.echo(page(read()), nl=False)
    else:
        print_json(read("events.v1" if events else "report.v1"))


def _folder(run: Path) -> Path:
    from vnode_suite.core.errors import UsageError

    folder = run if run.is_dir() else run.parent
    if not run.exists():
        raise UsageError(f"there is no run in {run}", wanted="the folder of a run")
    return folder


def _revision(run: Path) -> str:
    """The page revision that a run's ledger names."""
    from vnode_suite.core.errors import UsageError
    from vnode_suite.core.ledger import merge as events
    from vnode_suite.report.render import ledgers

    if not run.exists():
        raise UsageError(f"there is no run in {run}", wanted="the folder of a run, or its events.jsonl")
    started = next((event for event in events(ledgers(run)) if event.get("type") == "run-started"), None)
    if started is None:
        raise UsageError(f"{run} holds no run", wanted="a ledger with a run-started event")
    return str(started.get("page_revision"))
