"""The frame of the command: verbs that are loaded when they are called, and one way to end.

Nothing but click is imported here at the top: help and completion must come at once.
"""

from __future__ import annotations

import functools
import importlib
import os
import signal
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import Any, NoReturn, TypeVar

import click
from click.shell_completion import CompletionItem

F = TypeVar("F", bound=Callable[..., Any])

PROGRAM = "vnode-suite"
#: What click's completion scripts ask through.
COMPLETE_VARIABLE = "_VNODE_SUITE_COMPLETE"
#: What a shell says of a program that SIGPIPE ended: `vnode-suite clauses | head -1` is nobody's mistake.
BROKEN_PIPE = 128 + 13
#: Shows where an internal error came from.
DEBUG_VARIABLE = "VNODE_SUITE_DEBUG"


class _NobodyReads(Exception):
    """Standard output was closed by its reader while a verb wrote to it."""


@dataclass(frozen=True, slots=True)
class Verb:
    """Where a verb is, as ``module:attribute``, and its line in the help."""

    where: str
    about: str


class VerbGroup(click.Group):
    """A group whose verbs are imported when they are called.

    Errors addressed to a person are one line and end with 1, wrong usage with 4, an interruption (SIGTERM
    too) with 2, a bug of the suite with 3. A verb that ends otherwise returns its status.
    """

    def __init__(self, *args: Any, verbs: Mapping[str, Verb], **options: Any) -> None:
        super().__init__(*args, **options)
        self.verbs = verbs

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The verbs, in the order of the help."""
        return list(self.verbs)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The verb, imported now."""
        verb = self.verbs.get(cmd_name)
        if verb is None:
            return None
        module, _, attribute = verb.where.partition(":")
        found: click.Command = getattr(importlib.import_module(module), attribute)
        return found

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click does it, but an unknown verb names those that come near."""
        if args[0] not in self.verbs and not args[0].startswith("-") and not ctx.resilient_parsing:
            from vnode_suite.data.tables import unknown_name

            raise unknown_name("verb", args[0], self.verbs)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The verbs with their lines, without importing any."""
        with formatter.section("Verbs"):
            formatter.write_dl([(name, verb.about) for name, verb in self.verbs.items()])

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Verbs and options that begin so, without importing any verb."""
        verbs = [
            CompletionItem(name, help=verb.about)
            for name, verb in self.verbs.items()
            if name.startswith(incomplete)
        ]
        return [*verbs, *click.Command.shell_complete(self, ctx, incomplete)]

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        **extra: Any,
    ) -> Any:
        """Run, and exit with the status that says how it went."""
        run = functools.partial(
            super().main, args, prog_name or PROGRAM, complete_var or COMPLETE_VARIABLE, False, **extra
        )
        if not standalone_mode:
            return run()
        sys.exit(_status(run))

    def invoke(self, ctx: click.Context) -> Any:
        """As any group; but click would end with 1 for output that nobody reads, as if the answer were no."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            raise _NobodyReads from None


def _status(act: Callable[[], Any]) -> int:
    from vnode_suite.model import Exit

    _encodable()
    try:
        with _sigterm_interrupts():
            answer = act()
            sys.stdout.flush()
        return int(answer) if isinstance(answer, int) else Exit.CONFORMANT
    except click.exceptions.NoArgsIsHelpError as wrong:
        wrong.show()
        return Exit.USAGE
    except click.UsageError as wrong:
        help_of = wrong.ctx.command_path if wrong.ctx else PROGRAM
        say_error(f"{wrong.format_message()} (see {help_of} --help)")
        return Exit.USAGE
    except click.ClickException as problem:
        say_error(problem.format_message())
        return Exit.REJECTED
    except (click.Abort, KeyboardInterrupt):
        say_error("interrupted")
        return Exit.INTERRUPTED
    except (BrokenPipeError, _NobodyReads):
        # What is still in the buffer has no reader either: the interpreter must not try to write it.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return BROKEN_PIPE
    except Exception as problem:
        return _told(problem)


