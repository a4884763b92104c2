"""`vnode-suite completion`: the script that makes a shell complete verbs, options and names."""

from __future__ import annotations

import click

from vnode_suite.cli.app import COMPLETE_VARIABLE, PROGRAM, examples


@click.command(
    epilog=examples(
        "vnode-suite completion bash > ~/.local/share/bash-completion/completions/vnode-suite",
        "vnode-suite completion zsh > ~/.zfunc/_vnode-suite",
        "vnode-suite completion fish > ~/.config/fish/completions/vnode-suite.fish",
    )
)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print the completion script of SHELL."""
    from click.shell_completion import get_completion_class

    root = click.get_current_context().find_root().command
    kind = get_completion_class(shell)
    if kind is None:
        raise click.ClickException(f"click knows no completion for {shell}")
    script = kind(root, {}, PROGRAM, COMPLETE_VARIABLE)
    # source() of bash first asks the machine's bash for its version; the script may be for another machine.
    click.echo(script.source_template % script.source_vars())
