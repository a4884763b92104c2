"""`vnode-suite kubeconfig`: make the kubeconfig that a VNode is handed, in the open."""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import click
import yaml

from vnode_suite.access import deployment, generate, objects
from vnode_suite.access import kubeconfig as configs
from vnode_suite.access.creating import Making
from vnode_suite.access.kubeconfig import AdminCluster
from vnode_suite.access.objects import BootstrapToken, Json, Naming
from vnode_suite.clusters.kube import KubeClient, KubeError
from vnode_suite.clusters.kubeconfig import read_kubeconfig_files
from vnode_suite.core.errors import ClusterError, SuiteError, UsageError
from vnode_suite.data.versions import KubernetesVersion, load_versions
from vnode_suite.model import Exit

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_MASK = "<masked>"
_APPROVER_IS_BLIND = (
    "the published approver cannot work on {}: it watches certificates.k8s.io/v1, which exists from 1.19 on. "
    "Requests will stay Pending until somebody approves them (kubectl certificate approve NAME)."
)


if TYPE_CHECKING:
    _LifeType = click.ParamType[timedelta | None]
else:
    # click 8.2's ParamType takes no type argument when the program runs.
    _LifeType = click.ParamType


class Life(_LifeType):
    """A time such as 30m, 24h or 10d, or `never`."""

    name = "DURATION|never"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> timedelta | None:
        """A timedelta; None for `never`."""
        if value is None or isinstance(value, timedelta) or value == "never":
            return value if isinstance(value, timedelta) else None
        found = re.fullmatch(r"([1-9]\d{0,8})([smhd])", str(value))
        if not found:
            self.fail(
                f"{value!r} is no time; wanted: a number with s, m, h or d such as 24h, or never", param, ctx
            )
        return timedelta(seconds=int(found[1]) * _UNITS[found[2]])


@dataclass(frozen=True, slots=True)
class _Options:
    """What both verbs are told."""

    admin: str
    context: str | None
    output: str
    server: str | None
    extra_privilege: bool
    dry_run: bool


def _common(verb: Callable[..., None]) -> Callable[..., None]:
    options = (
        click.option(
            "--kubeconfig",
            "admin",
            metavar="FILE",
            envvar="KUBECONFIG",
            default=str(Path("~", ".kube", "config")),
            show_default=True,
            help="Kubeconfig of a cluster administrator.",
        ),
        click.option("--context", metavar="NAME", help="Context in it, instead of the current one."),
        click.option(
            "--output",
            metavar="FILE",
            default=configs.FILE_NAME,
            show_default=True,
            help="Where the result goes (mode 0600); - for standard output.",
        ),
        click.option(
            "--server",
            metavar="URL",
            help="API server's address as the VNode's VPC reaches it, if the administrator uses another.",
        ),
        click.option(
            "--extra-privilege",
            is_flag=True,
            help="Also create and update of endpoints: for 1.13 only. EXTRA_PRIVILEDGE=true means the same.",
        ),
        click.option(
            "--dry-run", is_flag=True, help="Print the objects, secrets masked, and change nothing."
        ),
    )

    @functools.wraps(verb)
    def told(**given: Any) -> None:
        extra = bool(given.pop("extra_privilege")) or _alias()
        mine = {name: given.pop(name) for name in ("admin", "context", "output", "server", "dry_run")}
        try:
            verb(_Options(extra_privilege=extra, **mine), **given)
        except UsageError as wrong:
            _fail(wrong, Exit.USAGE)
        except (SuiteError, KubeError) as problem:
            _fail(problem, Exit.REJECTED)

    for option in reversed(options):
        told = option(told)
    return told


@click.group()
def kubeconfig() -> None:
    """Make the kubeconfig that a VNode is handed, with the rights it needs.

    Does in the open what the vendor's script is documented to do, without downloading anything to run it.
    """


