"""Running the Pods that are bound to a VNode: each as an instance that exists on paper only."""

from __future__ import annotations

import secrets
import string
from collections.abc import Mapping
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

from vnode_suite.simulated.interface import VNodeOrder
from vnode_suite.simulated.vnode.api import ApiServer
from vnode_suite.simulated.vnode.channel import Channel
from vnode_suite.simulated.vnode.clock import Clock
from vnode_suite.simulated.vnode.failures import ApiFailure

#: Prefix of the annotations that the service writes (its Pod annotation page).
PREFIX = "k8s.aliyun.com/"
INSTANCE_ID = PREFIX + "eci-instance-id"
_NOT_FOUND = 404
_ID_ALPHABET = string.ascii_lowercase + string.digits


@dataclass(slots=True)
class Instance:
    """What runs a Pod."""

    id: str
    address: str
    pod: dict[str, Any]


class Pods:
    """The Pods of one VNode."""

    def __init__(self, order: VNodeOrder, channel: Channel, clock: Clock) -> None:
        self._order = order
        self._channel = channel
        self._clock = clock
        self._instances: dict[str, Instance] = {}

    def running(self) -> list[Mapping[str, Any]]:
        """The Pods that have an instance."""
        return [instance.pod for instance in self._instances.values()]

    async def follow(self, server: ApiServer, node_name: str) -> None:
        """Run and end Pods as they are bound and deleted. Raises `ApiFailure` when the watch cannot go on."""
        selector = f"spec.nodeName={node_name}"
        async with aclosing(server.changes("/api/v1/pods", fieldSelector=selector)) as changes:
            async for change in changes:
                pod = change.object
                if change.type == "DELETED":
                    self._end(pod["metadata"]["uid"])
                elif pod["metadata"].get("deletionTimestamp"):
                    await self._finish(server, pod)
                elif self._is_to_run(pod):
                    await self._start(server, pod)

    def _is_to_run(self, pod: Mapping[str, Any]) -> bool:
        if "pods-stay-pending" in self._order.defects or pod["metadata"]["uid"] in self._instances:
            return False
        if pod.get("status", {}).get("phase") not in (None, "", "Pending"):
            return False
        owners = pod["metadata"].get("ownerReferences") or ()
        of_daemon_set = any(owner.get("kind") == "DaemonSet" for owner in owners)
        return not of_daemon_set or "runs-daemonset-pods" in self._order.defects

    async def _start(self, server: ApiServer, pod: Mapping[str, Any]) -> None:
        metadata = pod["metadata"]
        outside = "pod-address-outside" in self._order.defects
        address = await self._channel.address(metadata["uid"], outside=outside)
        instance = Instance("eci-" + _random(20), address, dict(pod))
        self._instances[metadata["uid"]] = instance
        self._channel.say(
            "instance-began",
            id=instance.id,
            # As the open-source provider names what it creates.
            name=f"{metadata['namespace']}-{metadata['name']}",
            address=address,
        )
        await self._annotate(server, instance)
        path = f"/api/v1/namespaces/{metadata['namespace']}/pods/{metadata['name']}/status"
        try:
            instance.pod = await server.patch(path, {"status": self._running_status(instance)})
        except ApiFailure as failure:
            if failure.code != _NOT_FOUND:
                self._warn(
                    "FailedUpdatePodStatus", f"failed to update status of pod {_named(pod)}: {failure}"
                )

    async def _annotate(self, server: ApiServer, instance: Instance) -> None:
        annotations = self._annotations(instance)
        body = {"metadata": {"annotations": annotations}}
        metadata = instance.pod["metadata"]
        namespace = f"/api/v1/namespaces/{metadata['namespace']}"
        targets = [("pod", f"pods/{metadata['name']}")]
        for volume in instance.pod["spec"].get("volumes") or ():
            claim = volume.get("persistentVolumeClaim")
            if claim:
                targets.append(("persistentvolumeclaim", f"persistentvolumeclaims/{claim['claimName']}"))
        for kind, path in targets:
            try:
                await server.patch(f"{namespace}/{path}", body)
            except ApiFailure as failure:
                if failure.code != _NOT_FOUND:
                    name = f"{metadata['namespace']}/{path.split('/')[1]}"
                    self._warn("FailedAnnotate", f"failed to patch annotations of {kind} {name}: {failure}")

    def _annotations(self, instance: Instance) -> dict[str, str]:
        annotations = {
            INSTANCE_ID: instance.id,
            PREFIX + "eci-request-id": "-".join(_hex(length) for length in (8, 4, 4, 4, 12)),
            PREFIX + "eci-vswitch": self._order.vswitch_id,
            PREFIX + "eci-security-group": self._order.security_group_id,
            PREFIX + "eci-instance-spec": "2.0-4.0Gi",
        }
        if "no-annotation" in self._order.defects:
            del annotations[INSTANCE_ID]
        return annotations

    async def _finish(self, server: ApiServer, pod: Mapping[str, Any]) -> None:
        """End the instance, then confirm the Pod's deletion as its kubelet must, even if it never ran."""
        metadata = pod["metadata"]
        self._end(metadata["uid"])
        options = {
            "apiVersion": "v1",
            "kind": "DeleteOptions",
            "gracePeriodSeconds": 0,
            "preconditions": {"uid": metadata["uid"]},
        }
        try:
            await server.delete(
                f"/api/v1/namespaces/{metadata['namespace']}/pods/{metadata['name']}", options
            )
        except ApiFailure as failure:
            if failure.code != _NOT_FOUND:
                self._warn("FailedDeletePod", f"failed to delete pod {_named(pod)}: {failure}")

    def _end(self, uid: str) -> None:
        instance = self._instances.pop(uid, None)
        if instance is not None:
            self._channel.give_back(instance.address)
            self._channel.say("instance-ended", id=instance.id)

    def _warn(self, reason: str, message: str) -> None:
        self._channel.event("Warning", reason, message)

    def _running_status(self, instance: Instance) -> dict[str, Any]:
        pod, now = instance.pod, self._clock.seconds()
        kept = [c for c in pod.get("status", {}).get("conditions") or () if c["type"] == "PodScheduled"]
        reached = [
            {"type": kind, "status": "True", "lastTransitionTime": now, "lastProbeTime": None}
            for kind in ("Initialized", "Ready", "ContainersReady")
        ]
        return {
            "phase": "Running",
            "conditions": [*reached, *kept],
            # The service shows an instance's address as its host's too.
            "hostIP": instance.address,
            "podIP": instance.address,
            "podIPs": [{"ip": instance.address}],
            "startTime": now,
            "containerStatuses": [
                {
                    "name": container["name"],
                    "image": container["image"],
                    "imageID": "",
                    "containerID": f"eci://{instance.id}/{container['name']}",
                    "ready": True,
                    "started": True,
                    "restartCount": 0,
                    "state": {"running": {"startedAt": now}},
                }
                for container in pod["spec"]["containers"]
            ],
        }


def _named(pod: Mapping[str, Any]) -> str:
    return f"{pod['metadata']['namespace']}/{pod['metadata']['name']}"


def _random(length: int) -> str:
    return "".join(secrets.choice(_ID_ALPHABET) for _ in range(length))


def _hex(length: int) -> str:
    return secrets.token_hex(length // 2).upper()
