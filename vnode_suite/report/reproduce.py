"""The command that repeats one clause in one cell."""

from __future__ import annotations

import shlex

from vnode_suite.report.types import CellReport, Report

#: Options that say which cells and clauses a run looks at, or where it writes; they are set anew.
_REPLACED = {
    "--vnode-k8s-version",
    "--vnode-identity",
    "--vnode-clause",
    "--vnode-report-dir",
    "-n",
    "-m",
    "-k",
}


def reproduce(report: Report, clause: str, cell: CellReport) -> str:
    """A pytest command line: what this run was given, narrowed to *clause* in *cell*."""
    kept: list[str] = []
    skip = False
    for word in report.run.argv:
        if skip:
            skip = False
        elif word in _REPLACED:
            skip = True
        elif (word.startswith("-") and word.partition("=")[0] not in _REPLACED) or (
            not word.startswith("-") and kept and kept[-1].startswith("-") and "=" not in kept[-1]
        ):
            kept.append(word)
    if report.run.region and not any(word.partition("=")[0] == "--region" for word in kept):
        kept = ["--region", report.run.region, *kept]
    given = any(word.partition("=")[0] == "--kubeconfig" for word in kept)
    version = [] if given else ["--vnode-k8s-version", cell.version]
    words = ["pytest", *kept, *version, "--vnode-identity", cell.identity, "--vnode-clause", clause]
    return " ".join(shlex.quote(word) for word in words)