@kubeconfig.command(
    epilog="Example: vnode-suite kubeconfig bootstrap --server https://10.16.0.5:6443 --token-ttl 2h"
)
@_common
@click.option(
    "--token-ttl",
    "token_life",
    type=Life(),
    default="24h",
    show_default=True,
    help="Life of the bootstrap token.",
)
@click.option(
    "--approver",
    type=click.Choice(["published", "none"]),
    default="published",
    show_default=True,
    help="Deploy the vendor's published approver, or leave approving to you.",
)
def bootstrap(options: _Options, token_life: timedelta | None, approver: str) -> None:
    """TLS bootstrap: a token to ask for a certificate with, and an approver that grants it."""
    cluster = _read(options)
    naming, deployed = Naming(), deployment.published_objects(Naming()) if approver == "published" else ()
    with KubeClient.from_kubeconfig_file(options.admin, options.context) as kube:
        version = _look_at(kube, options)
        _warn_of_version(version, options)
        if deployed and version is not None and not version.facts.published_approver_works:
            _warn(_APPROVER_IS_BLIND.format(version.minor))
        if not deployed:
            _warn("no approver is deployed: the VNode's request stays Pending until somebody approves it")
        expires = None if token_life is None else datetime.now(UTC) + token_life
        token = BootstrapToken.fresh()
        bodies = generate.bootstrap_objects(
            naming, token, expires=expires, extra_privilege=options.extra_privilege
        )
        if options.dry_run:
            _print((*deployed, *bodies), cluster, options)
            return
        making = Making(kube)
        _refuse_without_rights(making, (*deployed, *bodies))
        _deploy(making, deployed)
        made = generate.generate_bootstrap(
            making,
            cluster,
            naming,
            extra_privilege=options.extra_privilege,
            token_life=token_life,
            server=options.server,
        )
    _finish(made, options, tls_bootstrap=True)


@kubeconfig.command(epilog="Example: vnode-suite kubeconfig serviceaccount --token-ttl never")
@_common
@click.option(
    "--token-ttl",
    "token_life",
    type=Life(),
    default="never",
    show_default=True,
    help="Life of the token, 10m at least. A VNode does not renew it.",
)
def serviceaccount(options: _Options, token_life: timedelta | None) -> None:
    """ServiceAccount: a token that lives as long as the VNode is to."""
    cluster = _read(options)
    if token_life is not None and token_life < generate.SHORTEST_TOKEN:
        raise UsageError(
            "no ServiceAccount token can live that short", wanted="--token-ttl of 10m or more, or never"
        )
    with KubeClient.from_kubeconfig_file(options.admin, options.context) as kube:
        _warn_of_version(_look_at(kube, options), options)
        if token_life is not None:
            _warn("a VNode does not renew this token: replace the VNode before it ends")
        bodies = generate.serviceaccount_objects(
            Naming(), extra_privilege=options.extra_privilege, with_secret=token_life is None
        )
        if options.dry_run:
            _print(bodies, cluster, options)
            return
        making = Making(kube)
        _refuse_without_rights(making, bodies)
        made = generate.generate_serviceaccount(
            making,
            cluster,
            Naming(),
            extra_privilege=options.extra_privilege,
            token_life=token_life,
            server=options.server,
        )
    _finish(made, options, tls_bootstrap=False)


def _read(options: _Options) -> AdminCluster:
    """The admin kubeconfig, with everything that can be said before the cluster is asked."""
    if options.server is not None and (
        urlsplit(options.server).scheme != "https" or not urlsplit(options.server).hostname
    ):
        raise UsageError(
            f"--server {options.server} is no address of an API server", wanted="https://HOST:PORT"
        )
    if options.output != "-" and not options.dry_run:
        _check_output(Path(options.output))
    cluster = configs.admin_cluster(read_kubeconfig_files(options.admin), options.context)
    if cluster.ca_path is not None:
        _say(
            f"the admin kubeconfig names its CA by the path {cluster.ca_path}: read, and put inline "
            "(certificate-authority-data would come out empty otherwise)"
        )
    host = urlsplit(options.server).hostname if options.server else cluster.host
    if configs.is_loopback(host or ""):
        _warn(
            f"the server is {host}, which on a VNode means the VNode itself: it cannot join with this. "
            "Give the address that its VPC reaches with --server."
        )
    return cluster


