"""Processes that a run owns: started, watched and stopped through a supervisor that outlives a killed run.

    with Supervisor(log=folder / "supervisor.log") as supervisor:
        etcd = supervisor.start("etcd", ["etcd", ...], log=folder / "etcd.log")

Everything started is gone when the block ends, and also when this process is killed with `kill -9`.
"""

from __future__ import annotations

import itertools
import json
import os
import queue
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from vnode_suite.core import supervisor as supervisor_program
from vnode_suite.core.errors import DeadlineExceeded, HarnessError

#: From TERM to KILL, unless a process is given its own.
GRACE_SECONDS = 5.0
#: The supervisor answers at once; it does nothing that waits. Generous for a machine under full load.
ANSWER_SECONDS = 30.0
#: How much of a log is worth putting into an error.
TAIL_LINES = 15


class ProcessError(HarnessError):
    """An owned process could not be started, or ended when it should not have."""


@dataclass(frozen=True, slots=True)
class Stopped:
    """How a process ended.

    :ivar returncode: its exit status, or minus the signal that ended it; None if never started.
    :ivar killed: it did not heed TERM within its grace, and was killed.
    """

    name: str
    returncode: int | None
    killed: bool


class OwnedProcess:
    """A process that the supervisor started for us."""

    def __init__(self, name: str, log: Path) -> None:
        self.name = name
        self.log = log
        self.pid = 0
        self._ended = threading.Event()
        self._returncode: int | None = None
        self._first_line: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        #: The first line of its standard output, where that was asked for. May hold a credential.
        self.ready_line = ""

    @property
    def exited(self) -> bool:
        """Whether it has ended."""
        return self._ended.is_set()

    def returncode(self) -> int | None:
        """Its exit status, minus the signal's number if one ended it, None while it runs."""
        return self._returncode

    def wait(self, timeout_seconds: float) -> bool:
        """Whether it ended within that time."""
        return self._ended.wait(timeout_seconds)

    def log_tail(self, lines: int = TAIL_LINES) -> str:
        """The last lines of its log."""
        return log_tail(self.log, lines)

    def check_running(self) -> None:
        """Do nothing while it runs.

        :raises ProcessError: it has ended; the message holds the end of its log.
        """
        if self.exited:
            raise ProcessError(
                f"{self.name} ended with status {self._returncode}",
                found=f"the last lines of {self.log.name}:\n{self.log_tail()}",
            )

    def _set_exited(self, returncode: int) -> None:
        self._returncode = returncode
        self._ended.set()
        self._first_line.put(None)


