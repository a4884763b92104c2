"""`vnode-suite emulator`: a service for other programs, in any language."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest
import requests

from vnode_suite.cli.emulator import _until_it_ends
from vnode_suite.core.modules import environment
from vnode_suite.core.polling import poll
from vnode_suite.eci.client import EciClient
from vnode_suite.eci.credentials import StaticCredentials
from vnode_suite.eci.endpoints import single
from vnode_suite.eci.models import CreateRequest

if TYPE_CHECKING:
    from tests.cli.conftest import Command

_TEXT = {"type": "string", "minLength": 1}
READY = {
    "type": "object",
    "required": [
        "endpoint", "region", "access_key_id", "access_key_secret", "account_id", "vpc_id", "vswitch_ids",
        "security_group_id",
    ],
    "properties": {
        "endpoint": {"type": "string", "pattern": "^http://127.0.0.1:[0-9]+$"},
        "region": _TEXT,
        "access_key_id": _TEXT,
        "access_key_secret": _TEXT,
        "account_id": {"type": "string", "pattern": "^[0-9]+$"},
        "vpc_id": {"type": "string", "pattern": "^vpc-"},
        "vswitch_ids": {"type": "array", "minItems": 1, "items": {"type": "string", "pattern": "^vsw-"}},
        "security_group_id": {"type": "string", "pattern": "^sg-"},
    },
}  # fmt: skip


@contextmanager
def emulator(vnode_suite: Command, *arguments: str) -> Iterator[tuple[subprocess.Popen[str], dict[str, Any]]]:
    """The command and its line."""
    process = vnode_suite.start("emulator", "--json", "--no-simulator", *arguments)
    try:
        assert process.stdout is not None
        yield process, json.loads(process.stdout.readline() or "null")
    finally:
        if process.poll() is None:
            process.terminate()
        process.communicate(timeout=30)


def client_of(ready: dict[str, Any]) -> EciClient:
    key = StaticCredentials(ready["access_key_id"], ready["access_key_secret"])
    return EciClient.connect(single(ready["endpoint"], ready["region"]), key)


def test_the_line_is_all_that_a_client_needs(vnode_suite: Command) -> None:
    """Nothing else is printed; the official SDK gets along with what it says."""
    with emulator(vnode_suite, "--region", "cn-shanghai") as (process, ready):
        jsonschema.validate(ready, READY)
        assert ready["region"] == "cn-shanghai"
        request = CreateRequest((ready["vswitch_ids"][0],), ready["security_group_id"])
        with client_of(ready) as client:
            made = client.create_virtual_node(request)
            assert [node.id for node in client.describe_virtual_nodes()] == [made]
        process.terminate()
        rest, said = process.communicate(timeout=30)
        assert (process.returncode, rest, said) == (0, "", "")


def test_the_access_key_and_the_address_can_be_chosen(vnode_suite: Command) -> None:
    """What is given is what is served."""
    arguments = ("--access-key-id", "mine", "--access-key-secret", "hush", "--listen", "127.0.0.1:0")
    with emulator(vnode_suite, *arguments) as (_, ready):
        assert (ready["access_key_id"], ready["access_key_secret"]) == ("mine", "hush")
        with client_of(ready) as client:
            assert client.caller().account_id == ready["account_id"]
        port = ready["endpoint"].rpartition(":")[2]
        taken = vnode_suite.process("emulator", "--json", "--no-simulator", "--listen", f"127.0.0.1:{port}")
        assert (taken.returncode, taken.stdout, taken.stderr.count("\n")) == (1, "", 1)
        assert "address already in use" in taken.stderr


def test_diagnose_asks_an_emulator_as_it_asks_the_service(vnode_suite: Command) -> None:
    """A VNode that is there has its events read; one that is not is named."""
    with emulator(vnode_suite, "--region", "cn-shanghai") as (_, ready):
        request = CreateRequest((ready["vswitch_ids"][0],), ready["security_group_id"])
        with client_of(ready) as client:
            made = client.create_virtual_node(request)
        names = {
            "ALIBABA_CLOUD_ACCESS_KEY_ID": "access_key_id",
            "ALIBABA_CLOUD_ACCESS_KEY_SECRET": "access_key_secret",
        }
        env = environment() | {name: ready[field] for name, field in names.items()}
        where = ("--region", "cn-shanghai", "--endpoint", ready["endpoint"], "--json")
        found = vnode_suite.process("diagnose", "--live", made, *where, env=env)
        lost = vnode_suite.process("diagnose", "--live", "vnd-none", *where, env=env)
    assert found.returncode == 0, found.stderr
    assert set(json.loads(found.stdout)) >= {"causes", "unknown"}
    assert made in found.stderr
    assert (lost.returncode, "vnd-none" in lost.stderr, lost.stderr.count("\n")) == (1, True, 1)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_it_ends_with_the_command(vnode_suite: Command, number: signal.Signals) -> None:
    """Also when the command is killed: nothing listens any more."""
    with emulator(vnode_suite) as (process, ready):
        process.send_signal(number)
        process.wait(30)
        assert process.returncode == (0 if number == signal.SIGINT else -number)

        def refused() -> bool | None:
            try:
                requests.get(ready["endpoint"], timeout=2)
            except requests.ConnectionError:
                return True
            return None

        poll(refused, what="the emulator to be gone", deadline_seconds=20)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--access-key-id", "mine"], "given together"),
        (["--region", "cn-shangai"], "cn-shanghai"),
        (["--listen", "here"], "HOST:PORT"),
        (["--account-id", "me"], "digits"),
        (["--faults", "nowhere.toml"], "does not exist"),
    ],
)
def test_what_cannot_be_served_is_wrong_usage(vnode_suite: Command, arguments: list[str], said: str) -> None:
    """Status 4 and one line, whoever of both finds it."""
    done = vnode_suite.process("emulator", "--no-simulator", *arguments)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (4, "", 1)
    assert said in done.stderr


def test_a_person_is_told_how_to_point_each_client_at_it(vnode_suite: Command, tmp_path: Path) -> None:
    """Without --json: the address, the key, and a paragraph a client."""
    process = vnode_suite.start("emulator", "--no-simulator", cwd=tmp_path)
    assert process.stdout is not None
    lines = []
    for line in process.stdout:
        lines.append(line.rstrip())
        if line.startswith("terraform"):
            break
    process.terminate()
    process.communicate(timeout=30)
    endpoint = lines[0].rpartition(" ")[2]
    assert endpoint.startswith("http://127.0.0.1:")
    assert {"environment", "python", "go", "aliyun-cli", "terraform"} <= set(lines)
    assert any(endpoint.removeprefix("http://") in line and "aliyun eci" in line for line in lines)
    assert process.returncode == 0


def test_a_signal_that_interrupts_no_system_call_is_answered_too() -> None:
    """It came just before the wait began, or to another thread: here, where the main thread does not take it."""

    def interrupt(number: int, frame: object) -> None:
        raise KeyboardInterrupt

    def send() -> None:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
        signal.raise_signal(signal.SIGTERM)

    before = signal.signal(signal.SIGTERM, interrupt)
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    later = threading.Timer(0.2, send)
    try:
        with subprocess.Popen(
            [sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE
        ) as child:
            # Were the signal lost, the child's end would end the wait instead.
            end = threading.Timer(10, child.kill)
            end.start()
            later.start()
            with pytest.raises(KeyboardInterrupt):
                _until_it_ends(child)
            end.cancel()
            assert child.poll() is None
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        signal.signal(signal.SIGTERM, before)
