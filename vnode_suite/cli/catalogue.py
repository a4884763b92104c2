"""`vnode-suite versions`, `clauses`, `explain`, `defects`: what the suite knows, from its tables."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from vnode_suite.cli.app import (
    completing,
    examples,
    json_option,
    lang_option,
    page_option,
    print_json,
    print_table,
)

if TYPE_CHECKING:
    from vnode_suite.clusters.local.store import Store
    from vnode_suite.data.catalogue import Catalogue
    from vnode_suite.data.versions import KubernetesVersion
    from vnode_suite.model import Clause, Defect, Language


def clause_names() -> Iterable[str]:
    from vnode_suite.data.catalogue import load_catalogue, revisions

    clauses = load_catalogue(revisions()[0]).clauses
    return [*dict.fromkeys(clause.chapter for clause in clauses), *(clause.id for clause in clauses)]


def defect_names() -> Iterable[str]:
    from vnode_suite.data.defects import load_defects

    return load_defects().names


# -- clauses -----------------------------------------------------------------------------------------------


@click.command(
    epilog=examples(
        "vnode-suite clauses",
        "vnode-suite clauses PORT DS-02",
        "vnode-suite clauses --section kube-proxy",
        "vnode-suite clauses --page-revision 2025-07 --json",
    )
)
@click.argument("ids", nargs=-1, metavar="[ID...]", shell_complete=completing(clause_names))
@click.option(
    "--section", metavar="TEXT", help="Only those from a section of the page whose name holds TEXT."
)
@page_option
@lang_option
@json_option
def clauses(ids: tuple[str, ...], section: str | None, revision: str, lang: Language, as_json: bool) -> None:
    """List the clauses that are judged: all, or those that the IDs and chapters name.

    In JSON, an empty list in `applies` means all; `control` names the defects that show in a run that the
    check can fail.
    """
    from vnode_suite.data.catalogue import load_catalogue

    catalogue = load_catalogue(revision)
    chosen = catalogue.select(ids) if ids else catalogue.clauses
    if section is not None:
        chosen = _of_section(section, chosen, lang)
    if as_json:
        checks = _check_names()
        print_json([clause_row(clause, checks, lang) for clause in chosen])
        return
    print_table(
        ("clause", "level", "basis", "profile", "title"),
        [(c.id, c.level.value, c.basis.value, c.profile, _marked(c, lang)) for c in chosen],
    )


def _of_section(wanted: str, clauses: Iterable[Clause], lang: Language) -> tuple[Clause, ...]:
    """The clauses whose section of the page, in either language, holds *wanted*."""
    from vnode_suite.core.errors import UsageError

    known = dict.fromkeys(clause.page_section for clause in clauses)
    sections = [each for each in known if any(wanted.lower() in text.lower() for text in (each.en, each.zh))]
    if not sections:
        raise UsageError(
            f"no section of the page is called {wanted!r}", wanted="; ".join(s.of(lang) for s in known)
        )
    return tuple(clause for clause in clauses if clause.page_section in sections)


def _marked(clause: Clause, lang: Language) -> str:
    title = clause.title.of(lang)
    if clause.excluded is None:
        return title
    return f"{title} ({'不可由程序观测' if lang == 'zh' else 'excluded: no program can observe it'})"


def clause_row(clause: Clause, checks: Mapping[str, str], lang: Language) -> dict[str, Any]:
    """One item of `clauses --json`; sentences are in *lang*."""
    from vnode_suite.data.defects import load_defects

    applies = clause.applies
    return {
        "id": clause.id,
        "level": clause.level.value,
        "basis": clause.basis.value,
        "applies": {
            "minors": list(applies.minors),
            "identities": list(applies.identities),
            "clouds": list(applies.clouds),
            "sites": list(applies.sites),
            "conditions": list(applies.conditions),
        },
        "page_section": clause.page_section.of(lang),
        "check": checks.get(clause.id),
        "control": [defect.name for defect in load_defects().controls(clause.id)],
        "excluded": clause.excluded.of(lang) if clause.excluded else None,
        "no_control": clause.no_control.of(lang) if clause.no_control else None,
        "title": clause.title.of(lang),
        "statement": clause.statement.of(lang),
        "observed": clause.observed.of(lang),
        "remedy": clause.remedy.of(lang),
        "note": clause.note.of(lang) if clause.note else None,
        "profile": clause.profile,
        "deadline": clause.deadline,
    }


def _check_names() -> dict[str, str]:
    """Clause id to its check's name."""
    import importlib
    import pkgutil

    from vnode_suite import checks
    from vnode_suite.checks.registry import registered

    for module in pkgutil.iter_modules(checks.__path__):
        importlib.import_module(f"{checks.__name__}.{module.name}")
    return {clause: check.name for clause, check in registered().items()}