def _told(problem: Exception) -> int:
    """Say what went wrong; the status that goes with it."""
    from vnode_suite.core.errors import SuiteError, UsageError
    from vnode_suite.model import Exit

    if isinstance(problem, UsageError):
        say_error(str(problem))
        return Exit.USAGE
    kube = sys.modules.get("vnode_suite.clusters.kube")
    if isinstance(problem, SuiteError) or (kube is not None and isinstance(problem, kube.KubeError)):
        say_error(str(problem))
        return Exit.REJECTED
    if isinstance(problem, OSError) and problem.filename is not None:
        say_error(f"{problem.filename}: {problem.strerror}")
        return Exit.REJECTED
    from vnode_suite.core.secrets import REGISTRY

    text, _ = REGISTRY.redact(f"{type(problem).__name__}: {problem}")
    say_error(f"internal error, a bug of the suite: {text} ({DEBUG_VARIABLE}=1 shows where)")
    if os.environ.get(DEBUG_VARIABLE):
        import traceback

        click.echo(REGISTRY.redact("".join(traceback.format_exception(problem)))[0], err=True)
    return Exit.INTERNAL


def _encodable() -> None:
    """A terminal that cannot write Chinese gets question marks rather than an error."""
    for stream in (sys.stdout, sys.stderr):
        if not speaks_unicode(stream) and hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")


def speaks_unicode(stream: Any) -> bool:
    """Whether every character can be written to *stream*."""
    return "utf" in str(getattr(stream, "encoding", "")).lower()


@contextmanager
def _sigterm_interrupts() -> Iterator[None]:
    """SIGTERM is answered as Ctrl-C is: everything that was begun is undone."""

    def interrupt(number: int, frame: FrameType | None) -> NoReturn:
        # timeout(1) and service managers signal a process and then its group: the second must not cut the
        # undoing short that the first began.
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def signals_wait() -> Iterator[None]:
    """While the block lasts Ctrl-C and SIGTERM change nothing: what is being undone must be undone."""
    before = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def say_error(text: str) -> None:
    """One line on standard error."""
    click.echo(f"{click.style('error', fg='red')}: {text}", err=True)


def say(text: str) -> None:
    """A remark for a person, on standard error: standard output is for the answer."""
    click.echo(text, err=True)


# -- what verbs share --------------------------------------------------------------------------------------


def examples(*lines: str) -> str:
    """The end of a verb's help."""
    return "\b\nExamples:\n" + "\n".join(f"  {line}" for line in lines)


def json_option(verb: F) -> F:
    """``--json``."""
    return click.option("--json", "as_json", is_flag=True, help="Answer in JSON, for programs.")(verb)


def lang_option(verb: F) -> F:
    """``--lang``: the language of sentences."""
    return click.option(
        "--lang",
        type=click.Choice(["en", "zh"]),
        default="en",
        show_default=True,
        help="Language of sentences.",
    )(verb)


def page_option(verb: F) -> F:
    """``--page-revision``: which revision of the vendor's page."""
    return click.option(
        "--page-revision",
        "revision",
        metavar="REVISION",
        default="2024-02",
        show_default=True,
        shell_complete=completing(_revisions),
        help="Revision of the vendor's page.",
    )(verb)


def _revisions() -> Iterable[str]:
    from vnode_suite.data.catalogue import revisions

    return revisions()


def completing(
    names: Callable[[], Iterable[str]],
) -> Callable[[click.Context, click.Parameter, str], list[CompletionItem]]:
    """Completes a value from *names*, which are looked up when they are asked for."""

    def complete(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        return [CompletionItem(name) for name in names() if name.lower().startswith(incomplete.lower())]

    return complete


def print_json(document: Any) -> None:
    """A document for a program."""
    import json

    click.echo(json.dumps(document, ensure_ascii=not speaks_unicode(sys.stdout), indent=2))


def print_table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Columns for a person; the last one is as wide as it likes."""
    from vnode_suite.report.terminal import columns

    lines = [list(heads), *(list(row) for row in rows)]
    widths = [max(columns(line[place]) for line in lines) for place in range(len(heads))]
    for number, line in enumerate(lines):
        cells = [cell + " " * (width - columns(cell)) for cell, width in zip(line, widths, strict=True)]
        text = "  ".join([*cells[:-1], line[-1]]).rstrip()
        click.echo(click.style(text, bold=True) if number == 0 else text)
