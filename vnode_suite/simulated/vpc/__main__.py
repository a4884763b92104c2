"""``python -m vnode_suite.simulated.vpc list|remove RUN_ID``: what runs have left of their networks."""

from __future__ import annotations

import argparse
import json
import sys

from vnode_suite.simulated.vpc.bridge import list_runs, remove_run


def main(argv: list[str] | None = None) -> int:
    """Answer JSON: for list ``{run_id: [interface...]}``, for remove ``{"removed": [interface...]}``."""
    parser = argparse.ArgumentParser(prog="python -m vnode_suite.simulated.vpc", description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True)
    verbs.add_parser("list", help="runs that have interfaces on this machine")
    remove = verbs.add_parser("remove", help="remove a run's bridge and cables")
    remove.add_argument("run_id")
    arguments = parser.parse_args(argv)
    answer = list_runs() if arguments.verb == "list" else {"removed": remove_run(arguments.run_id)}
    json.dump(answer, sys.stdout)
    sys.stdout.write("\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
