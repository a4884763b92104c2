"""The configuration of an emulator process: a JSON file, every key optional."""

from __future__ import annotations

import json
import re
import secrets
import string
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Literal

from vnode_suite.simulated.eci_api.faults import Fault, parse
from vnode_suite.simulated.eci_api.faults import load as load_faults
from vnode_suite.simulated.eci_api.network import main_vswitch_ids
from vnode_suite.simulated.eci_api.signature import Credential
from vnode_suite.simulated.interface import Timing


class ConfigError(ValueError):
    """The configuration cannot be used as written."""


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """A certificate chain and its key, both PEM files."""

    certificate: str
    key: str


@dataclass(frozen=True, slots=True)
class Config:
    """How an emulator is set up; what is not given is made up and told in the ready line."""

    run_id: str
    region: str = "cn-hangzhou"
    #: ``host:port``; port 0 for a free one. Loopback unless told otherwise.
    listen: str = "127.0.0.1:0"
    access_key_id: str = ""
    access_key_secret: str = field(default="", repr=False)
    account_id: str = "1234567890123456"
    #: More keys: ``{access_key_id, access_key_secret, account_id?, security_token?, active?, denied?}``.
    credentials: tuple[Credential, ...] = ()
    timing: Timing = field(default_factory=Timing)
    network: Literal["auto", "namespaces", "loopback"] = "auto"
    #: Names that the VPC's DNS knows: name to address, or to ``host`` for the control plane's.
    dns_records: Mapping[str, str] = field(default_factory=dict)
    #: Networks (CIDR) outside the VPC that are connected to it through this machine.
    connected: tuple[str, ...] = ()
    simulator: bool = True
    #: Without a simulator: seconds after which a VNode is shown Ready all the same; None for never.
    pretend_ready_after: float | None = None
    admin: bool = False
    #: Where state is kept over a restart; it holds the kubeconfigs it was handed and is readable by its
    #: owner only.
    state_file: Path | None = None
    faults: tuple[Fault, ...] = ()
    #: A TOML file with more of them, one ``[[fault]]`` each.
    faults_file: Path | None = None
    #: False for plain HTTP, True for a certificate made for this process (its CA is in the ready line), or
    #: files.
    tls: bool | TlsFiles = False
    exit_with_stdin: bool = False

    @property
    def vswitch_ids(self) -> tuple[str, ...]:
        """Ids of the account's vSwitches."""
        return main_vswitch_ids(self.account_id, self.region, self.run_id)

    @property
    def address(self) -> tuple[str, int]:
        """Host and port to listen on."""
        host, _, port = self.listen.rpartition(":")
        return host.strip("[]") or "127.0.0.1", int(port)


def load(path: Path | None) -> Config:
    """Read a configuration file; ``None`` for every default."""
    try:
        body = json.loads(path.read_text("utf-8")) if path else {}
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path}: {error}") from None
    return parse_config(body)


def parse_config(body: Mapping[str, Any]) -> Config:
    """A configuration from a JSON object; raises :class:`ConfigError` naming the key that is wrong."""
    if not isinstance(body, Mapping):
        raise ConfigError("the configuration must be an object")
    allowed = {entry.name for entry in fields(Config)}
    unknown = sorted(body.keys() - allowed)
    if unknown:
        raise ConfigError(f"unknown keys {', '.join(unknown)}; allowed: {', '.join(sorted(allowed))}")
    values = dict(body)
    values["run_id"] = str(values.get("run_id") or _random(6))
    values["access_key_id"] = values.get("access_key_id") or f"LTAI{_random(16)}"
    values["access_key_secret"] = values.get("access_key_secret") or _random(30)
    account_id = str(values.get("account_id") or Config.__dataclass_fields__["account_id"].default)
    values["account_id"] = account_id
    try:
        values["timing"] = Timing(**values.get("timing", {}))
        values["faults"] = tuple(parse(row) for row in values.get("faults", ()))
        if values.get("faults_file"):
            values["faults_file"] = Path(values["faults_file"])
            values["faults"] += load_faults(values["faults_file"])
        values["credentials"] = tuple(
            Credential(**({"account_id": account_id} | row | {"denied": tuple(row.get("denied", ()))}))
            for row in values.get("credentials", ())
        )
        values["connected"] = tuple(values.get("connected", ()))
        values["dns_records"] = dict(values.get("dns_records", {}))
        if isinstance(values.get("tls"), Mapping):
            values["tls"] = TlsFiles(**values["tls"])
        if values.get("state_file"):
            values["state_file"] = Path(values["state_file"])
        config = Config(**values)
        _check(config)
    except (TypeError, AttributeError, ValueError) as error:
        raise ConfigError(str(error)) from None
    return config


def _check(config: Config) -> None:
    if not re.fullmatch(r"[a-z0-9]{1,8}", config.run_id):
        raise ConfigError(f"run_id must be 1 to 8 lowercase letters and digits, not {config.run_id!r}")
    if not re.fullmatch(r"[a-z0-9-]{3,40}", config.region):
        raise ConfigError(f"region must be a region id such as cn-hangzhou, not {config.region!r}")
    if not config.account_id.isdigit():
        raise ConfigError("account_id must be digits")
    if config.network not in ("auto", "namespaces", "loopback"):
        raise ConfigError("network must be auto, namespaces or loopback")
    if (
        not re.fullmatch(r"(\[[0-9a-fA-F:]+\]|[^:\s]*):[0-9]{1,5}", config.listen)
        or config.address[1] > 65535
    ):
        raise ConfigError(f"listen must be HOST:PORT, not {config.listen!r}")


def _random(length: int) -> str:
    return "".join(secrets.choice(string.ascii_lowercase + string.digits) for _ in range(length))
