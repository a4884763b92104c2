"""The emulators of a run: one process serves every version that is opened after the other, as one VPC has several
clusters in it.

Starting one is a second of both processors, for which an API server would wait: it is bound to an address of the VPC.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from vnode_suite.cleanup.journal import Entry
from vnode_suite.cleanup.networks import interface_of, network_name
from vnode_suite.cleanup.undo import remove_network
from vnode_suite.connection.cloud import SIMULATED_CLIENT_TIMEOUT, SIMULATED_HEARTBEAT, SIMULATED_RETRY
from vnode_suite.core.errors import CloudError, SuiteError
from vnode_suite.core.modules import command, environment
from vnode_suite.core.processes import OwnedProcess
from vnode_suite.core.secrets import Secret
from vnode_suite.eci.emulator import EmulatorAdmin, EmulatorReady

if TYPE_CHECKING:
    from vnode_suite.connection.run import Run

#: A second or two on idle cores.
_READY_SECONDS = 60.0
#: Its end removes the network: a second or two, ten times that where others use the machine.
_STOP_SECONDS = 20.0


@dataclass(frozen=True, slots=True, eq=False)
class Emulator:
    """A running emulator, and what its end takes away.

    :ivar outside: networks outside its VPC that are reached from there, and names that its DNS knows.
    :ivar network: the journal's entry of its network.
    :ivar removal: the supervisor's last command, which removes that.
    """

    process: OwnedProcess
    ready: EmulatorReady
    admin: EmulatorAdmin
    outside: tuple[tuple[str, ...], Mapping[str, str]]
    network: Entry
    removal: int


class Emulators:
    """Lends an emulator to each world that asks, and takes it back when the world is left.

    One that ended meanwhile, or that is kept, is not lent again. Two worlds at one time have one each. Thread-safe.
    """

    def __init__(self, run: Run) -> None:
        self._run = run
        self._guard = threading.Lock()
        self._free: list[Emulator] = []
        self._started = 0
        self._closed = False

    def start_early(self) -> None:
        """Start the first one in a thread; what it fails of, the first world that asks tries again, and tells."""
        threading.Thread(target=self._start_first, name="emulator", daemon=True).start()

    def lend(self, connected: Sequence[str], dns_records: Mapping[str, str]) -> Emulator:
        """A free one with that outside its VPC, or a new one.

        :param connected: networks (CIDR) outside the VPC that are reached over this machine.
        :param dns_records: names that the VPC's DNS knows: to an address, or to ``host`` for this machine's.
        :raises SuiteError: it does not start.
        """
        outside = (tuple(connected), dict(dns_records))
        with self._guard:
            for emulator in self._free:
                if emulator.outside == outside and not emulator.process.exited:
                    self._free.remove(emulator)
                    return emulator
            return self._start(outside)

    def take_back(self, emulator: Emulator) -> None:
        """Empty it for the next world; one that cannot be emptied is ended."""
        try:
            emulator.admin.forget()
        except CloudError:
            self._stop(emulator)
        else:
            with self._guard:
                self._free.append(emulator)

    def close(self) -> None:
        """End those that are not kept, and with each its network."""
        with self._guard:
            self._closed = True
            for emulator in self._free:
                self._stop(emulator)
            self._free.clear()

    def _start_first(self) -> None:
        with self._guard, suppress(SuiteError):
            if not self._started and not self._closed:
                self._free.append(self._start(((), {})))

    def _start(self, outside: tuple[tuple[str, ...], Mapping[str, str]]) -> Emulator:
        run, number = self._run, self._started
        self._started += 1
        own = "" if run.shard == "main" else f"-{run.shard}"
        name = f"simulated{own}" + (f"-{number + 1}" if number else "")
        network_id = network_name(run.id, run.shard, number)
        config = run.scratch / f"{name}.json"
        _write(config, network_id, run.settings.cloud.region, *outside)
        network = run.journal.intend(
            "network",
            interface_of(network_id).name,
            {"action": "remove-network", "run": network_id},
            where="local",
        )
        try:
            process = run.supervisor.start(
                name,
                command("vnode_suite.simulated", "--config", str(config)),
                env=environment(),
                log=run.folder / "evidence" / f"{name}.log",
                ready_line=True,
                ready_deadline_seconds=_READY_SECONDS,
            )
        except SuiteError:
            if remove_network(network) is None:
                network.undone()
            raise
        # Its own end removes the network; this is for the end that it has no say in.
        removal = run.supervisor.at_end(command("vnode_suite.simulated.vpc", "remove", network_id))
        ready = EmulatorReady.parse(process.ready_line)
        Secret(ready.access_key_secret, "access-key-secret")
        Secret(ready.admin_token, "admin-token")
        assert ready.admin is not None  # noqa: S101 - the configuration asks for it
        return Emulator(process, ready, ready.admin, outside, network, removal)

    def _stop(self, emulator: Emulator) -> None:
        supervisor = self._run.supervisor
        stopped = supervisor.stop(emulator.process.name, _STOP_SECONDS)
        # Of one that had to be killed the kernel may not have taken the network away yet.
        if (stopped.returncode == 0 and not stopped.killed) or remove_network(emulator.network) is None:
            supervisor.cancel_at_end(emulator.removal)
            emulator.network.undone()


def _write(
    config: Path, network_id: str, region: str, connected: Sequence[str], dns_records: Mapping[str, str]
) -> None:
    body = {
        "run_id": network_id,
        "region": region,
        "admin": True,
        "connected": list(connected),
        "dns_records": dict(dns_records),
        "timing": {
            "client_timeout": SIMULATED_CLIENT_TIMEOUT,
            "heartbeat": SIMULATED_HEARTBEAT,
            "retry": SIMULATED_RETRY,
        },
    }
    config.write_text(json.dumps(body), encoding="utf-8")
