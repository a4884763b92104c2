"""`vnode-suite emulator`: the ECI API on this machine, in the foreground, until it is told to end."""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections import deque
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import IO, Any

import click

from vnode_suite.cli.app import completing, examples, say, signals_wait
from vnode_suite.cli.ram_policy import region_names

#: It removes its network when it ends, which takes a second or two.
_END_SECONDS = 15.0


@click.command(
    epilog=examples(
        "vnode-suite emulator",
        "vnode-suite emulator --listen 127.0.0.1:8080 --region cn-shanghai",
        "vnode-suite emulator --json --no-simulator",
        "vnode-suite emulator --json --access-key-id LTAIexample --access-key-secret example",
    )
)
@click.option(
    "--json", "as_json", is_flag=True, help="When it is ready, print one line of JSON and nothing else."
)
@click.option(
    "--listen",
    metavar="HOST:PORT",
    default="127.0.0.1:0",
    help="Where it listens; default: a free port of loopback.",
)
@click.option(
    "--region",
    metavar="REGION",
    default="cn-hangzhou",
    show_default=True,
    shell_complete=completing(region_names),
    help="Region that it serves.",
)
@click.option(
    "--access-key-id", metavar="ID", help="Access key that it accepts; made up where none is given."
)
@click.option(
    "--access-key-secret", metavar="SECRET", help="Its secret. For this emulator only: never a real one."
)
@click.option("--account-id", metavar="ID", help="Account that the access key belongs to.")
@click.option(
    "--no-simulator", is_flag=True, help="The API alone: no VNode is started, none joins a cluster."
)
@click.option(
    "--ready-after",
    type=click.FloatRange(min=0, max=86400),
    metavar="SECONDS",
    help="With --no-simulator: show each VNode Ready after that time, for clients that wait for it.",
)
@click.option(
    "--network",
    type=click.Choice(["auto", "namespaces", "loopback"]),
    default="auto",
    show_default=True,
    help="Where the VNodes live: network namespaces need root.",
)
@click.option(
    "--faults",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="TOML file of faults to answer with.",
)
@click.option(
    "--state-file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Keeps what exists over a restart; holds the kubeconfigs.",
)
@click.option(
    "--tls", is_flag=True, help="Serve HTTPS, with a certificate made for it; its CA is in the line of JSON."
)
@click.option("--admin", is_flag=True, help="Open the admin port too: state, faults, probes.")
def emulator(as_json: bool, **given: Any) -> None:
    """Serve the ECI API with simulated VNodes behind it, until Ctrl-C or SIGTERM, which end it with 0.

    It answers for ECI, VPC, ECS and STS at one address, checks signatures, and knows one account. With
    `--json` the line has endpoint, region, access_key_id, access_key_secret, account_id, vpc_id, vswitch_ids,
    security_group_id and more.
    """
    ready = False
    with ExitStack() as until_ready:
        folder = until_ready.enter_context(tempfile.TemporaryDirectory(prefix="vnode-suite-emulator-"))
        process, errors = _start(_configuration(given), Path(folder))
        try:
            line = process.stdout.readline() if process.stdout else ""
            # It holds the access key's secret, and has been read; were we killed later, it would stay.
            until_ready.close()
            if not line:
                _refused(process, errors)
            # From here on, ending it is its ordinary end.
            ready = True
            errors.pass_on()
            _tell(line, as_json, made_up=not given["access_key_secret"])
            _until_it_ends(process)
        except KeyboardInterrupt:
            if not ready:
                raise
        finally:
            with signals_wait():
                _end(process)
    if process.returncode:
        from vnode_suite.core.errors import CloudError

        raise CloudError(f"the emulator ended with status {process.returncode}")


def _configuration(given: dict[str, Any]) -> dict[str, Any]:
    """The process' configuration file, from the options."""
    from vnode_suite.core.errors import UsageError
    from vnode_suite.eci.endpoints import check_region

    if bool(given["access_key_id"]) != bool(given["access_key_secret"]):
        raise UsageError("--access-key-id and --access-key-secret are given together, or neither is")
    if given["ready_after"] is not None and not given["no_simulator"]:
        raise UsageError("--ready-after needs --no-simulator: a simulated VNode says itself when it is Ready")
    check_region(given["region"])
    files = {"faults_file": given["faults"], "state_file": given["state_file"]}
    optional = {
        "access_key_id": given["access_key_id"],
        "access_key_secret": given["access_key_secret"],
        "account_id": given["account_id"],
        # The process has its own working directory.
        **{key: str(path.absolute()) for key, path in files.items() if path is not None},
    }
    return {
        "listen": given["listen"],
        "region": given["region"],
        "simulator": not given["no_simulator"],
        "pretend_ready_after": given["ready_after"],
        "network": given["network"],
        "tls": given["tls"],
        "admin": given["admin"],
        "exit_with_stdin": True,
        **{key: value for key, value in optional.items() if value},
    }


