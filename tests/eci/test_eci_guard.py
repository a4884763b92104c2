"""A run changes only what it made."""

from __future__ import annotations

from typing import Any

import pytest

from vnode_suite.eci import billing
from vnode_suite.eci.client import EciClient
from vnode_suite.eci.credentials import StaticCredentials
from vnode_suite.eci.endpoints import single
from vnode_suite.eci.guard import ForeignVirtualNode, OwnedOnly
from vnode_suite.eci.models import UpdateRequest
from vnode_suite.eci.sdk import SdkTransport

TAG = ("vnode-suite:run", "mine")


@pytest.fixture
def guarded(service: Any) -> EciClient:
    """A client that may change VNodes of the run ``mine`` only."""
    ready = service.ready
    key = StaticCredentials(ready["access_key_id"], ready["access_key_secret"])
    inner = SdkTransport(single(ready["endpoint"], ready["region"]), key)
    return EciClient(ready["region"], OwnedOnly(inner, TAG))


def changes(service: Any) -> list[str]:
    """Actions that reached the service and were no reads."""
    requests = service.admin("GET", "/state")["requests"]
    return [row["action"] for row in requests if not row["action"].startswith(("Describe", "Get"))]


def test_its_own_vnode_may_be_changed(service: Any, guarded: EciClient) -> None:
    """Made by it, or carrying its tag from before a kill."""
    made = guarded.create_virtual_node(service.request(tags=dict([TAG])))
    guarded.update_virtual_node(UpdateRequest(made, name="renamed"))
    guarded.delete_virtual_node(made)
    before = service.client().create_virtual_node(service.request(tags=dict([TAG])))
    guarded.delete_virtual_node(before)
    assert service.vnodes() == []


@pytest.mark.parametrize("tags", [{}, {"vnode-suite:run": "other"}, {"run": "mine"}])
def test_a_foreign_vnode_is_not_touched(service: Any, guarded: EciClient, tags: dict[str, str]) -> None:
    """Nothing but the read is sent."""
    foreign = service.client().create_virtual_node(service.request(tags=tags))
    sent = changes(service)
    with pytest.raises(ForeignVirtualNode):
        guarded.delete_virtual_node(foreign)
    with pytest.raises(ForeignVirtualNode):
        guarded.update_virtual_node(UpdateRequest(foreign, name="no"))
    assert changes(service) == sent
    assert guarded.describe_virtual_node(foreign) is not None


def test_nothing_is_made_without_the_tag(service: Any, guarded: EciClient) -> None:
    """A create that could not be found again is not sent."""
    with pytest.raises(ForeignVirtualNode):
        guarded.create_virtual_node(service.request(tags={"run": "mine"}))
    assert service.vnodes() == []


def test_a_defect_of_the_simulator_is_never_bought(service: Any, guarded: EciClient) -> None:
    """The reserved tag reaches nobody but an emulator of the run's own."""
    with pytest.raises(ForeignVirtualNode, match="simulator"):
        guarded.create_virtual_node(service.request(tags=dict([TAG]) | {"vnode-suite:defect": "tag-lost"}))
    assert service.vnodes() == []


def test_the_basis_of_the_bill_is_named() -> None:
    """Two VNodes for half an hour: 2 vCPU-hours and 8 GiB-hours."""
    basis = billing.planned(2, 1800)
    assert (basis.seconds, basis.vcpu_hours, basis.gib_hours) == (3600, 2, 8)
    assert "2 VNodes" in str(basis)
