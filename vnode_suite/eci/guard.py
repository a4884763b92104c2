"""A run may change only what it made: held at the last place before the wire, whatever the code above asks
for.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable, Mapping
from typing import Any, Final

from vnode_suite.core.errors import HarnessError
from vnode_suite.eci.exchange import ApiCall, Transport

#: Tag of every VNode that a run creates; its value is the run's id.
RUN_TAG: Final = "vnode-suite:run"
#: Reserved tag by which a twin tells the emulator which defect it is to have; never sent to the real service.
DEFECT_TAG: Final = "vnode-suite:defect"


class ForeignVirtualNode(HarnessError):
    """A change of a VNode was asked for that this run did not make and was not told to accept."""


class OwnedOnly:
    """Passes reads, creates that carry the run's tag, and changes of VNodes that carry it.

    A VNode that was made elsewhere and is only being accepted (``--vnode-id``) may be read, never changed.

    :param inner: where calls go.
    :param tag: key and value that every VNode of the run carries.
    :param owned: ids known to be the run's from its journal (a sweep after a kill).
    """

    def __init__(self, inner: Transport, tag: tuple[str, str], owned: Iterable[str] = ()) -> None:
        self._inner = inner
        self._tag = tag
        self._owned = set(owned)
        self._lock = threading.Lock()

    def send(self, call: ApiCall, timeout: float) -> Mapping[str, Any]:
        """Send a call that the run is allowed; raises :class:`ForeignVirtualNode` before anything is sent."""
        if call.is_read:
            return self._inner.send(call, timeout)
        if call.action == "CreateVirtualNode":
            if not _has_tag(call.parameters.get("Tag"), self._tag):
                raise ForeignVirtualNode(
                    "a VNode would have been created without the run's tag", wanted=f"tag {self._tag[0]}"
                )
            if any(row.get("Key") == DEFECT_TAG for row in call.parameters["Tag"]):
                raise ForeignVirtualNode(
                    "a twin with a defect of the simulator would have been bought",
                    wanted=f"no tag {DEFECT_TAG} in a call that may reach the service",
                )
            body = self._inner.send(call, timeout)
            with self._lock:
                self._owned.add(str(body.get("VirtualNodeId")))
            return body
        self._check(call, timeout)
        return self._inner.send(call, timeout)

    def _check(self, call: ApiCall, timeout: float) -> None:
        wanted = str(call.parameters.get("VirtualNodeId") or "")
        with self._lock:
            if wanted in self._owned:
                return
        # Without a filter by tag: whether the tag is there is the question, not the service's answer to it.
        read = ApiCall(
            "eci",
            "DescribeVirtualNodes",
            {"RegionId": call.parameters.get("RegionId"), "VirtualNodeIds": json.dumps([wanted])},
        )
        rows = self._inner.send(read, timeout).get("VirtualNodes") or ()
        shown = [row for row in rows if row.get("VirtualNodeId") == wanted]
        if not shown:
            # Nothing there: the change itself will say so, and can do no harm.
            return
        if not _has_tag(shown[0].get("Tags"), self._tag):
            raise ForeignVirtualNode(
                f"{call.action} of {wanted} was not sent: this run did not make that VNode",
                wanted=f"tag {self._tag[0]}={self._tag[1]}",
                remedy="delete it in the console, if it is yours",
            )
        with self._lock:
            self._owned.add(wanted)


def _has_tag(rows: Any, tag: tuple[str, str]) -> bool:
    return any((row.get("Key"), row.get("Value")) == tag for row in rows or ())
