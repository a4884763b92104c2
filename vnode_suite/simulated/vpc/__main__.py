"""``python -m vnode_suite.simulated.vpc list|remove RUN_ID|enter PID COMMAND...``: the networks of runs."""

from __future__ import annotations

import argparse
import json
import os
import sys

from vnode_suite.simulated.vpc.bridge import list_runs, remove_run
from vnode_suite.simulated.vpc.errors import NetworkRefused
from vnode_suite.simulated.vpc.namespace import enter


def main(argv: list[str] | None = None) -> int:
    """Answer JSON: for list ``{run_id: [interface...]}``, for remove ``{"removed": [interface...]}``.

    ``enter`` becomes the command, in the network of the process.
    """
    parser = argparse.ArgumentParser(prog="python -m vnode_suite.simulated.vpc", description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True)
    verbs.add_parser("list", help="runs that have interfaces on this machine")
    remove = verbs.add_parser("remove", help="remove a run's bridge and cables")
    remove.add_argument("run_id")
    inside = verbs.add_parser("enter", help="run a command in the network of a process")
    inside.add_argument("pid", type=int)
    inside.add_argument("command", nargs=argparse.REMAINDER)
    arguments = parser.parse_args(argv)
    if arguments.verb == "enter":
        try:
            enter(arguments.pid)
        except NetworkRefused as refused:
            print(refused, file=sys.stderr)
            return 3
        os.execv(arguments.command[0], arguments.command)  # noqa: S606 - that is what it is for
    answer = list_runs() if arguments.verb == "list" else {"removed": remove_run(arguments.run_id)}
    json.dump(answer, sys.stdout)
    sys.stdout.write("\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