class Supervisor:
    """The client of one supervisor process. Thread-safe.

    :param log: where the supervisor writes what went wrong with it or with a last command.
    """

    def __init__(self, *, log: Path | None = None) -> None:
        self._ids = itertools.count(1)
        self._lock = threading.Lock()
        self._answers: dict[int, queue.SimpleQueue[dict[str, Any]]] = {}
        self._processes: dict[str, OwnedProcess] = {}
        self._lost = threading.Event()
        self._kept: frozenset[str] = frozenset()
        self._control, theirs = socket.socketpair()
        with theirs, Path(log or os.devnull).open("ab") as errors:
            # -I -S: nothing of the environment's set-up of Python is wanted, and it starts sooner without.
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-S", supervisor_program.__file__, str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=errors,
                pass_fds=[theirs.fileno()],
                start_new_session=True,
            )
        self._reader = threading.Thread(target=self._read, name="supervisor-reader", daemon=True)
        self._reader.start()

    @property
    def pid(self) -> int:
        """The supervisor's own process id."""
        return self._process.pid

    def start(
        self,
        name: str,
        argv: Sequence[str | Path],
        *,
        log: Path,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        stdout: Path | None = None,
        grace_seconds: float = GRACE_SECONDS,
        ready_line: bool = False,
        ready_deadline_seconds: float = 30.0,
    ) -> OwnedProcess:
        """Start a process.

        :param name: unique among the running ones.
        :param env: its whole environment; None gives it ours as it was when the supervisor was started.
        :param cwd: its working directory; None gives it ours.
        :param log: file that its output is appended to (mode 0600).
        :param stdout: file that its standard output goes to instead, replacing what was there.
        :param grace_seconds: from TERM to KILL when everything is stopped at the end; 0 kills at once.
        :param ready_line: wait for the first line of its standard output and keep it in `ready_line`. It is
            not written to the log.
        :raises ProcessError: it cannot be started, or ended before its ready line.
        :raises DeadlineExceeded: no ready line in time; the process has been stopped.
        """
        process = OwnedProcess(name, log)
        with self._lock:
            earlier = self._processes.get(name)
            if earlier is not None and not earlier.exited:
                raise ProcessError(f"{name} is running already")
            self._processes[name] = process
        try:
            answer = self._ask(
                "start",
                name=name,
                argv=[str(word) for word in argv],
                env=None if env is None else dict(env),
                cwd=str((cwd or Path.cwd()).absolute()),
                log=str(log.absolute()),
                stdout=None if stdout is None else str(stdout.absolute()),
                grace=grace_seconds,
                ready_line=ready_line,
            )
        except ProcessError:
            process._set_exited(127)
            raise
        process.pid = answer["pid"]
        if ready_line:
            self._await_ready_line(process, ready_deadline_seconds)
        return process

    def stop(self, name: str, grace_seconds: float = GRACE_SECONDS) -> Stopped:
        """TERM, then KILL when the grace is over; returns when the process is gone."""
        return self.stop_many([name], grace_seconds)[0]

    def stop_many(self, names: Sequence[str], grace_seconds: float = GRACE_SECONDS) -> list[Stopped]:
        """Stop several processes side by side; those that are kept go on."""
        patience = grace_seconds + ANSWER_SECONDS
        stopping = [name for name in names if name not in self._kept]
        ends = self._ask("stop", patience=patience, names=stopping, grace=grace_seconds)["stopped"]
        return [
            Stopped(name, ends[name]["returncode"], ends[name]["killed"])
            if name in ends
            else Stopped(name, None, False)
            for name in names
        ]

    def keep(self, names: Sequence[str]) -> None:
        """Let processes outlive this one, and the supervisor with them: TERM to it ends them and what is left for
        the end."""
        self._ask("keep", names=list(names))
        self._kept |= frozenset(names)

    def keeps(self, name: str) -> bool:
        """Whether this process is to outlive the run."""
        return name in self._kept

    def at_end(self, argv: Sequence[str | Path]) -> int:
        """Leave a command to be run when everything has been stopped, however the run ends.

        The last left runs first. It must not mind that its work is done already, and runs in `/`.

        :returns: a key for `cancel_at_end`.
        """
        key = next(self._ids)
        self._ask("at_end", key=key, argv=[str(word) for word in argv])
        return key

    def cancel_at_end(self, key: int) -> None:
        """Forget a command left for the end."""
        self._ask("cancel", key=key)

    def running(self) -> list[OwnedProcess]:
        """The processes that have not ended, in the order of their start."""
        with self._lock:
            return [each for each in self._processes.values() if not each.exited]

    def close(self) -> None:
        """Stop everything, last started first, run what was left for the end, and return when all is done.

        What is kept goes on, and what was left for the end is run when that ends.
        """
        if not self._lost.is_set():
            self._ask("close")
        # Each process may take its grace and each last command its own time. The supervisor of what is kept closes
        # the channel when the others have ended.
        if not self._kept:
            self._process.wait()
        self._reader.join()
        self._control.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _ask(self, op: str, *, patience: float = ANSWER_SECONDS, **request: Any) -> dict[str, Any]:
        identity = next(self._ids)
        answers: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        with self._lock:
            self._answers[identity] = answers
        message = json.dumps({"id": identity, "op": op, **request}).encode() + b"\n"
        try:
            with self._lock:
                self._control.sendall(message)
            if self._lost.is_set():
                raise OSError("its channel is closed")
            answer = answers.get(timeout=patience)
        except queue.Empty:
            raise ProcessError(f"the supervisor did not answer {op!r} within {patience:g} s") from None
        except OSError as problem:
            raise ProcessError("the supervisor of this run's processes is gone", found=str(problem)) from None
        finally:
            with self._lock:
                self._answers.pop(identity, None)
        if "error" in answer:
            subject = request.get("name", op)
            raise ProcessError(f"{subject} could not be done", found=str(answer["error"]))
        return answer

    def _await_ready_line(self, process: OwnedProcess, deadline_seconds: float) -> None:
        try:
            line = process._first_line.get(timeout=deadline_seconds)
        except queue.Empty:
            self.stop(process.name, 0)
            raise DeadlineExceeded(
                f"waited {deadline_seconds:g} s for {process.name} to say that it is ready",
                found=f"the last lines of {process.log.name}:\n{process.log_tail()}",
            ) from None
        if line is None:
            process.check_running()
        process.ready_line = line or ""

    def _read(self) -> None:
        with self._control.makefile("rb") as lines:
            try:
                for line in lines:
                    self._take(json.loads(line))
            except OSError:
                pass
        self._lost.set()
        with self._lock:
            waiting = list(self._answers.values())
        for answers in waiting:
            answers.put({"error": "the supervisor is gone"})

    def _take(self, message: dict[str, Any]) -> None:
        with self._lock:
            answers = self._answers.get(message.get("id", 0))
            process = self._processes.get(message.get("name", ""))
        if answers is not None:
            answers.put(message)
        elif process is not None and message.get("event") == "line":
            process._first_line.put(message["line"])
        elif process is not None and message.get("event") == "exit":
            process._set_exited(message["returncode"])


def log_tail(log: Path, lines: int = TAIL_LINES) -> str:
    """The last lines of a log file, or a word on why there are none."""
    try:
        text = log.read_text(encoding="utf-8", errors="replace")
    except OSError as problem:
        return f"({problem.strerror})"
    return "\n".join(text.splitlines()[-lines:]) or "(empty)"
