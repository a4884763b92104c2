"""The emulator as its user sees it: its ready line, its admin port, and how to point other clients at it."""

from __future__ import annotations

import json
import subprocess
import tempfile
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from vnode_suite.core.errors import CloudError, UsageError
from vnode_suite.core.modules import command, environment
from vnode_suite.eci.exchange import ApiCall

#: Time for an answer of the admin port, in seconds; a probe has its own time-out on top.
_TIMEOUT = 20.0
#: Time to start Python and read a file, in seconds, on a machine under full load.
_CHECK_SECONDS = 60.0
#: The emulator's exit status for a configuration that it does not take.
_BAD_CONFIGURATION = 2


@dataclass(frozen=True, slots=True)
class ProbeResult:
    """What an instance in the VPC sees of a host; times in seconds."""

    resolved: tuple[str, ...]
    connected: bool
    error: str
    error_kind: str
    peer_certificates: tuple[str, ...]
    seconds: float


class EmulatorAdmin:
    """The admin port of an emulator.

    :param endpoint: ``http://127.0.0.1:PORT`` of the ready line.
    :param token: the ready line's.
    """

    def __init__(self, endpoint: str, token: str) -> None:
        self._endpoint = endpoint
        self._token = token
        # The port is on loopback: a proxy of the environment is never meant.
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def state(self) -> dict[str, Any]:
        """Everything that exists and was: virtual_nodes, deleted, instances, networks, requests, faults."""
        return self._call("GET", "/state")

    def add_fault(self, action: str, kind: str, **rest: Any) -> str:
        """Put a fault in force; answers its id."""
        return str(self._call("POST", "/faults", {"action": action, "kind": kind, **rest})["ids"][0])

    def add_faults(self, faults: Sequence[Mapping[str, Any]]) -> None:
        """Put faults in force, as :func:`read_faults` has them."""
        if faults:
            self._call("POST", "/faults", [dict(fault) for fault in faults])

    def forget(self) -> None:
        """End everything that exists, and forget it, with what was asked and what is in force."""
        self._call("DELETE", "/state")

    def clear_faults(self) -> None:
        """Take every fault away."""
        self._call("DELETE", "/faults")

    def probe(
        self,
        vswitch_id: str,
        host: str,
        port: int,
        *,
        tls: bool = False,
        ca_pem: str = "",
        timeout: float = 5.0,
        defects: Sequence[str] = (),
    ) -> ProbeResult:
        """Look at a host from inside the VPC; raises :class:`CloudError` where nobody can look."""
        order = {
            "vswitch_id": vswitch_id,
            "host": host,
            "port": port,
            "tls": tls,
            "ca_pem": ca_pem,
            "timeout": timeout,
            "defects": list(defects),
        }
        found = self._call("POST", "/probe", order, timeout + _TIMEOUT)
        return ProbeResult(
            resolved=tuple(found.get("resolved") or ()),
            connected=bool(found.get("connected")),
            error=str(found.get("error") or ""),
            error_kind=str(found.get("error_kind") or ""),
            peer_certificates=tuple(found.get("peer_certificates") or ()),
            seconds=float(found.get("seconds") or 0.0),
        )

    def purge(self, virtual_node_id: str = "") -> list[str]:
        """Really remove what a defect kept: one VNode or instance, or every kept one; answers what went."""
        body = {"id": virtual_node_id} if virtual_node_id else {}
        return [str(name) for name in self._call("POST", "/purge", body)["purged"]]

    def set_rules(self, security_group_id: str, rules: Sequence[Mapping[str, Any]], kind: str = "") -> None:
        """Replace a group's rules, and its type (``normal``, ``enterprise``) if given.

        A rule has ``protocol``, ``ports``, ``source``, ``direction``, ``policy``, ``priority``.
        """
        body = {"security_group_id": security_group_id, "rules": list(rules)} | (
            {"type": kind} if kind else {}
        )
        self._call("POST", "/security-group-rules", body)

    def set_capacity(self, vswitch_id: str, addresses: int) -> None:
        """Make a vSwitch's addresses scarce."""
        self._call("POST", "/vswitches", {"vswitch_id": vswitch_id, "capacity": addresses})

    def set_dns_record(self, name: str, address: str | None) -> None:
        """Let the VPC's DNS know a name, or forget it."""
        self._call("POST", "/dns-records", {"name": name, "address": address})

    def add_host(self) -> tuple[int, str]:
        """A machine in the VPC that is no VNode: the process whose network it is, and its address."""
        made = self._call("POST", "/hosts", {})
        return int(made["pid"]), str(made["address"])

    def behaviours(self) -> dict[str, Any]:
        """``{"codes": [...], "behaviours": [...]}``, each row with ``basis`` confirmed or inferred."""
        return self._call("GET", "/behaviours")

    def follow(self, call: ApiCall, body: Mapping[str, Any]) -> None:
        """Let the simulator follow a replayed change: a VNode under the recorded id, or its end."""
        if call.action == "CreateVirtualNode":
            order = {"virtual_node_id": body["VirtualNodeId"], "parameters": flatten(call.parameters)}
            self._call("POST", "/virtual-nodes", order)
        elif call.action == "DeleteVirtualNode":
            self.purge(str(call.parameters["VirtualNodeId"]))

    def _call(self, method: str, path: str, body: Any = None, timeout: float = _TIMEOUT) -> dict[str, Any]:
        data = None if body is None else json.dumps(body).encode()
        headers = {"Authorization": f"Bearer {self._token}", "Content-Type": "application/json"}
        address = self._endpoint + path
        request = urllib.request.Request(address, data, headers, method=method)  # noqa: S310 - our own port
        try:
            with self._opener.open(request, timeout=timeout) as answer:
                found: dict[str, Any] = json.load(answer)
                return found
        except urllib.error.HTTPError as error:
            raise CloudError(
                f"the emulator refused {path}", found=error.read(2000).decode("utf-8", "replace")
            ) from None
        except (OSError, ValueError) as error:
            raise CloudError(f"the emulator's admin port does not answer {path}", found=str(error)) from None


