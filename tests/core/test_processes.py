"""Owned processes: what is started is watched, stopped, and never outlives its owner."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from vnode_suite.core.errors import DeadlineExceeded
from vnode_suite.core.polling import poll
from vnode_suite.core.processes import ProcessError, Supervisor


@pytest.fixture
def supervisor(tmp_path: Path) -> Iterator[Supervisor]:
    """A supervisor whose own log is in the test's folder."""
    with Supervisor(log=tmp_path / "supervisor.log") as owner:
        yield owner


def alive(pid: int) -> bool:
    """Whether a process is there and more than a corpse."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def test_a_started_process_runs_in_a_session_of_its_own(supervisor: Supervisor, tmp_path: Path) -> None:
    """Ctrl-C in the terminal must not reach it."""
    process = supervisor.start("sleeper", ["sleep", "60"], log=tmp_path / "log")
    assert os.getsid(process.pid) == process.pid != os.getsid(0)
    assert os.getsid(supervisor.pid) != os.getsid(0)


def test_an_end_is_reported_with_its_status_and_the_tail_of_its_log(
    supervisor: Supervisor, tmp_path: Path
) -> None:
    """A crash is noticed at once, and says why."""
    process = supervisor.start(
        "crasher", ["sh", "-c", "echo the disk is full >&2; exit 7"], log=tmp_path / "log"
    )
    assert process.wait(30)
    assert process.returncode() == 7
    with pytest.raises(ProcessError, match="the disk is full") as caught:
        process.check_running()
    assert "crasher ended with status 7" in str(caught.value)


def test_a_process_that_heeds_term_is_not_killed(supervisor: Supervisor, tmp_path: Path) -> None:
    """TERM comes first."""
    supervisor.start("polite", ["sleep", "60"], log=tmp_path / "log")
    stopped = supervisor.stop("polite", 5)
    assert (stopped.returncode, stopped.killed) == (-signal.SIGTERM, False)


def test_a_process_that_ignores_term_is_killed_and_named(supervisor: Supervisor, tmp_path: Path) -> None:
    """After its grace it is killed, and the answer says that it would not stop."""
    stubborn = ["sh", "-c", "trap '' TERM; echo ready; while :; do sleep 0.1; done"]
    supervisor.start("stubborn", stubborn, log=tmp_path / "log", ready_line=True)
    stopped = supervisor.stop("stubborn", 0.2)
    assert (stopped.name, stopped.returncode, stopped.killed) == ("stubborn", -signal.SIGKILL, True)


def test_stopping_one_ends_what_it_started_too(supervisor: Supervisor, tmp_path: Path) -> None:
    """A process' children are in its group and go with it."""
    parent = ["sh", "-c", "sleep 60 & echo $!; wait"]
    process = supervisor.start("parent", parent, log=tmp_path / "log", ready_line=True)
    child = int(process.ready_line)
    assert alive(child)
    supervisor.stop("parent", 2)
    poll(lambda: None if alive(child) else True, what="the grandchild to end", deadline_seconds=30)


def test_a_ready_line_is_given_to_the_asker_and_kept_out_of_the_log(
    supervisor: Supervisor, tmp_path: Path
) -> None:
    """It may hold a credential; what is printed later is logged."""
    printer = ["sh", "-c", 'echo \'{"token": "s3cret"}\'; echo served a request']
    process = supervisor.start("printer", printer, log=tmp_path / "log", ready_line=True)
    assert process.ready_line == '{"token": "s3cret"}'
    assert process.wait(30)
    assert (tmp_path / "log").read_text(encoding="utf-8") == "served a request\n"


def test_an_end_before_the_ready_line_is_an_error_with_the_log(
    supervisor: Supervisor, tmp_path: Path
) -> None:
    """Nobody waits for a line that cannot come any more."""
    with pytest.raises(ProcessError, match="no such option"):
        supervisor.start(
            "early", ["sh", "-c", "echo no such option >&2; exit 2"], log=tmp_path / "log", ready_line=True
        )


def test_a_ready_line_that_does_not_come_is_a_deadline_and_the_process_is_gone(
    supervisor: Supervisor, tmp_path: Path
) -> None:
    """Who gives up on a process also stops it."""
    with pytest.raises(DeadlineExceeded, match="mute to say that it is ready"):
        supervisor.start(
            "mute", ["sleep", "60"], log=tmp_path / "log", ready_line=True, ready_deadline_seconds=0.2
        )
    assert supervisor.running() == []


def test_a_program_that_is_not_there_is_an_error_that_names_it(
    supervisor: Supervisor, tmp_path: Path
) -> None:
    """The error of `exec` comes back to who asked."""
    with pytest.raises(ProcessError, match="No such file or directory: /nonexistent/etcd"):
        supervisor.start("absent", ["/nonexistent/etcd"], log=tmp_path / "log")
    assert supervisor.start("absent", ["true"], log=tmp_path / "log").wait(30)


def test_a_name_is_taken_only_while_its_process_runs(supervisor: Supervisor, tmp_path: Path) -> None:
    """Two running processes of one name could not be told apart."""
    supervisor.start("one", ["sleep", "60"], log=tmp_path / "log")
    with pytest.raises(ProcessError, match="one is running already"):
        supervisor.start("one", ["sleep", "60"], log=tmp_path / "log")
    supervisor.stop("one")
    assert supervisor.start("one", ["true"], log=tmp_path / "log").wait(30)


