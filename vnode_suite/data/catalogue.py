"""The catalogue of clauses, read from `clauses/<revision>.toml`, one frozen file a revision of the page."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any

from vnode_suite.core.errors import UsageError
from vnode_suite.data.tables import read_table, text_of, unknown_name
from vnode_suite.model import Applies, Basis, Clause, Level, Profile, Text

_PROFILES = tuple(profile.value for profile in Profile)

#: Why a clause does not concern a cell that lacks a named condition.
WITHOUT: Mapping[str, Text] = {
    "creating": Text("this run creates no VNode", "本次运行不创建 VNode"),
    "resource-group-told": Text(
        "which resource group was asked for is not known: --vnode-resource-group tells it",
        "不知道创建时指定的资源组:可用 --vnode-resource-group 说明",
    ),
    "several-vswitches": Text("a single vSwitch was given", "只指定了一个交换机"),
    "tags-given": Text("no tags were given", "没有指定标签"),
    "taints-given": Text("no taints were given", "没有指定污点"),
    "server-by-name": Text(
        "the server is given as an address, so no name is to be resolved", "server 是 IP 地址，无需解析域名"
    ),
    "kube-proxy": Text("the cluster has no kube-proxy DaemonSet", "集群中没有 kube-proxy DaemonSet"),
    "exclusion-applied": Text("this run applied no exclusion", "本次运行没有应用排除配置"),
    "security-required": Text("no security requirements were declared", "没有声明安全性要求"),
    "eci-profile": Text("eci-profile is not deployed", "没有部署 eci-profile"),
    "generated-kubeconfig": Text("this run generated no kubeconfig", "本次运行没有生成 kubeconfig"),
    "failure-provokable": Text(
        "no VNode can be made to fail on purpose here", "此环境无法有意制造 VNode 故障"
    ),
}

#: Never held: marks a row that this revision of the page has dropped; the row's note says why.
DROPPED = "still-on-the-page"


@dataclass(frozen=True, slots=True)
class Part:
    """A part of the cells in which a clause has another level or basis."""

    level: Level
    basis: Basis
    #: Identities that it is about; empty: all.
    identities: tuple[str, ...] = ()
    #: A condition that must not hold; empty: none.
    without: str = ""


@dataclass(frozen=True, slots=True)
class Catalogue:
    """Every clause of one revision of the page, in the order of the walk."""

    #: ``2024-02``.
    revision: str
    page_url: str
    #: Day of the revision, ``2024-02-27``; the month alone where the page says no more.
    page_date: str
    #: First and last Kubernetes minor, both included.
    window: tuple[str, str]
    clauses: tuple[Clause, ...]
    _by_id: Mapping[str, Clause]
    _parts: Mapping[str, tuple[Part, ...]]

    def clause(self, name: str) -> Clause:
        """The clause with that id.

        :raises UsageError: there is none; names those that come near.
        """
        if name in self._by_id:
            return self._by_id[name]
        raise unknown_name("clause", name, self._by_id)

    def select(self, wanted: Sequence[str]) -> tuple[Clause, ...]:
        """The clauses that ids and chapters (``["PORT", "DS-02"]``) name, each once, in the walk's order.

        :raises UsageError: a name is neither; names those that come near.
        """
        chapters = dict.fromkeys(clause.chapter for clause in self.clauses)
        folded = [name.strip().upper() for name in wanted]
        for given, name in zip(wanted, folded, strict=True):
            if name not in chapters and name not in self._by_id:
                raise unknown_name("clause or chapter", given, (*chapters, *self._by_id))
        return tuple(clause for clause in self.clauses if clause.id in folded or clause.chapter in folded)

    def in_cell(self, clause: Clause, *, identity: str, conditions: Collection[str]) -> Clause:
        """*clause* with the level and basis that it has in such a cell, where they differ by part."""
        for part in self._parts.get(clause.id, ()):
            if (not part.identities or identity in part.identities) and part.without not in conditions:
                return dataclasses.replace(clause, level=part.level, basis=part.basis)
        return clause


def revisions() -> tuple[str, ...]:
    """The revisions of the page that have a catalogue, oldest first."""
    folder = resources.files("vnode_suite.data").joinpath("clauses")
    return tuple(
        sorted(file.name.removesuffix(".toml") for file in folder.iterdir() if file.name.endswith(".toml"))
    )


@functools.cache
def load_catalogue(revision: str) -> Catalogue:
    """The catalogue of a page revision, ``2024-02`` or ``2025-07``.

    :raises UsageError: there is no such revision.
    """
    try:
        table = read_table(f"clauses/{revision}.toml")
    except OSError:
        known = ", ".join(revisions())
        raise UsageError(f"there is no page revision {revision!r}", wanted=f"one of {known}") from None
    return parse_catalogue(table)


def parse_catalogue(table: Mapping[str, Any]) -> Catalogue:
    """A catalogue from its parsed table (see `schemas/clauses.schema.json`)."""
    page, sections = table["page"], table["section"]
    clauses = tuple(_clause(record, sections) for record in table["clause"])
    parts = {
        record["id"]: tuple(map(_part, record["part"])) for record in table["clause"] if "part" in record
    }
    first, last = page["window"]
    by_id = {clause.id: clause for clause in clauses}
    if len(by_id) != len(clauses):
        raise ValueError(f"catalogue {page['revision']} has a clause twice")
    return Catalogue(page["revision"], page["url"], page["date"], (first, last), clauses, by_id, parts)


def _clause(record: Mapping[str, Any], sections: Mapping[str, Mapping[str, str]]) -> Clause:
    both = {
        name: Text(record[name]["en"], record[name]["zh"])
        for name in ("title", "statement", "observed", "remedy")
    }
    return Clause(
        id=record["id"],
        level=Level(record["level"]),
        basis=Basis(record["basis"]),
        applies=_applies(record.get("applies", {})),
        page_section=Text(**sections[record["section"]]),
        profile=record["profile"],
        excluded=text_of(record.get("excluded")),
        no_control=text_of(record.get("no_control")),
        deadline=record.get("deadline"),
        note=text_of(record.get("note")),
        **both,
    )


def _applies(record: Mapping[str, Any]) -> Applies:
    first, dash, last = record.get("minors", "").partition("-")
    return Applies(
        minors=_minors(first, last if dash else first) if first else (),
        identities=tuple(record.get("identities", ())),
        clouds=tuple(record.get("clouds", ())),
        sites=tuple(record.get("sites", ())),
        conditions=tuple(record.get("conditions", ())),
    )


def _minors(first: str, last: str) -> tuple[str, ...]:
    low, high = (int(end.removeprefix("1.")) for end in (first, last))
    return tuple(f"1.{number}" for number in range(low, high + 1))


def _part(record: Mapping[str, Any]) -> Part:
    return Part(
        level=Level(record["level"]),
        basis=Basis(record["basis"]),
        identities=tuple(record.get("identities", ())),
        without=record.get("without", ""),
    )


def not_applicable(
    clause: Clause, *, version_minor: str, identity: str, cloud: str, site: str, conditions: Collection[str]
) -> Text | None:
    """Why *clause* does not concern a cell; None where it does.

    :param version_minor: ``1.19``.
    :param identity: ``bootstrap``, ``serviceaccount`` or ``admin``; *cloud* and *site* as the options say.
    :param conditions: the named conditions that hold (see `WITHOUT`).
    """
    applies = clause.applies
    if DROPPED in applies.conditions:
        return clause.note or Text("this revision of the page dropped it", "该页面版本已删去此项")
    if applies.minors and version_minor not in applies.minors:
        span = applies.minors[0] if len(applies.minors) == 1 else f"{applies.minors[0]}-{applies.minors[-1]}"
        return Text(f"it concerns Kubernetes {span} only", f"仅适用于 Kubernetes {span}")
    for kinds, have, en, zh in (
        (applies.identities, identity, "identity", "身份方式"),
        (applies.clouds, cloud, "cloud side", "云端方式"),
        (applies.sites, site, "site", "集群位置"),
    ):
        if kinds and have not in kinds:
            return Text(f"it concerns {en} {' and '.join(kinds)} only", f"仅适用于{zh} {'、'.join(kinds)}")
    return next((WITHOUT[name] for name in applies.conditions if name not in conditions), None)


def profile_covers(clause: Clause, profile: Profile | str) -> bool:
    """Whether a run with *profile* observes *clause*: each profile holds the one before."""
    return _PROFILES.index(clause.profile) <= _PROFILES.index(str(profile))