def read_faults(path: Path) -> tuple[Mapping[str, Any], ...]:
    """The faults of a TOML file, in full, as the emulator understands them.

    :raises UsageError: the emulator does not take them; says what it takes.
    """
    with tempfile.TemporaryDirectory(prefix="vnode-suite-faults-") as folder:
        config = Path(folder, "config.json")
        config.write_text(json.dumps({"faults_file": str(path.absolute())}), encoding="utf-8")
        checked = subprocess.run(
            command("vnode_suite.simulated", "--check", "--config", str(config)),
            env=environment(),
            capture_output=True,
            text=True,
            timeout=_CHECK_SECONDS,
            check=False,
        )
    if checked.returncode == _BAD_CONFIGURATION:
        raise UsageError(f"faults: {checked.stderr.strip().removeprefix('configuration: ')}")
    if checked.returncode:
        raise CloudError("the emulator did not start", found=checked.stderr.strip()[-300:])
    return tuple(json.loads(checked.stdout)["faults"])


@dataclass(frozen=True, slots=True)
class EmulatorReady:
    """The ready line of an emulator, as far as the suite uses it."""

    endpoint: str
    region: str
    access_key_id: str
    access_key_secret: str = field(repr=False)
    account_id: str
    vpc_id: str
    vpc_cidr: str
    vswitch_ids: tuple[str, ...]
    #: ``{"id", "cidr", "zone", "vpc_id"}`` each.
    vswitches: tuple[Mapping[str, str], ...]
    security_group_id: str
    resource_group_ids: tuple[str, ...]
    host_address: str
    #: ``namespaces``, ``loopback`` or ``none``.
    network: str
    network_reason: str
    #: Why packets cannot be dropped here; empty if they can.
    packet_rules_refusal: str
    vswitch_of_another_vpc: str
    #: What is special about a security group to its id.
    security_groups: Mapping[str, str]
    #: Names of its answers and ways that no document confirms.
    inferred: tuple[str, ...] = ()
    ca_pem: str = ""
    admin_endpoint: str = ""
    admin_token: str = field(default="", repr=False)

    @property
    def admin(self) -> EmulatorAdmin | None:
        """The admin port, where it was asked for."""
        return EmulatorAdmin(self.admin_endpoint, self.admin_token) if self.admin_endpoint else None

    @classmethod
    def parse(cls, line: str) -> EmulatorReady:
        """From the line; raises :class:`CloudError` for anything else."""
        try:
            row = json.loads(line)
            admin, controls = row["admin"] or {}, row["for_controls"]
            same = [
                entry.name for entry in fields(cls) if entry.name in row and isinstance(row[entry.name], str)
            ]
            return cls(
                **{name: row[name] for name in same},
                vswitch_ids=tuple(row["vswitch_ids"]),
                vswitches=tuple(row["vswitches"]),
                resource_group_ids=tuple(row["resource_group_ids"]),
                vswitch_of_another_vpc=controls["vswitch_of_another_vpc"],
                security_groups=controls["security_groups"],
                inferred=tuple(row.get("inferred") or ()),
                ca_pem=(row["tls"] or {}).get("ca_pem", ""),
                admin_endpoint=admin.get("endpoint", ""),
                admin_token=admin.get("token", ""),
            )
        except (ValueError, KeyError, TypeError) as error:
            raise CloudError("the emulator did not get ready", found=f"{type(error).__name__}") from None


