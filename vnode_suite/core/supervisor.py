"""The supervisor: a small process that owns the processes of a run, and outlives the run by seconds only.

Run as a file (`python -I -S supervisor.py FD`), never imported by the suite, standard library only: it must
start in milliseconds, stay small, and have nothing in it that can hang. It sits in a session of its own, so
that Ctrl-C in the terminal reaches pytest but not etcd. However the run ends, `kill -9` included, the control
channel closes; then every child is stopped, last started first, and the commands left for the end are run. Only
what a run asked to be kept stays, and the supervisor with it.
Should the supervisor itself be killed, the kernel kills the children (`PR_SET_PDEATHSIG`).

Protocol, one JSON object a line over the stream socket FD. Requests carry `id` and `op`:

    start   name argv env|null cwd|null log stdout|null grace ready_line   -> {pid}
    stop    names grace                  -> {stopped: {name: {returncode, killed}}}
    at_end  key argv                     -> {}
    cancel  key                          -> {}
    keep    names                        -> {}   these outlive the run, until the supervisor is sent TERM
    close                                -> {}   then everything else ends

Answers repeat `id` and hold `error` instead when a request could not be done. Without being asked it says
`{"event": "exit", name, pid, returncode}` and, once a child, `{"event": "line", name, line}`.
"""

from __future__ import annotations

import ctypes
import errno
import json
import os
import select
import signal
import sys
import time

TYPE_CHECKING = False  # `typing` itself would cost the supervisor a megabyte
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any

_PR_SET_PDEATHSIG = 1  # <linux/prctl.h>
#: A command left for the end gets this long: it may be removing a network that the kernel is slow to free.
LAST_COMMAND_SECONDS = 10.0
_READ_BYTES = 65536


class Child:
    """One owned process."""

    def __init__(self, name: str, pid: int, grace: float, log_fd: int) -> None:
        self.name = name
        self.pid = pid
        self.grace = grace
        self.log_fd = log_fd
        self.stdout_fd = -1
        self.line = b""
        self.line_sent = False
        self.kill_at: float | None = None
        self.killed = False
        self.returncode: int | None = None

    def signal_group(self, number: int) -> None:
        """Signal the child and whatever it started in its session."""
        try:
            os.killpg(self.pid, number)
        except (ProcessLookupError, PermissionError):
            return

    def ask_to_stop(self, grace: float) -> None:
        """TERM now and KILL when the grace is over; no grace is KILL at once."""
        if self.returncode is not None:
            return
        deadline = time.monotonic() + grace
        if self.kill_at is None or deadline < self.kill_at:
            self.kill_at = deadline
        if grace > 0:
            self.signal_group(signal.SIGTERM)
        else:
            self.kill()

    def kill(self) -> None:
        """KILL, and remember that it took that."""
        self.killed = True
        self.kill_at = None
        self.signal_group(signal.SIGKILL)