def _look_at(kube: KubeClient, options: _Options) -> KubernetesVersion | None:
    """The server's version as the table knows it; None where it cannot be learnt or is outside the table."""
    try:
        said = str(kube.server_version().get("gitVersion", ""))
    except ClusterError as problem:
        if not options.dry_run:
            raise
        _warn(f"the API server was not asked for its version: {problem}")
        return None
    with suppress(UsageError):
        return load_versions().resolve(".".join(said.split(".")[:2]))
    _warn(f"the server is {said}, which no revision of the page covers")
    return None


def _warn_of_version(version: KubernetesVersion | None, options: _Options) -> None:
    if version is None:
        return
    if version.facts.endpoints_right_needed and not options.extra_privilege:
        _warn(
            f"on {version.minor} a VNode also needs rights on endpoints (leader lock): add --extra-privilege"
        )
    if options.extra_privilege and not version.facts.endpoints_right_needed:
        _warn(
            f"--extra-privilege serves nothing on {version.minor}: endpoints rights are needed on 1.13 only"
        )


def _refuse_without_rights(making: Making, bodies: Iterable[Json]) -> None:
    missing = making.missing_rights(bodies)
    if missing:
        raise configs.RightMissing(
            f"the kubeconfig's user may not {', '.join(missing)}",
            wanted="a cluster administrator's kubeconfig",
            found="nothing was changed",
        )


def _deploy(making: Making, deployed: tuple[Json, ...]) -> None:
    if not deployed:
        return
    try:
        labels = making.kube.get(objects.path(deployed[-1]))["metadata"].get("labels") or {}
    except KubeError as problem:
        if problem.status != 404:
            raise
    else:
        if labels.get(objects.MANAGED_BY) != objects.SUITE:
            _say(f"Deployment {deployed[-1]['metadata']['name']} is there already: left as it is")
            return
    for body in deployed:
        made = making.ensure(body)
        _say(f"{body['kind']} {body['metadata']['name']}: {'created' if made.fresh else 'is there'}")


def _finish(made: generate.Generated, options: _Options, *, tls_bootstrap: bool) -> None:
    for name in made.created:
        _say(f"{name}: stands")
    _say(f"it authenticates as {made.username}; the token ends {made.expires or 'never'}")
    if options.output == "-":
        click.echo(made.kubeconfig.reveal(), nl=False)
    else:
        _write(Path(options.output), made.kubeconfig.reveal())
        _say(f"written to {options.output} (mode 0600)")
    flag = "true" if tls_bootstrap else "false"
    _say(f"hand it to CreateVirtualNode as KubeConfig (Base64), with TlsBootstrapEnabled={flag}")


def _print(bodies: Iterable[Json], cluster: AdminCluster, options: _Options) -> None:
    """The objects and the kubeconfig as YAML documents; secrets masked."""
    shown = [objects.masked(body) for body in bodies]
    shown.append(yaml.safe_load(configs.build(cluster, {"token": _MASK}, server=options.server)))
    click.echo(yaml.safe_dump_all(shown, sort_keys=False, explicit_start=True), nl=False)
    _say("dry run: nothing was changed")


def _check_output(path: Path) -> None:
    """Refuse to write over anything but an earlier result."""
    if not path.exists():
        return
    try:
        ours = configs.view(path.read_text(encoding="utf-8")).user == configs.USER
    except (OSError, ValueError):
        ours = False
    if not ours:
        raise UsageError(
            f"{path} is there already and is no kubeconfig for a VNode",
            remedy="choose another file with --output",
        )


def _write(path: Path, text: str) -> None:
    """Write with mode 0600 from the first byte, and all or nothing."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
        draft.replace(path)
    except OSError as problem:
        draft.unlink(missing_ok=True)
        raise UsageError(f"{path} cannot be written", found=problem.strerror) from None


def _alias() -> bool:
    # Spelt as the page spells it.
    return os.environ.get("EXTRA_PRIVILEDGE", "").strip().lower() in ("true", "1", "yes")


def _say(message: str) -> None:
    click.echo(message, err=True)


def _warn(message: str) -> None:
    click.echo(f"{click.style('warning', fg='yellow')}: {message}", err=True)


def _fail(problem: Exception, status: Exit) -> None:
    click.echo(f"{click.style('error', fg='red')}: {problem}", err=True)
    raise click.exceptions.Exit(int(status))
