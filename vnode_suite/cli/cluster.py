"""`vnode-suite cluster`: a local control plane of any version, for as long as it is wanted."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import click

from vnode_suite.cli.app import completing, examples, json_option, print_json, print_table, say
from vnode_suite.cli.assets import version_names

if TYPE_CHECKING:
    from vnode_suite.cli.standing import Standing


def _standing_names() -> Iterable[str]:
    from vnode_suite.cli.standing import standing

    return [one.name for one in standing()]


@click.group()
def cluster() -> None:
    """Keep a local control plane of any version: etcd, API server, controller manager, scheduler.

    It has no nodes of its own. It stays until `down`, also after this terminal is closed; its certificates
    hold for two days.
    """


@cluster.command(
    epilog=examples(
        "vnode-suite cluster up",
        "vnode-suite cluster up 1.19",
        "vnode-suite cluster up 1.22.15 --name mine --json",
    )
)
@click.argument("version", required=False, shell_complete=completing(version_names))
@click.option("--name", help="What it is called; the version by default.")
@click.option(
    "--address",
    default="127.0.0.1",
    show_default=True,
    help="Address of this machine that its API server listens on, and nowhere else.",
)
@json_option
def up(version: str | None, name: str | None, address: str, as_json: bool) -> None:
    """Put up a control plane of VERSION (default: the newest of the page's window), or find it up."""
    import ipaddress

    from vnode_suite.cli.standing import up as put_up
    from vnode_suite.core.errors import UsageError
    from vnode_suite.core.progress import progress_for
    from vnode_suite.data.versions import load_versions

    try:
        ipaddress.ip_address(address)
    except ValueError:
        raise UsageError(f"--address {address} is no IP address") from None
    wanted = version or load_versions().window("2024-02").minors[-1]
    there, fresh = put_up(wanted, name, address=address, progress=progress_for())
    if as_json:
        print_json(there.as_dict())
        return
    click.echo(
        f"cluster {there.name} {'is up' if fresh else 'was up already'}: "
        f"Kubernetes {there.version} at {there.server}"
    )
    for line in _how_to_use(there):
        click.echo(f"  {line}")


def _how_to_use(there: Standing) -> Iterable[str]:
    import shlex

    path = shlex.quote(there.kubeconfig)
    yield f"export KUBECONFIG={path}"
    yield "kubectl get namespaces"
    yield f"vnode-suite run --region cn-shanghai --kubeconfig {path} --cloud emulator"
    yield f"vnode-suite cluster down {there.name}    # its certificates end {there.expires}"


@cluster.command("list", epilog=examples("vnode-suite cluster list", "vnode-suite cluster list --json"))
@json_option
def list_(as_json: bool) -> None:
    """List the control planes that were put up."""
    from vnode_suite.cli.standing import standing

    found = standing()
    if as_json:
        print_json([one.as_dict() for one in found])
        return
    if not found:
        say("no cluster is up: vnode-suite cluster up")
        return
    print_table(
        ("name", "version", "state", "server", "kubeconfig"),
        [(c.name, c.version, "up" if c.running else "dead", c.server, c.kubeconfig) for c in found],
    )


@cluster.command(epilog=examples("vnode-suite cluster down 1.22", "vnode-suite cluster down --all"))
@click.argument("names", nargs=-1, metavar="[NAME...]", shell_complete=completing(_standing_names))
@click.option("--all", "every", is_flag=True, help="All of them.")
def down(names: tuple[str, ...], every: bool) -> None:
    """Take down the control planes NAME; everything of theirs is removed."""
    from vnode_suite.cli.standing import down as take_down
    from vnode_suite.core.errors import UsageError

    if bool(names) == every:
        raise UsageError(
            "cluster down takes names, or --all", wanted="vnode-suite cluster list tells the names"
        )
    for name in _standing_names() if every else names:
        was_running = take_down(name)
        click.echo(f"cluster {name} is {'down' if was_running else 'removed; it had died before'}")