def flatten(parameters: Mapping[str, Any]) -> dict[str, str]:
    """Parameters as they go over the wire: ``Tag.1.Key``."""
    flat: dict[str, str] = {}

    def put(name: str, value: Any) -> None:
        if isinstance(value, Mapping):
            for key, item in value.items():
                put(f"{name}.{key}", item)
        elif isinstance(value, Sequence) and not isinstance(value, str | bytes):
            for number, item in enumerate(value, start=1):
                put(f"{name}.{number}", item)
        else:
            flat[name] = str(value)

    for name, value in parameters.items():
        put(name, value)
    return flat


def pointers(ready: EmulatorReady) -> Mapping[str, str]:
    """How to point each kind of client at an emulator: client to text.

    The secret is named by its environment variable: these lines end up in terminals and logs.
    """
    scheme, _, host = ready.endpoint.partition("://")
    return {name: make(scheme, host, ready) for name, make in _POINTERS.items()}


_POINTERS: Mapping[str, Callable[[str, str, EmulatorReady], str]] = {
    "vnode-suite": lambda scheme, host, ready: (
        f"vnode-suite run --region {ready.region} --kubeconfig=FILE --cloud live --eci-endpoint {scheme}://{host} \\\n"
        f"  --vswitch {ready.vswitch_ids[0]} --security-group {ready.security_group_id} "
        f"--resource-group {ready.resource_group_ids[0]}"
    ),
    "environment": lambda scheme, host, ready: (
        f"export ALIBABA_CLOUD_ACCESS_KEY_ID={ready.access_key_id}\n"
        "export ALIBABA_CLOUD_ACCESS_KEY_SECRET=<access_key_secret of --json>\n"
        f"export ALIBABA_CLOUD_REGION_ID={ready.region}"
    ),
    "python": lambda scheme, host, ready: (
        f'Config(..., endpoint="{host}", protocol="{scheme}", region_id="{ready.region}")'
    ),
    "javascript": lambda scheme, host, ready: (
        f'new Config({{..., endpoint: "{host}", protocol: "{scheme}", regionId: "{ready.region}"}})'
    ),
    "go": lambda scheme, host, ready: f'request.Scheme, request.Domain = "{scheme}", "{host}"',
    "aliyun-cli": lambda scheme, host, ready: (
        f"aliyun eci DescribeVirtualNodes --RegionId {ready.region} --endpoint {host} "
        + ("--insecure" if scheme == "http" else "--secure")
    ),
    "terraform": lambda scheme, host, ready: (
        f'provider "alicloud" {{\n  region   = "{ready.region}"\n  protocol = "{scheme.upper()}"\n'
        + "  endpoints {\n"
        + "".join(f'    {product} = "{host}"\n' for product in ("eci", "vpc", "ecs", "sts"))
        + "  }\n}"
    ),
}
