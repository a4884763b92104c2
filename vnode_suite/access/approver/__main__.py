"""`python -m vnode_suite.access.approver`: run an approver until SIGTERM, or until standard input ends.

Prints one line of JSON when the first list of requests was answered or failed:
`{"variant": "sound", "api": "v1", "problem": ""}`; a non-empty problem means that it sees nothing yet.
Everything else goes to standard error.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
import threading
from datetime import UTC, datetime
from pathlib import Path

from vnode_suite.access.approver.api import Access
from vnode_suite.access.approver.loop import Approver
from vnode_suite.access.approver.rules import Variant


def main() -> int:
    """Run the approver that the command line asks for."""
    parser = argparse.ArgumentParser(
        prog="python -m vnode_suite.access.approver", description="Approve VNode CSRs."
    )
    parser.add_argument(
        "--kubeconfig", required=True, help="a file, or - for one line of JSON text on standard input"
    )
    variants = [str(one) for one in Variant if one is not Variant.OFF]
    parser.add_argument("--variant", choices=variants, default=str(Variant.SOUND))
    parser.add_argument("--exit-with-stdin", action="store_true", help="end when standard input does")
    options = parser.parse_args()
    variant = Variant(options.variant)

    def ready(api: str, problem: str) -> None:
        print(json.dumps({"variant": variant, "api": api, "problem": problem}), flush=True)

    try:
        approver = Approver(Access.from_kubeconfig(_read(options.kubeconfig)), variant, _log, ready)
    except (LookupError, TypeError, ValueError, OSError) as problem:
        # Names the entry or file that is missing, and never quotes what stands in the others.
        what = str(problem) if isinstance(problem, KeyError | OSError) else ""
        kind = type(problem).__name__
        parser.error(f"no kubeconfig with one cluster, its CA and a token: {kind} {what}".rstrip())
    signal.signal(signal.SIGTERM, lambda *_: approver.stop())
    signal.signal(signal.SIGINT, lambda *_: approver.stop())
    if options.exit_with_stdin or options.kubeconfig == "-":
        threading.Thread(target=_stop_at_end_of_stdin, args=(approver,), daemon=True).start()
    approver.run()
    return 0


def _read(where: str) -> str:
    return str(json.loads(sys.stdin.readline())) if where == "-" else Path(where).read_text(encoding="utf-8")


def _stop_at_end_of_stdin(approver: Approver) -> None:
    # A parent that is killed cannot say goodbye, but its end of the pipe closes all the same.
    while sys.stdin.readline():
        pass
    approver.stop()


def _log(message: str) -> None:
    print(f"{datetime.now(UTC).isoformat(timespec='milliseconds')} {message}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
