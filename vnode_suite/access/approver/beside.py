"""Running an approver beside a run: in threads of this process, with a credential of its own."""

from __future__ import annotations

import threading
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType

from vnode_suite.access.approver.loop import Approver
from vnode_suite.access.approver.rules import Variant
from vnode_suite.clusters.kube import KubeClient
from vnode_suite.core.errors import HarnessError

#: One request takes milliseconds, and several seconds while a control plane starts.
READY_SECONDS = 20.0
#: A request that is under way is waited for so long when it is to end.
STOP_SECONDS = 3.0


class RunningApprover:
    """An approver at work. Ends with `stop`, with the `with` block, or with this process however that ends.

    :ivar api: ``v1`` or ``v1beta1`` of certificates.k8s.io; empty while it has not looked.
    :ivar problem: why it sees no request; empty where it does. It works on and keeps trying.
    """

    def __init__(self, kubeconfig: str, variant: Variant, log: Path | None) -> None:
        self.api, self.problem = "", ""
        self._log = log
        self._looked = threading.Event()
        self._kube = KubeClient.from_kubeconfig_text(kubeconfig)
        self._approver = Approver(self._kube, variant, self._note, self._ready)
        self._thread = threading.Thread(target=self._approver.run, name="approver", daemon=True)
        self._thread.start()

    @property
    def sees(self) -> bool:
        """Whether requests reach it at all."""
        return bool(self.api) and not self.problem

    @property
    def alive(self) -> bool:
        """Whether it is still at work."""
        return self._thread.is_alive()

    def await_first_look(self) -> None:
        """Wait until it has looked for requests once, whatever came of it.

        :raises HarnessError: it has not within `READY_SECONDS`.
        """
        if not self._looked.wait(READY_SECONDS):
            raise HarnessError(
                "the approver did not start",
                wanted=f"a first look for certificate signing requests within {READY_SECONDS:g} s",
                found="none" if self.alive else "it has ended",
            )

    def stop(self, grace_seconds: float = STOP_SECONDS) -> None:
        """End it; harmless if it has ended. It may be ended at any time: it keeps no state.

        :param grace_seconds: the most that is waited for a request that is under way.
        """
        self._approver.stop()
        self._thread.join(grace_seconds)
        self._kube.close()

    def __enter__(self) -> RunningApprover:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _ready(self, api: str, problem: str) -> None:
        self.api, self.problem = api, problem
        self._looked.set()

    def _note(self, message: str) -> None:
        if self._log is not None:
            with self._log.open("a", encoding="utf-8") as stream:
                stream.write(f"{datetime.now(UTC).isoformat(timespec='milliseconds')} {message}\n")


def start_approver(
    kubeconfig: str, variant: Variant = Variant.SOUND, *, log: Path | None = None
) -> RunningApprover:
    """Start an approver with the credential in `kubeconfig` (text) and wait until it has looked once.

    An approver that is `Variant.OFF` is not started: do not call this then.

    :param log: file for what it says, names and reasons and no secrets; None throws it away.
    :raises HarnessError: it did not look within `READY_SECONDS`.
    """
    if variant is Variant.OFF:
        raise ValueError("an approver that is off is not started")
    running = RunningApprover(kubeconfig, variant, log)
    try:
        running.await_first_look()
    except BaseException:
        running.stop()
        raise
    return running