class _Errors:
    """The process' standard error: kept while it starts, passed on when it is ready."""

    def __init__(self, stream: IO[str]) -> None:
        self._lines: deque[str] = deque(maxlen=50)
        self._ready = threading.Event()
        self._stream = stream
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def pass_on(self) -> None:
        """From now on, what it says is for the user."""
        self._ready.set()
        while self._lines:
            sys.stderr.write(self._lines.popleft())

    def last(self) -> str:
        """Its last line, when it has ended."""
        self._reader.join(_END_SECONDS)
        return self._lines[-1].strip() if self._lines else ""

    def _read(self) -> None:
        for line in self._stream:
            if self._ready.is_set():
                with suppress(OSError, ValueError):
                    sys.stderr.write(line)
            else:
                self._lines.append(line)


def _start(configuration: dict[str, Any], folder: Path) -> tuple[subprocess.Popen[str], _Errors]:
    from vnode_suite.core.modules import command, environment

    file = folder / "config.json"
    with os.fdopen(
        os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8"
    ) as config:
        json.dump(configuration, config)
    process = subprocess.Popen(
        command("vnode_suite.simulated", "--config", str(file)),
        env=environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # Ctrl-C is for us: we end it by closing its standard input, and wait for it to clean up.
        start_new_session=True,
    )
    assert process.stderr is not None  # noqa: S101 - PIPE
    return process, _Errors(process.stderr)


def _refused(process: subprocess.Popen[str], errors: _Errors) -> None:
    from vnode_suite.core.errors import CloudError, UsageError

    process.wait(_END_SECONDS)
    said = errors.last()
    if said.startswith("configuration: "):
        raise UsageError(said.removeprefix("configuration: "))
    raise CloudError("the emulator did not start", found=said.removeprefix("cannot start: ") or None)


def _tell(line: str, as_json: bool, *, made_up: bool) -> None:
    if as_json:
        click.echo(line, nl=False)
        return
    from vnode_suite.eci.emulator import EmulatorReady, pointers

    ready = EmulatorReady.parse(line)
    click.echo(f"the ECI API of {ready.region} is at {ready.endpoint}")
    if made_up:
        # It opens nothing but this emulator, and nobody could use it without being told.
        click.echo(
            f"access key {ready.access_key_id}, secret {ready.access_key_secret}, account {ready.account_id}"
        )
    else:
        click.echo(f"access key {ready.access_key_id}, account {ready.account_id}")
    click.echo(f"VPC {ready.vpc_id} ({ready.vpc_cidr}), vSwitches {', '.join(ready.vswitch_ids)}")
    click.echo(f"security group {ready.security_group_id}")
    click.echo(f"network: {ready.network}{f' ({ready.network_reason})' if ready.network_reason else ''}")
    for client, text in pointers(ready).items():
        click.echo(f"\n{click.style(client, bold=True)}")
        click.echo("\n".join(f"  {each}" for each in text.splitlines()))
    say("\nCtrl-C ends it")


def _until_it_ends(process: subprocess.Popen[Any]) -> None:
    """Wait for the process, or for a signal, whose handler then raises.

    Python notes a signal and answers it between two of its own instructions: one that comes just before
    `waitpid` blocks would be answered when the process ends, that is, never. Its wakeup descriptor has no
    such gap.
    """
    told, tells = socket.socketpair()
    with told, tells, ExitStack() as undo:
        ends = os.pidfd_open(process.pid)
        undo.callback(os.close, ends)
        tells.setblocking(False)
        undo.callback(signal.set_wakeup_fd, signal.set_wakeup_fd(tells.fileno()))
        waiting: list[int] = [told.fileno(), ends]
        select.select(waiting, [], [])
    process.wait(_END_SECONDS)


def _end(process: subprocess.Popen[str]) -> None:
    """Let it end by itself, as it then removes its network."""
    if process.stdin is not None:
        with suppress(OSError):
            process.stdin.close()
    try:
        process.wait(_END_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
