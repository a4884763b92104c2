"""What the command line says of the ECI side, refused where it can be known to be wrong (see :mod:`usage`)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vnode_suite.connection.limits import not_to_be_had
from vnode_suite.connection.recorded import MODE
from vnode_suite.core.errors import UsageError
from vnode_suite.core.settings import CloudSettings, ScopeSettings
from vnode_suite.data.defects import load_defects
from vnode_suite.eci import recording
from vnode_suite.eci.endpoints import single
from vnode_suite.model import Cloud


def has_a_place(values: Mapping[str, Any]) -> None:
    """Where things cost money, nothing is chosen for the user."""
    lacking = [f"--vnode-{name} ID" for name in ("vswitch", "security-group") if not values.get(name)]
    if lacking:
        raise UsageError(
            f"--vnode-cloud live needs {' and '.join(lacking)}",
            wanted="the vSwitches and the security group that the VNode is to be given",
        )


def endpoint(values: Mapping[str, Any], cloud: Cloud) -> dict[str, Any]:
    """What stands for the service, if anything does."""
    url, ca = values.get("eci-endpoint"), values.get("eci-ca")
    if (url or ca) and cloud is not Cloud.LIVE:
        raise UsageError(f"--vnode-{'eci-endpoint' if url else 'eci-ca'} is only for --vnode-cloud live")
    if ca and not url:
        raise UsageError("--vnode-eci-ca needs --vnode-eci-endpoint https://HOST:PORT")
    if ca and not Path(ca).is_file():
        raise UsageError(f"--vnode-eci-ca {ca} is no file")
    if url:
        single(url, "")
    return {"endpoint": url, "endpoint_ca": Path(ca).absolute() if ca else None}


def tape(values: Mapping[str, Any], cloud: Cloud, region: str) -> dict[str, Any]:
    """The recording to write and the one to replay."""
    record, cassette = values.get("record"), values.get("cassette")
    if cloud is Cloud.REPLAY and not cassette:
        raise UsageError("--vnode-cloud replay needs --vnode-cassette FILE")
    if cassette and cloud is not Cloud.REPLAY:
        raise UsageError("--vnode-cassette is only for --vnode-cloud replay")
    if cassette and not Path(cassette).is_file():
        raise UsageError(f"--vnode-cassette {cassette} is no file")
    if record and cloud is Cloud.REPLAY:
        raise UsageError("--vnode-record and --vnode-cloud replay exclude each other")
    found = recording.load(Path(cassette)) if cassette else None
    if found is not None and found.region != region:
        raise UsageError(
            f"--vnode-cassette {cassette} is of another region",
            wanted=f"--region {found.region}",
            found=region,
        )
    return {
        "recorded_from": Cloud(found.facts.get(MODE, Cloud.EMULATOR)) if found is not None else None,
        "record": Path(record).absolute() if record else None,
        "cassette": Path(cassette).absolute() if cassette else None,
    }


def can_be_had(scope: ScopeSettings, cloud: CloudSettings) -> None:
    """Nobody can ask the service, or a recording, for a VNode with a defect of the simulator's."""
    defects = load_defects()
    for name in scope.defects:
        if (why := not_to_be_had(defects.defect(name), cloud.cloud)) is not None:
            raise UsageError(
                f"--vnode-defect {name} and --vnode-cloud {cloud.cloud.value} exclude each other",
                found=why.en,
            )