class Supervisor:
    """The loop around the control channel, the children's ends and their standard output."""

    def __init__(self, control_fd: int) -> None:
        self.control_fd = control_fd
        os.set_blocking(control_fd, False)
        # A child that is kept must not hold the channel open: its end tells the run that all is done.
        os.set_inheritable(control_fd, False)
        self.incoming = b""
        self.outgoing = b""
        self.children: dict[str, Child] = {}
        self.last_commands: dict[int, list[str]] = {}
        self.stops: list[tuple[int, list[Child]]] = []
        self.closing = False
        self.terminated = False
        self.kept: set[str] = set()
        self.prctl = _prctl()
        self.wake_read, wake_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(wake_write, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGTERM, self._on_term)
        for ignored in (signal.SIGINT, signal.SIGHUP, signal.SIGPIPE, signal.SIGQUIT):
            signal.signal(ignored, signal.SIG_IGN)

    def _on_term(self, *_: object) -> None:
        self.closing = self.terminated = True

    # -- the loop -----------------------------------------------------------------------------------------

    def run(self) -> None:
        """Serve until the channel closes, then end everything; what is kept, once somebody says TERM."""
        while not self.closing:
            self._turn()
        self._end([child for child in self.children.values() if child.name not in self.kept])
        while not self.terminated and self._kept_running():
            if self.control_fd >= 0:
                # The run waits for this, and need not wait any longer.
                os.close(self.control_fd)
                self.control_fd = -1
            self._turn()
        self._end(list(self.children.values()))
        for argv in reversed(list(self.last_commands.values())):
            self._run_last(argv)

    def _end(self, children: Sequence[Child]) -> None:
        for child in reversed(children):
            child.ask_to_stop(child.grace)
            while child.returncode is None:
                self._turn()

    def _kept_running(self) -> bool:
        return any(child.name in self.kept and child.returncode is None for child in self.children.values())

    def _turn(self) -> None:
        readers = [self.wake_read]
        if self.control_fd >= 0:
            readers.append(self.control_fd)
        outputs = {c.stdout_fd: c for c in self.children.values() if c.stdout_fd >= 0}
        writers = [self.control_fd] if self.outgoing and self.control_fd >= 0 else []
        readable, _, _ = select.select(readers + list(outputs), writers, [], self._patience())
        if self.wake_read in readable:
            _drain(self.wake_read)
        for fd in readable:
            if fd in outputs:
                self._take_output(outputs[fd])
        self._reap()
        self._kill_overdue()
        if self.control_fd in readable:
            self._take_requests()
        if self.control_fd >= 0 and self.outgoing:
            self._flush()

    def _patience(self) -> float | None:
        running = [child for child in self.children.values() if child.returncode is None]
        deadlines = [child.kill_at for child in running if child.kill_at is not None]
        return max(0.0, min(deadlines) - time.monotonic()) if deadlines else None

    def _kill_overdue(self) -> None:
        now = time.monotonic()
        for child in self.children.values():
            if child.returncode is None and child.kill_at is not None and now >= child.kill_at:
                child.kill()

    def _reap(self) -> None:
        for child in list(self.children.values()):
            if child.returncode is not None:
                continue
            try:
                pid, status = os.waitpid(child.pid, os.WNOHANG)
            except ChildProcessError:
                pid, status = child.pid, 0
            if pid == 0:
                continue
            if child.stdout_fd >= 0:
                self._take_output(child)
            child.returncode = os.waitstatus_to_exitcode(status)
            child.signal_group(signal.SIGKILL)
            self._say({"event": "exit", "name": child.name, "pid": child.pid, "returncode": child.returncode})
        self._answer_stops()

    # -- the control channel ------------------------------------------------------------------------------

    def _take_requests(self) -> None:
        try:
            data = os.read(self.control_fd, _READ_BYTES)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._channel_lost()
            return
        *lines, self.incoming = (self.incoming + data).split(b"\n")
        for line in lines:
            request = json.loads(line)
            try:
                answer = getattr(self, "op_" + request["op"])(request)
            except Exception as problem:
                # One bad request must not end the other processes of the run.
                answer = {"error": f"{type(problem).__name__}: {problem}"}
            if answer is not None:
                self._say({"id": request["id"], **answer})

    def _say(self, message: Mapping[str, Any]) -> None:
        if self.control_fd >= 0:
            self.outgoing += json.dumps(message).encode() + b"\n"
            self._flush()

    def _flush(self) -> None:
        try:
            sent = os.write(self.control_fd, self.outgoing)
            self.outgoing = self.outgoing[sent:]
        except BlockingIOError:
            pass
        except OSError:
            self._channel_lost()

    def _channel_lost(self) -> None:
        if self.control_fd >= 0:
            os.close(self.control_fd)
        self.control_fd = -1
        self.closing = True

    # -- requests -----------------------------------------------------------------------------------------

    def op_start(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Start a child in a session of its own."""
        name = request["name"]
        old = self.children.get(name)
        if old is not None and old.returncode is None:
            raise ValueError(f"{name} is running already")
        log_fd = os.open(request["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        out_read, out_write = -1, log_fd
        if request["ready_line"]:
            out_read, out_write = os.pipe2(os.O_CLOEXEC)
        elif request["stdout"]:
            out_write = os.open(
                request["stdout"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600
            )
        try:
            pid = self._spawn(request["argv"], request["env"], request["cwd"], out_write, log_fd)
        except OSError:
            os.close(log_fd)
            raise
        finally:
            if out_write != log_fd:
                os.close(out_write)
        child = Child(name, pid, request["grace"], log_fd)
        # Insertion order is start order, also for a name that is started again.
        self.children.pop(name, None)
        self.children[name] = child
        if out_read >= 0:
            os.set_blocking(out_read, False)
            child.stdout_fd = out_read
        else:
            os.close(log_fd)
            child.log_fd = -1
        return {"pid": pid}

    def op_stop(self, request: Mapping[str, Any]) -> None:
        """Ask children to stop; answered when all have."""
        children = [self.children[name] for name in request["names"] if name in self.children]
        for child in children:
            child.ask_to_stop(request["grace"])
        self.stops.append((request["id"], children))
        self._reap()

    def _answer_stops(self) -> None:
        waiting = []
        for identity, children in self.stops:
            if any(child.returncode is None for child in children):
                waiting.append((identity, children))
                continue
            ends = {c.name: {"returncode": c.returncode, "killed": c.killed} for c in children}
            self._say({"id": identity, "stopped": ends})
        self.stops = waiting

    def op_at_end(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Leave a command for the end."""
        self.last_commands[request["key"]] = request["argv"]
        return {}

    def op_cancel(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Forget a command left for the end."""
        self.last_commands.pop(request["key"], None)
        return {}

    def op_keep(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Let children outlive the run."""
        self.kept |= set(request["names"])
        return {}

    def op_close(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """End everything; the closed channel says when it is done."""
        self.closing = True
        return {}

    # -- processes ----------------------------------------------------------------------------------------

    def _spawn(
        self, argv: Sequence[str], env: Mapping[str, str] | None, cwd: str | None, out_fd: int, err_fd: int
    ) -> int:
        failed_read, failed_write = os.pipe2(os.O_CLOEXEC)
        parent = os.getpid()
        pid = os.fork()
        if pid == 0:
            try:
                self._become(argv, env, cwd, out_fd, err_fd, parent)
            except OSError as problem:
                os.write(failed_write, str(problem.errno or errno.EINVAL).encode())
            finally:
                os._exit(127)
        os.close(failed_write)
        code = os.read(failed_read, 16)
        os.close(failed_read)
        if code:
            os.waitpid(pid, 0)
            raise OSError(int(code), f"{os.strerror(int(code))}: {argv[0]}")
        return pid

    def _become(
        self,
        argv: Sequence[str],
        env: Mapping[str, str] | None,
        cwd: str | None,
        out_fd: int,
        err_fd: int,
        parent: int,
    ) -> None:
        os.setsid()
        if self.prctl is not None:
            self.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
            if os.getppid() != parent:
                os._exit(127)
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGINT, signal.SIGHUP, signal.SIGPIPE, signal.SIGQUIT, signal.SIGTERM):
            signal.signal(number, signal.SIG_DFL)
        null = os.open(os.devnull, os.O_RDONLY)
        os.dup2(null, 0)
        os.dup2(out_fd, 1)
        os.dup2(err_fd, 2)
        if cwd:
            os.chdir(cwd)
        environment = os.environ if env is None else env
        os.execvpe(argv[0], list(argv), environment)  # noqa: S606 - no shell is wanted

    def _take_output(self, child: Child) -> None:
        while True:
            try:
                data = os.read(child.stdout_fd, _READ_BYTES)
            except BlockingIOError:
                return
            if not data:
                os.close(child.stdout_fd)
                os.close(child.log_fd)
                child.stdout_fd = -1
                return
            if not child.line_sent:
                # The ready line may hold a credential: it goes to the asker and never into the log.
                child.line += data
                line, newline, data = child.line.partition(b"\n")
                if not newline:
                    continue
                child.line, child.line_sent = b"", True
                self._say({"event": "line", "name": child.name, "line": line.decode("utf-8", "replace")})
            if data:
                os.write(child.log_fd, data)

    def _run_last(self, argv: Sequence[str]) -> None:
        null = os.open(os.devnull, os.O_WRONLY)
        try:
            pid = self._spawn(argv, None, None, null, 2)
        except OSError as problem:
            print(f"last command {argv[0]}: {problem}", file=sys.stderr, flush=True)
            return
        finally:
            os.close(null)
        deadline = time.monotonic() + LAST_COMMAND_SECONDS
        while os.waitpid(pid, os.WNOHANG)[0] == 0:
            remaining = deadline - time.monotonic()
            if remaining <= 0:
                os.killpg(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
                print(f"last command {argv[0]}: killed after {LAST_COMMAND_SECONDS:g} s", file=sys.stderr)
                return
            select.select([self.wake_read], [], [], remaining)
            _drain(self.wake_read)


def _drain(fd: int) -> None:
    try:
        while os.read(fd, _READ_BYTES):
            pass
    except BlockingIOError:
        pass


def _prctl() -> Callable[..., int] | None:
    if not sys.platform.startswith("linux"):
        return None
    return ctypes.CDLL(None, use_errno=True).prctl


if __name__ == "__main__":
    os.chdir("/")
    Supervisor(int(sys.argv[1])).run()
