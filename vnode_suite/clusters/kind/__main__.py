"""``python -m vnode_suite.clusters.kind remove NAME``: what a run that was killed could not do itself."""

from __future__ import annotations

import argparse
import sys

from vnode_suite.clusters.kind.docker import Docker
from vnode_suite.core.errors import SuiteError


def main(argv: list[str] | None = None) -> int:
    """Remove the containers and the network of a kind cluster; 1 with a line on standard error if they stay."""
    parser = argparse.ArgumentParser(prog="python -m vnode_suite.clusters.kind", description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True)
    verbs.add_parser("remove", help="remove a cluster of kind's").add_argument("name")
    try:
        Docker.find().remove_cluster(parser.parse_args(argv).name)
    except SuiteError as problem:
        sys.stderr.write(f"{problem}\n")
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
