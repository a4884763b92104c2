"""Writing a run's exchanges with the ECI API down (``--vnode-record``), and replaying them (``--vnode-cassette``)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

from vnode_suite.connection.steps import StepNotReached
from vnode_suite.core.errors import CloudError
from vnode_suite.eci import recording
from vnode_suite.eci.client import EciClient
from vnode_suite.eci.emulator import EmulatorAdmin, EmulatorReady
from vnode_suite.eci.exchange import ApiCall, Transport
from vnode_suite.eci.network import NetworkReader
from vnode_suite.eci.recording import NotRecorded, RecordingTransport, ReplayTransport, Scrubber
from vnode_suite.model import Cloud, Text, Unreached

if TYPE_CHECKING:
    from vnode_suite.connection.cloud import CloudSide
    from vnode_suite.connection.run import Run

#: What a recording holds beside exchanges.
RUN, MODE, PLACE, API_SERVERS = "run", "mode", "place", "api_servers"


def recorded(
    run: Run,
    inner: Transport,
    source: Literal["live", "emulator"],
    known: Mapping[str, str],
    place: Mapping[str, Any],
) -> RecordingTransport | None:
    """What writes down whatever *inner* carries; ``None`` where the run was not asked for it.

    :param known: values that may not be written whatever they look like, to the names that stand for them.
    :param place: where VNodes are put; a replay that is not told otherwise takes the same.
    """
    cloud = run.settings.cloud
    if cloud.record is None:
        return None
    made = RecordingTransport(
        inner,
        cloud.record,
        cloud.region,
        source,
        Scrubber(known),
        redact=lambda text: run.secrets.redact(text)[0],
    )
    made.note(RUN, run.id)
    made.note(MODE, cloud.cloud.value)
    made.note(PLACE, place)
    return made


def recorded_emulator(run: Run, inner: Transport, ready: EmulatorReady) -> RecordingTransport | None:
    """As :func:`recorded`, for the emulator: the recording says that it is no evidence of the service."""
    place = {
        "vpc_id": ready.vpc_id,
        "vswitches": {v["id"]: v["cidr"] for v in ready.vswitches if v["vpc_id"] == ready.vpc_id},
        "security_group_id": ready.security_group_id,
        "default_resource_group": ready.resource_group_ids[0],
    }
    known = {ready.account_id: "ACCOUNT", ready.access_key_id: "ACCESS-KEY-ID"}
    return recorded(run, inner, "emulator", known, place)


@contextmanager
def replayed(run: Run, simulator: CloudSide) -> Iterator[CloudSide]:
    """The ECI side of a recording; VNodes of *simulator* join in place of the recorded ones, under their ids.

    :raises CloudError: the recording does not hold what a replay needs.
    """
    cassette, region = run.settings.cloud.cassette, run.settings.cloud.region
    assert cassette is not None  # noqa: S101 - the options see to it
    assert simulator.admin is not None  # noqa: S101 - narrowing
    tape = recording.load(cassette)
    try:
        place, recorded_run = tape.facts[PLACE], str(tape.facts[RUN])
    except KeyError as missing:
        raise CloudError(f"{cassette.name} is not whole", wanted=f"the fact {missing}") from None
    for warning in tape.warnings():
        run.ledger.write("note", text=warning)
    follower = _Follower(simulator, tape, tuple(place["vswitches"]))
    replay = ReplayTransport(tape, {run.id: recorded_run}, follower.follow)
    client = EciClient(region, _Told(replay))
    own = dict(zip(place["vswitches"], _endless(tuple(simulator.vswitches.values())), strict=False))
    try:
        yield replace(
            simulator,
            client=client,
            networks=NetworkReader(client),
            kind=Cloud.REPLAY,
            grade=tape.grade,
            vpc_id=place["vpc_id"],
            vswitches=place["vswitches"],
            pod_cidrs=own,
            security_group_id=place["security_group_id"],
            default_resource_group=place["default_resource_group"],
            for_controls={},
            replay=replay,
        )
    finally:
        client.close()


class _Told:
    """Says of what was not recorded that it could not be looked at: nothing is made up, and nothing is at fault."""

    def __init__(self, inner: Transport) -> None:
        self._inner = inner

    def send(self, call: ApiCall, timeout: float) -> Mapping[str, Any]:
        try:
            return self._inner.send(call, timeout)
        except NotRecorded as missing:
            detail = Text(str(missing), f"录制中没有以这些参数调用 {call.action} 的应答")
            raise StepNotReached(Unreached("recording", "not-recorded", detail)) from missing


class _Follower:
    """Lets simulated VNodes do what the recorded ones did: join if those came Ready, go when those were deleted."""

    def __init__(self, simulator: CloudSide, tape: recording.Recording, vswitches: Sequence[str]) -> None:
        assert simulator.admin is not None  # noqa: S101 - narrowing
        self._admin: EmulatorAdmin = simulator.admin
        self._tape = tape
        self._group = simulator.security_group_id
        self._switches = dict(zip(vswitches, _endless(tuple(simulator.vswitches)), strict=False))
        self._first = next(iter(simulator.vswitches))
        self._there: set[str] = set()

    def follow(self, call: ApiCall, body: Mapping[str, Any]) -> None:
        """Follow one change."""
        if call.action == "CreateVirtualNode":
            self._join(call, body)
        elif call.action == "DeleteVirtualNode" and str(call.parameters["VirtualNodeId"]) in self._there:
            self._admin.follow(call, body)

    def _join(self, call: ApiCall, body: Mapping[str, Any]) -> None:
        name = str(body["VirtualNodeId"])
        # A call repeated under its ClientToken names a VNode that is there already.
        if name in self._there or not self._tape.came_ready(name):
            return
        self._there.add(name)
        left_out = ("ZoneId", "ResourceGroupId", "EipInstanceId", "EnablePublicNetwork")
        parameters = {key: value for key, value in call.parameters.items() if key not in left_out}
        wanted = str(parameters["VSwitchId"]).split(",")
        parameters["VSwitchId"] = ",".join(
            dict.fromkeys(self._switches.get(switch, self._first) for switch in wanted)
        )
        parameters["SecurityGroupId"] = self._group
        self._admin.follow(replace(call, parameters=parameters), body)


def _endless(values: Sequence[str]) -> Iterator[str]:
    """*values* over and over: a recorded VPC may have more vSwitches than a simulated one."""
    while True:
        yield from values