# -- explain -----------------------------------------------------------------------------------------------


@click.command(epilog=examples("vnode-suite explain DS-02", "vnode-suite explain kcfg-12 --lang zh"))
@click.argument("name", metavar="ID", shell_complete=completing(clause_names))
@page_option
@lang_option
@json_option
def explain(name: str, revision: str, lang: Language, as_json: bool) -> None:
    """Explain the clause ID: what it asks, how it is observed, what to do when it fails."""
    from vnode_suite.data.catalogue import load_catalogue

    catalogue = load_catalogue(revision)
    clause = catalogue.clause(name.strip().upper())
    if as_json:
        print_json(clause_row(clause, _check_names(), lang))
        return
    click.echo(click.style(f"{clause.id}  {clause.title.of(lang)}", bold=True))
    for head, text in _explained(clause, catalogue, lang):
        line = f"{head}: {text}"
        # Chinese has no spaces to break at, and a broken address cannot be clicked: terminals do it better.
        plain = lang == "zh" or "https://" in text
        click.echo(line if plain else click.wrap_text(line, width=100, subsequent_indent="    "))


def _explained(clause: Clause, catalogue: Catalogue, lang: Language) -> Iterable[tuple[str, str]]:
    from vnode_suite.data.deadlines import load_deadlines
    from vnode_suite.data.defects import load_defects

    zh = lang == "zh"
    yield ("级别" if zh else "level"), f"{clause.level.value}, {clause.basis.value}"
    yield ("适用" if zh else "applies to"), _applies(clause, lang)
    yield ("条款" if zh else "statement"), clause.statement.of(lang)
    yield ("观测" if zh else "observed"), clause.observed.of(lang)
    if clause.excluded:
        yield ("排除" if zh else "excluded"), clause.excluded.of(lang)
    yield ("处置" if zh else "what to do"), clause.remedy.of(lang)
    if clause.deadline:
        deadline = load_deadlines({}, simulated=False).deadline(clause.deadline)
        yield ("时限" if zh else "deadline"), f"{deadline.seconds:g} s ({deadline.name}): {deadline.source}"
    controls = load_defects().controls(clause.id)
    if controls:
        yield ("反例" if zh else "controls"), ", ".join(defect.name for defect in controls)
    elif clause.no_control:
        yield ("无反例" if zh else "no control"), clause.no_control.of(lang)
    if clause.note:
        yield ("说明" if zh else "note"), clause.note.of(lang)
    yield from _where_it_is_judged(clause, zh)
    page = f"{clause.page_section.of(lang)} ({catalogue.page_date})"
    yield ("出处" if zh else "page"), f"{page} {catalogue.page_url}"


def _where_it_is_judged(clause: Clause, zh: bool) -> Iterable[tuple[str, str]]:
    """From the clause to the code that looks and judges, and to what a run leaves of it."""
    from vnode_suite.connection.observing.registry import LOOKS

    judge, look = _check_names().get(clause.id), LOOKS.get(clause.id)
    if judge is None or look is None:
        return
    yield ("检查" if zh else "check"), f"vnode_suite.{judge}"
    yield ("观测代码" if zh else "look"), f"{look.__module__}.{look.__qualname__}"
    where = f"report.html#c-{clause.id}; report.json: results[] .clause={clause.id} .evidence"
    yield ("证据" if zh else "evidence"), where


def _applies(clause: Clause, lang: Language) -> str:
    applies = clause.applies
    minors = applies.minors
    parts = [
        f"Kubernetes {minors[0]}" + (f"-{minors[-1]}" if len(minors) > 1 else "") if minors else "",
        *(", ".join(kinds) for kinds in (applies.identities, applies.clouds, applies.sites)),
        ", ".join(applies.conditions),
    ]
    said = "; ".join(part for part in parts if part) or ("全部" if lang == "zh" else "all")
    profile = f"档位 {clause.profile} 起" if lang == "zh" else f"from profile {clause.profile} on"
    return f"{said}; {profile}"


