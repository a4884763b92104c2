"""The `vnode-suite` command: each verb is thin and calls one function of the room that does the work."""

from __future__ import annotations

import click

from vnode_suite.cli.app import Verb, VerbGroup, examples

_HERE = "vnode_suite.cli"
#: In the order of the help: first what accepts, then what explains, then what helps to set up and clean up.
VERBS = {
    "run": Verb(f"{_HERE}.run:run", "Accept VNodes, as pytest --region REGION does."),
    "clauses": Verb(f"{_HERE}.catalogue:clauses", "List the clauses that are judged."),
    "explain": Verb(
        f"{_HERE}.catalogue:explain", "Explain a clause: what it asks, how it is seen, what to do."
    ),
    "defects": Verb(f"{_HERE}.catalogue:defects", "List the defects that a run can be made to find."),
    "versions": Verb(
        f"{_HERE}.catalogue:versions", "List the Kubernetes versions, and what is there to run them."
    ),
    "diagnose": Verb(f"{_HERE}.diagnose:diagnose", "Name the cause that a VNode's events tell of."),
    "kubeconfig": Verb(f"{_HERE}.kubeconfig:kubeconfig", "Make the kubeconfig that a VNode is handed."),
    "ram-policy": Verb(f"{_HERE}.ram_policy:ram_policy", "Print the RAM policy that a live run needs."),
    "cluster": Verb(f"{_HERE}.cluster:cluster", "Keep a local control plane of any version."),
    "assets": Verb(f"{_HERE}.assets:assets", "List, fetch and verify the programs of control planes."),
    "emulator": Verb(f"{_HERE}.emulator:emulator", "Serve the ECI API with simulated VNodes behind it."),
    "report": Verb(f"{_HERE}.report:report", "Show, render, merge, compare and verify reports."),
    "sweep": Verb(f"{_HERE}.sweep:sweep", "Find, and remove, what killed runs left behind."),
    "completion": Verb(f"{_HERE}.completion:completion", "Print the completion script of a shell."),
}


def _print_version(ctx: click.Context, param: click.Parameter, wanted: bool) -> None:
    if not wanted or ctx.resilient_parsing:
        return
    from importlib.metadata import PackageNotFoundError, version

    try:
        number = version("vnode-suite")
    except PackageNotFoundError:
        number = "(a source tree that is not installed)"
    click.echo(f"vnode-suite {number}")
    ctx.exit()


@click.group(
    cls=VerbGroup,
    verbs=VERBS,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog=examples(
        "vnode-suite run --region cn-shanghai",
        "vnode-suite explain DS-02",
        "vnode-suite diagnose 'Get \"https://10.0.0.1:6443/version\": dial tcp 10.0.0.1:6443: i/o timeout'",
    ),
)
@click.option(
    "--version",
    is_flag=True,
    expose_value=False,
    is_eager=True,
    callback=_print_version,
    help="Print the version.",
)
def main() -> None:
    """Acceptance suite for Alibaba Cloud ECI VNodes connected by hand to a Kubernetes cluster of one's own.

    \b
    Exit status: 0 done, 1 failed, 2 interrupted, 3 a bug of the suite, 4 wrong usage.
    Where a verb has others, its help says so.
    """


__all__ = ["VERBS", "main"]
