"""``python -m vnode_suite.cli.keeper FOLDER VERSION ADDRESS FD``: keeps one control plane until told to end.

Tells on FD, one JSON object a line, ``{"step": what is waited for}`` and then ``{"ready": true}`` or
``{"error": why not}``. Ends on SIGTERM, or when a process of the control plane has ended.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import Any

from vnode_suite.cleanup.state import ProcessIdentity
from vnode_suite.cli.standing import DESCRIPTION, KUBECONFIG, Standing
from vnode_suite.clusters.local.assets import obtain_binaries
from vnode_suite.clusters.local.certificates import VALIDITY
from vnode_suite.clusters.local.controlplane import ControlPlaneSettings, LocalCluster, start_local_cluster
from vnode_suite.core.errors import SuiteError
from vnode_suite.core.processes import Supervisor
from vnode_suite.data.versions import load_versions

#: kube-controller-manager's own defaults, in seconds: whoever joins renews every 10 s, as kubelets do.
NODE_MONITOR_GRACE = 40.0
NODE_MONITOR_PERIOD = 5.0
#: How often it looks whether the four processes still run.
_LOOK_SECONDS = 2.0


def main(folder: Path, wanted: str, address: str, told_on: int) -> int:
    """Keep a control plane of version *wanted* in *folder*; 0 when told to end, 1 if it failed."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _end)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    teller = os.fdopen(told_on, "w", encoding="utf-8", buffering=1)

    def tell(**message: Any) -> None:
        # Who put it up may have gone; that is for `_put_up` to care about, not for us.
        with suppress(OSError, ValueError):
            print(json.dumps(message), file=teller)

    try:
        version = load_versions().resolve(wanted)
        with (
            Supervisor(log=folder / "supervisor.log") as supervisor,
            start_local_cluster(
                version,
                folder / "control-plane",
                supervisor,
                binaries=obtain_binaries(version),
                settings=ControlPlaneSettings(
                    address=address,
                    node_monitor_grace_seconds=NODE_MONITOR_GRACE,
                    node_monitor_period_seconds=NODE_MONITOR_PERIOD,
                ),
                name=folder.name,
                tell=lambda step: tell(step=step),
            ) as cluster,
        ):
            _describe(folder, cluster)
            tell(ready=True)
            _close(teller.close)
            _watch(cluster)
    except SuiteError as problem:
        print(f"{datetime.now(UTC):%FT%TZ} {problem}", file=sys.stderr, flush=True)
        tell(error=str(problem))
        return 1
    return 0


def _end(number: int, frame: FrameType | None) -> None:
    for each in (signal.SIGTERM, signal.SIGINT):
        signal.signal(each, signal.SIG_IGN)
    raise SystemExit(0)


def _close(close: Callable[[], None]) -> None:
    with suppress(OSError):
        close()


def _watch(cluster: LocalCluster) -> None:
    """Return never: a signal ends this, or the error of a process that has ended."""
    pause = threading.Event()
    while True:
        cluster.check_running()
        pause.wait(_LOOK_SECONDS)


def _describe(folder: Path, cluster: LocalCluster) -> None:
    me, now = ProcessIdentity.mine(), datetime.now(UTC)
    _write(folder / KUBECONFIG, cluster.admin_kubeconfig)
    described = Standing(
        name=folder.name,
        version=str(cluster.version_info["gitVersion"]).removeprefix("v"),
        server=cluster.server_url,
        kubeconfig=str(folder / KUBECONFIG),
        pid=me.pid,
        start=me.start,
        started=now.isoformat(timespec="seconds"),
        expires=(now + VALIDITY).isoformat(timespec="seconds"),
    )
    _write(folder / DESCRIPTION, json.dumps(asdict(described), indent=2) + "\n")


def _write(path: Path, text: str) -> None:
    """All or nothing, and for the owner alone from the first byte."""
    draft = path.with_name(f".{path.name}")
    with os.fdopen(
        os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8"
    ) as file:
        file.write(text)
    draft.replace(path)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2], sys.argv[3], int(sys.argv[4])))