# -- defects -----------------------------------------------------------------------------------------------


@click.command(
    epilog=examples(
        "vnode-suite defects",
        "vnode-suite defects kube-proxy-not-excluded",
        "vnode-suite defects --clause DS-02 --json",
        "vnode-suite run --region cn-shanghai --defect kube-proxy-not-excluded",
    )
)
@click.argument("names", nargs=-1, metavar="[NAME...]", shell_complete=completing(defect_names))
@click.option(
    "--clause",
    metavar="ID",
    shell_complete=completing(clause_names),
    help="Only those that this clause must notice.",
)
@lang_option
@json_option
def defects(names: tuple[str, ...], clause: str | None, lang: Language, as_json: bool) -> None:
    """List the defects that a run can be made to find, with the clauses that each must fail."""
    from vnode_suite.data.catalogue import load_catalogue, revisions
    from vnode_suite.data.defects import load_defects

    table = load_defects()
    chosen = [table.defect(name) for name in names] if names else list(table)
    if clause is not None:
        wanted = load_catalogue(revisions()[0]).clause(clause.strip().upper()).id
        noticed = {defect.name for defect in table.failing(wanted)}
        chosen = [defect for defect in chosen if defect.name in noticed]
    if as_json:
        print_json([defect_row(defect, lang) for defect in chosen])
        return
    print_table(
        ("defect", "scope", "fails", "what is wrong"),
        [(d.name, d.scope, _few(list(dict(d.fails))), d.title.of(lang)) for d in chosen],
    )


def _few(names: Sequence[str], most: int = 4) -> str:
    """*names* in a table's cell."""
    if len(names) <= most:
        return ", ".join(names) or "-"
    return f"{', '.join(names[:most])} +{len(names) - most}"


def defect_row(defect: Defect, lang: Language) -> dict[str, Any]:
    """One item of `defects --json`: `reason` is the first clause's, `reasons` has each clause's own."""
    reasons = dict(defect.fails)
    return {
        "name": defect.name,
        "fails": list(reasons),
        "reason": next(iter(reasons.values()), None),
        "scope": defect.scope,
        "reasons": reasons,
        "where": defect.where,
        "unreached": list(defect.unreached),
        "profile": defect.profile,
        "identities": list(defect.identities),
        "minors": list(defect.minors),
        "title": defect.title.of(lang),
    }


# -- versions ----------------------------------------------------------------------------------------------


@click.command(
    epilog=examples(
        "vnode-suite versions",
        "vnode-suite versions --json",
        "vnode-suite run --region cn-shanghai --k8s-version 1.13-1.22",
    )
)
@json_option
def versions(as_json: bool) -> None:
    """List the Kubernetes versions that the suite knows, and whether their programs are in the store.

    `patch` is the one that a run would take: the store's, where it has one, else the newest release.
    """
    from vnode_suite.clusters.local.store import Store
    from vnode_suite.data.versions import load_versions

    store = Store.default()
    rows = [version_row(version, store) for version in load_versions()]
    if as_json:
        print_json(rows)
        return
    print_table(
        ("version", "patch", "source", "in store", "page revisions", "kind"),
        [
            (
                row["minor"],
                row["patch"],
                row["source"],
                "yes" if row["in_store"] else "no",
                ", ".join(row["pages"]),
                row["kind"] or "-",
            )
            for row in rows
        ],
    )


def version_row(version: KubernetesVersion, store: Store) -> dict[str, Any]:
    """One item of `versions --json`; `source` is `store`, or `official` where it must be fetched first."""
    from vnode_suite.clusters.local.sources import KUBERNETES_COMPONENTS, allows

    there: dict[str, set[str]] = {}
    for entry in store.entries():
        there.setdefault(entry.version, set()).add(entry.component)
    whole = [
        patch
        for patch in store.versions()
        if allows(version, patch) and there.get(patch, set()) >= {*KUBERNETES_COMPONENTS}
    ]
    return {
        "minor": version.minor,
        "patch": whole[-1] if whole else version.patch,
        "source": "store" if whole else "official",
        "in_store": bool(whole),
        "kind": version.kind or None,
        "node_image": version.node_image or None,
        "patches": dict(version.patches),
        "pages": list(version.pages),
    }
