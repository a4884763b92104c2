#!/usr/bin/env python3
"""Run a command of this checkout in its own environment, which is made on first use.

    python3 run.py pytest --region cn-shanghai
    python3 run.py vnode-suite explain DS-02

The environment is `.venv` beside this file: the pinned, hash-checked packages of requirements.txt and the
checkout itself. It is made anew when a pin, the Python or the folder changes; otherwise nothing is looked up,
and the command takes this process over: its terminal, its signals and its status.

Only the standard library of Python 3.11 is needed. The system's own Python is not written to.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
#: There as soon as the environment is begun; holds what it was made from once it is whole.
MARK = VENV / "vnode-suite.made-from"
#: In the order of installing: what packages without a wheel are built with, then everything.
PINS = (ROOT / "requirements-build.txt", ROOT / "requirements.txt")
#: As `vnode-suite` itself: internal error, and usage.
FAILED, USAGE = 3, 4


def main(arguments: list[str]) -> None:
    """Make the environment if need be, and become the command."""
    if not arguments or arguments[0] in ("-h", "--help"):
        print(__doc__)
        raise SystemExit(0 if arguments else USAGE)
    wanted = made_from()
    if not is_whole(wanted):
        with Path(__file__).open("rb") as lock:
            # Two at once: the second waits, and finds the work done.
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not is_whole(wanted):
                make(wanted)
    program = VENV / "bin" / arguments[0]
    if not os.access(program, os.X_OK):
        stop(f"{arguments[0]} is no command of .venv/bin", USAGE)
    os.environ["VIRTUAL_ENV"] = str(VENV)
    os.environ["PATH"] = f"{program.parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
    os.environ.pop("PYTHONHOME", None)
    if os.environ.pop("PYTHONDONTWRITEBYTECODE", None):
        # Who wants no bytecode beside the sources gets none; but a run starts a dozen Pythons, and compiling
        # everything in each would be a third of its time.
        os.environ["PYTHONPYCACHEPREFIX"] = str(VENV / "bytecode")
    os.execv(program, [str(program), *arguments[1:]])  # noqa: S606 - what the caller asked for


def made_from() -> str:
    """What the environment depends on, as one digest."""
    parts = [sys.version, str(VENV), *(path.read_text() for path in (*PINS, ROOT / "pyproject.toml"))]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def is_whole(wanted: str) -> bool:
    """Whether the environment was made from *wanted*, to the end."""
    return MARK.is_file() and MARK.read_text() == wanted


def make(wanted: str) -> None:
    """Make the environment; a `.venv` of somebody else's making is added to, never cleared."""
    say("making .venv from pinned, hash-checked packages: once, a minute or two")
    pip = [str(VENV / "bin" / "python"), "-u", "-m", "pip"]
    if MARK.exists() or not VENV.exists():
        pip = make_empty(pip)
        MARK.touch()
    pip += ["--disable-pip-version-check", "install", "--no-deps", "--no-input"]
    for pins in PINS:
        count = sum("==" in line for line in pins.read_text().splitlines())
        watched([*pip, "--no-build-isolation", "--require-hashes", "-r", str(pins)], count)
    watched([*pip, "--no-build-isolation", "--editable", str(ROOT)], 1)
    MARK.write_text(wanted)


def make_empty(pip: list[str]) -> list[str]:
    """Make an environment without packages; the pip command that installs into it."""
    # Inside another environment, such as tox's, the new one must not depend on that.
    python = getattr(sys, "_base_executable", sys.executable) or sys.executable
    create = [python, "-m", "venv", "--clear"]
    if subprocess.run([*create, str(VENV)], capture_output=True, check=False).returncode == 0:
        return pip
    # Debian packages ensurepip apart. The system's pip, if there is one, can serve another environment.
    subprocess.run([*create, "--without-pip", str(VENV)], check=True)
    MARK.touch()
    outside = [python, "-u", "-m", "pip", "--python", pip[0]]
    if subprocess.run([*outside, "--version"], capture_output=True, check=False).returncode != 0:
        major, minor = sys.version_info[:2]
        stop(f"this Python has neither ensurepip nor pip; on Debian: apt install python{major}.{minor}-venv")
    return outside


def watched(command: list[str], count: int) -> None:
    """Run pip, showing on a terminal how far it is.

    :param count: packages that it has to collect.
    """
    lines: list[str] = []
    on_terminal = sys.stderr.isatty()
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        for line in process.stdout or ():
            lines.append(line)
            if on_terminal and line.startswith(("Collecting", "Installing", "Obtaining")):
                done = sum(one.startswith("Collecting") for one in lines)
                print(
                    f"\r\033[K  {min(done, count)}/{count} {line.strip():.60}",
                    end="",
                    file=sys.stderr,
                    flush=True,
                )
    if on_terminal:
        print("\r\033[K", end="", file=sys.stderr, flush=True)
    if process.returncode != 0:
        stop("".join(lines[-15:]) + "run.py: pip could not install the packages; the next start tries again")


def say(text: str) -> None:
    """A line for the person who waits."""
    print(f"run.py: {text}", file=sys.stderr, flush=True)


def stop(text: str, status: int = FAILED) -> None:
    """End with *text* and *status*."""
    say(text)
    raise SystemExit(status)


if __name__ == "__main__":
    if sys.version_info < (3, 11):  # noqa: UP036 - whoever has an older one is told so
        stop(f"Python 3.11 or later is needed, this is {sys.version.split()[0]}: {sys.executable}", USAGE)
    main(sys.argv[1:])
