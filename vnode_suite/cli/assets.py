"""`vnode-suite assets`: the store of control planes' programs."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import click

from vnode_suite.cli.app import (
    completing,
    examples,
    json_option,
    page_option,
    print_json,
    print_table,
    say,
    say_error,
)

if TYPE_CHECKING:
    from vnode_suite.clusters.local.sources import Source
    from vnode_suite.clusters.local.store import StoreEntry
    from vnode_suite.data.versions import KubernetesVersion


def version_names() -> Iterable[str]:
    """What `fetch` takes."""
    from vnode_suite.data.versions import load_versions

    return ["all", *load_versions().minors]


@click.group()
def assets() -> None:
    """The programs of control planes, kept between runs.

    They are in the user's cache, or in the folder that VNODE_SUITE_ASSETS names.
    """


@assets.command("list", epilog=examples("vnode-suite assets list", "vnode-suite assets list --json"))
@json_option
def list_(as_json: bool) -> None:
    """List what is in the store."""
    from vnode_suite.clusters.local.store import Store

    store = Store.default()
    entries = store.entries()
    if as_json:
        print_json([_row(entry) for entry in entries])
        return
    if not entries:
        say(f"the store {store.root} is empty")
        return
    say(f"{store.root}, {sum(entry.size for entry in entries) >> 20} MiB")
    print_table(
        ("version", "component", "MiB", "sha256", "source"),
        [
            (e.version, e.component, str(e.size >> 20), e.sha256[:12], str(e.provenance.get("source", "?")))
            for e in entries
        ],
    )


def _row(entry: StoreEntry) -> dict[str, Any]:
    return {
        "version": entry.version,
        "component": entry.component,
        "path": str(entry.path),
        "sha256": entry.sha256,
        "size": entry.size,
        "provenance": dict(entry.provenance),
    }


@assets.command(
    epilog=examples(
        "vnode-suite assets fetch",
        "vnode-suite assets fetch 1.19 1.22.15",
        "vnode-suite assets fetch 1.13-1.16",
        "vnode-suite assets fetch all",
    )
)
@click.argument("wanted", nargs=-1, metavar="[VERSION...|all]", shell_complete=completing(version_names))
@page_option
def fetch(wanted: tuple[str, ...], revision: str) -> None:
    """Put the programs of VERSION into the store: downloaded, or built where there is no download.

    Without VERSION the newest of the page's window, which a run takes by default; `all` is the whole window.
    Versions are fetched one after the other. It may be interrupted at any time: what is whole stays, and the
    same command goes on from there. One that cannot be had keeps none of the others from being fetched.
    """
    from vnode_suite.clusters.local.assets import obtain_binaries
    from vnode_suite.clusters.local.sources.folder import StoredPrograms
    from vnode_suite.clusters.local.sources.modules import ModuleBuilds
    from vnode_suite.clusters.local.sources.release import ReleaseDownload
    from vnode_suite.clusters.local.store import Store
    from vnode_suite.core.errors import AssetsError
    from vnode_suite.core.progress import progress_for

    store, versions = Store.default(), _asked(wanted, revision)
    # Not the user's own folder: what it holds is not in the store.
    sources: list[Source] = [StoredPrograms(store), ReleaseDownload(store), ModuleBuilds(store)]
    missing = []
    for number, version in enumerate(versions, start=1):
        say(f"Kubernetes {version} ({number} of {len(versions)})")
        try:
            got = obtain_binaries(version, store=store, sources=sources, progress=progress_for())
        except AssetsError as problem:
            say_error(str(problem))
            missing.append(str(version))
            continue
        except KeyboardInterrupt:
            say(f"{number - 1} of {len(versions)} are in the store; the same command goes on from there")
            raise
        click.echo(f"{got.version} is in the store ({got.api_server.provenance.get('source', '?')})")
    if missing:
        raise AssetsError(f"{', '.join(missing)} cannot be had", remedy="see the reasons above")


def _asked(wanted: tuple[str, ...], revision: str) -> tuple[KubernetesVersion, ...]:
    from vnode_suite.data.versions import load_versions

    window = load_versions().window(revision)
    if not wanted:
        return window.all[-1:]
    return window.all if "all" in wanted else load_versions().expand(wanted)


@assets.command(
    "node-image",
    epilog=examples(
        "sudo -E vnode-suite assets node-image 1.22", "vnode-suite run --cluster kind --k8s-version 1.22"
    ),
)
@click.argument("wanted", metavar="VERSION", shell_complete=completing(version_names))
@json_option
def node_image(wanted: str, as_json: bool) -> None:
    """Build a node image for kind, where none can be pulled.

    Of Debian packages (debootstrap), Go modules and PyPI's etcd, without a registry; needs root and Docker, and
    takes some minutes. `--cluster kind` then finds it. Where kind's published images can be pulled, nobody needs it.
    """
    from vnode_suite.clusters.kind.docker import Docker
    from vnode_suite.clusters.kind.nodeimage.build import build_node_image
    from vnode_suite.clusters.local.store import Store
    from vnode_suite.core.progress import progress_for
    from vnode_suite.data.versions import load_versions

    image = build_node_image(
        load_versions().resolve(wanted), store=Store.default(), docker=Docker.find(), progress=progress_for()
    )
    if as_json:
        print_json(
            {
                "reference": image.reference,
                "id": image.id,
                "seconds": image.seconds,
                "provenance": dict(image.provenance),
            }
        )
        return
    click.echo(f"{image.reference} ({image.id}), built in {image.seconds:g} s")
    for deviation in image.provenance["deviations"]:
        say(f"  {deviation}")


@assets.command(epilog=examples("vnode-suite assets verify", "vnode-suite assets verify --json"))
@json_option
def verify(as_json: bool) -> int:
    """Hash every program anew and compare it with what was put in; ends with 1 if one is damaged."""
    from vnode_suite.clusters.local.store import Store
    from vnode_suite.core.progress import progress_for

    store = Store.default()
    with progress_for().task("hashing the store"):
        results = store.verify()
    damaged = [one for one in results if one.problem]
    if as_json:
        print_json(
            [{"version": r.version, "component": r.component, "problem": r.problem or None} for r in results]
        )
    else:
        for one in damaged:
            click.echo(f"{one.component} {one.version} is damaged: {one.problem}")
        click.echo(f"{len(results) - len(damaged)} of {len(results)} programs are what was put in")
    return 1 if damaged else 0
