"""`vnode-suite ram-policy`: what a RAM identity must be allowed for a live run."""

from __future__ import annotations

from collections.abc import Iterable

import click

from vnode_suite.cli.app import completing, examples, json_option, print_json, print_table


def region_names() -> Iterable[str]:
    """The regions that ECI is known to serve."""
    from vnode_suite.data.regions import load_regions

    return load_regions()


@click.command(
    "ram-policy",
    epilog=examples(
        "vnode-suite ram-policy --region cn-shanghai > policy.json",
        "vnode-suite ram-policy --read-only",
        "vnode-suite ram-policy --explain",
    ),
)
@click.option(
    "--region", metavar="REGION", shell_complete=completing(region_names), help="Only in this region."
)
@click.option("--account", metavar="ID", default="*", help="Only in this account.")
@click.option(
    "--read-only",
    is_flag=True,
    help="Only what `diagnose --live` and accepting a VNode made elsewhere need.",
)
@click.option("--explain", "explained", is_flag=True, help="Say what each action is needed for instead.")
@json_option
def ram_policy(region: str | None, account: str, read_only: bool, explained: bool, as_json: bool) -> None:
    """Print the RAM policy that a live run needs, and no more: JSON, as RAM takes it."""
    from vnode_suite.core.errors import UsageError
    from vnode_suite.eci.endpoints import check_region
    from vnode_suite.eci.ram_policy import explanations, policy

    if account != "*" and not account.isdigit():
        raise UsageError(f"--account {account} is no account id", wanted="digits")
    document = policy(check_region(region) if region else "*", account, read_only=read_only)
    if not explained:
        print_json(document)
        return
    granted = {action for statement in document["Statement"] for action in statement["Action"]}
    reasons = {action: why for action, why in explanations().items() if action in granted}
    if as_json:
        print_json(reasons)
        return
    print_table(("action", "needed for"), list(reasons.items()))
