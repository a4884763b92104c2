"""Starting an approver beside a run, and ending it with the run."""

from __future__ import annotations

import json
import select
import subprocess
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO

from vnode_suite.access.approver.rules import Variant
from vnode_suite.core.documents import load_yaml
from vnode_suite.core.errors import HarnessError
from vnode_suite.core.modules import command, environment

#: Starting Python and one request take 0.3 s on two idle cores, several seconds while a control plane starts.
READY_SECONDS = 20.0
STOP_SECONDS = 3.0


@dataclass(frozen=True, slots=True)
class ApproverState:
    """What an approver said of itself when it had looked for requests the first time."""

    variant: Variant
    #: `v1` or `v1beta1` of certificates.k8s.io.
    api: str
    #: Why it sees no request; empty where it does. The process runs on and keeps trying.
    problem: str

    @property
    def sees(self) -> bool:
        """Whether requests reach it at all."""
        return not self.problem


class ApproverProcess:
    """A running approver. Ends with `stop`, with the `with` block, or with this process however that ends."""

    def __init__(self, process: subprocess.Popen[str], state: ApproverState, log: Path | None) -> None:
        self._process, self.state, self._log = process, state, log

    @property
    def pid(self) -> int:
        """Process id."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether the process still runs."""
        return self._process.poll() is None

    def log(self) -> str:
        """What it wrote so far, as evidence; names and reasons, no secrets."""
        return self._log.read_text(encoding="utf-8") if self._log and self._log.exists() else ""

    def stop(self, grace_seconds: float = STOP_SECONDS) -> None:
        """End it; harmless if it has ended. It may be killed at any time: it keeps no state.

        :param grace_seconds: from TERM to KILL.
        """
        with suppress(BrokenPipeError):
            if self._process.stdin:
                self._process.stdin.close()
        self._process.terminate()
        try:
            self._process.wait(grace_seconds)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(STOP_SECONDS)
        if self._process.stdout:
            self._process.stdout.close()

    def __enter__(self) -> ApproverProcess:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def start_approver(
    kubeconfig: str, variant: Variant = Variant.SOUND, *, log: Path | None = None
) -> ApproverProcess:
    """Start an approver with the credential in `kubeconfig` (text) and wait until it has looked once.

    The text goes through a pipe and is never written to disk.

    An approver that is `Variant.OFF` is not started: do not call this then.

    :param log: file for its standard error; None throws it away.
    :raises HarnessError: it ended or said nothing within `READY_SECONDS`.
    """
    if variant is Variant.OFF:
        raise ValueError("an approver that is off is not started")
    program = command("vnode_suite.access.approver", "--kubeconfig", "-", "--variant", str(variant))
    error = log.open("ab") if log else None
    try:
        process = subprocess.Popen(
            program,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=error or subprocess.DEVNULL,
            text=True,
            # Ctrl-C at the terminal goes to the whole group; the approver is needed until the closing ends.
            start_new_session=True,
            env=environment(),
        )
    finally:
        if error:
            error.close()
    starting = ApproverProcess(process, ApproverState(variant, "", "starting"), log)
    try:
        if process.stdin is None or process.stdout is None:
            raise HarnessError("the approver has no pipes")
        process.stdin.write(json.dumps(json.dumps(load_yaml(kubeconfig))) + "\n")
        process.stdin.flush()
        line = _first_line(process.stdout, process)
        said = json.loads(line)
    except BaseException:
        starting.stop()
        raise
    starting.state = ApproverState(variant, said["api"], said["problem"])
    return starting


def _first_line(stream: IO[str], process: subprocess.Popen[str]) -> str:
    deadline = time.monotonic() + READY_SECONDS
    ready, _, _ = select.select([stream], [], [], max(0.0, deadline - time.monotonic()))
    line = stream.readline() if ready else ""
    if not line:
        raise HarnessError(
            "the approver did not start",
            wanted=f"a line on its standard output within {READY_SECONDS:g} s",
            found=f"it ended with {process.poll()}" if process.poll() is not None else "silence",
        )
    return line