def test_the_environment_given_is_the_whole_environment(
    supervisor: Supervisor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing of ours leaks into a component that might heed it."""
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.example")
    log = tmp_path / "log"
    supervisor.start("env", ["/usr/bin/env"], log=log, env={"ONLY": "this"}, cwd=tmp_path).wait(30)
    assert log.read_text(encoding="utf-8").split() == ["ONLY=this"]


def test_closing_stops_in_reverse_order_and_then_runs_what_was_left(tmp_path: Path) -> None:
    """The API server goes before etcd, and the bridge after both."""
    order = tmp_path / "order"

    def noting(name: str) -> list[str]:
        script = f"trap 'echo {name} >>{order}; exit 0' TERM; echo ready; while :; do sleep 0.05; done"
        return ["sh", "-c", script]

    with Supervisor() as owner:
        for name in ("first", "second"):
            owner.start(name, noting(name), log=tmp_path / name, ready_line=True)
        owner.at_end(["sh", "-c", f"echo bridge >>{order}"])
        owner.at_end(["sh", "-c", f"echo namespace >>{order}"])
        forgotten = owner.at_end(["sh", "-c", f"echo forgotten >>{order}"])
        owner.cancel_at_end(forgotten)
    assert order.read_text(encoding="utf-8").split() == ["second", "first", "namespace", "bridge"]


def test_a_last_command_that_fails_does_not_keep_the_others_from_running(tmp_path: Path) -> None:
    """Cleaning up goes on."""
    with Supervisor(log=tmp_path / "supervisor.log") as owner:
        owner.at_end(["touch", tmp_path / "cleaned"])
        owner.at_end(["/nonexistent/command"])
    assert (tmp_path / "cleaned").exists()
    assert "/nonexistent/command" in (tmp_path / "supervisor.log").read_text(encoding="utf-8")


CLIENT = textwrap.dedent(
    """
    import pathlib, sys, time
    from vnode_suite.core.processes import Supervisor

    folder = pathlib.Path(sys.argv[1])
    owner = Supervisor(log=folder / "supervisor.log")
    pids = [owner.pid]
    for name in ("etcd", "api"):
        pids.append(owner.start(name, ["sleep", "600"], log=folder / name).pid)
    owner.at_end(["touch", folder / "cleaned"])
    print(*pids, flush=True)
    time.sleep(600)
    """
)


@pytest.fixture
def client(tmp_path: Path) -> Iterator[tuple[subprocess.Popen[str], list[int]]]:
    """A process that owns two sleepers, and the ids of its supervisor and of the sleepers."""
    with subprocess.Popen(
        [sys.executable, "-c", CLIENT, str(tmp_path)],
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        assert process.stdout is not None
        pids = [int(word) for word in process.stdout.readline().split()]
        yield process, pids
        process.kill()


def gone(pids: list[int]) -> bool | None:
    """True once none is left."""
    return None if any(alive(pid) for pid in pids) else True


def test_a_killed_owner_leaves_no_process_and_its_last_commands_run(
    client: tuple[subprocess.Popen[str], list[int]], tmp_path: Path
) -> None:
    """`kill -9` of pytest: the supervisor sees its channel close and ends everything."""
    process, pids = client
    assert all(alive(pid) for pid in pids)
    assert len(pids) == 3
    process.kill()
    poll(lambda: gone(pids), what="supervisor and children to be gone", deadline_seconds=10)
    assert (tmp_path / "cleaned").exists()


def test_a_killed_supervisor_takes_the_children_with_it(
    client: tuple[subprocess.Popen[str], list[int]],
) -> None:
    """The kernel kills them: there is nobody left who could."""
    _, (owner, *children) = client
    os.kill(owner, signal.SIGKILL)
    poll(lambda: gone(children), what="the children to be gone", deadline_seconds=10)


def test_the_supervisor_is_light(supervisor: Supervisor) -> None:
    """One runs beside every worker; its budget is 12 MiB of resident memory, much of it shared."""
    status = Path(f"/proc/{supervisor.pid}/status").read_text(encoding="ascii")
    resident = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS:"))
    assert resident < 13 * 1024


def test_what_is_kept_outlives_its_owner_until_the_supervisor_is_told_to_end(tmp_path: Path) -> None:
    """The owner's close ends the others and returns; TERM to the supervisor ends what was kept, and then the rest."""
    ended = tmp_path / "ended"
    owner = Supervisor(log=tmp_path / "supervisor.log")
    kept = owner.start("kept", ["sleep", "60"], log=tmp_path / "log")
    other = owner.start("other", ["sleep", "60"], log=tmp_path / "log")
    owner.at_end(["touch", str(ended)])
    owner.keep(["kept"])
    assert owner.stop("kept").returncode is None
    owner.close()
    try:
        assert alive(kept.pid)
        assert not alive(other.pid)
        assert not ended.exists()
    finally:
        os.kill(owner.pid, signal.SIGTERM)
    poll(lambda: None if alive(kept.pid) else True, what="the kept process to end", deadline_seconds=10)
    poll(lambda: ended.exists() or None, what="the last command", deadline_seconds=10)
