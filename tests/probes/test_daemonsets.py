"""Where DaemonSets put Pods."""

from __future__ import annotations

from typing import Any

import pytest

from vnode_suite.probes.daemonsets import nothing_keeps_off

LABELS = {"kubernetes.io/os": "linux", "type": "virtual-kubelet"}
EVERYTHING = {"operator": "Exists"}
NOT_VNODES = {"matchExpressions": [{"key": "type", "operator": "NotIn", "values": ["virtual-kubelet"]}]}


def daemonset(**spec: Any) -> dict[str, Any]:
    """A DaemonSet with this Pod spec."""
    return {"spec": {"template": {"spec": spec}}}


@pytest.mark.parametrize(
    ("spec", "sure"),
    [
        ({"tolerations": [EVERYTHING]}, True),
        ({"tolerations": [EVERYTHING], "nodeSelector": {"kubernetes.io/os": "linux"}}, True),
        ({"tolerations": [EVERYTHING], "nodeSelector": {"kubernetes.io/os": "windows"}}, False),
        ({"tolerations": [{"operator": "Exists", "effect": "NoExecute"}]}, False),
        ({"tolerations": [{"operator": "Exists", "key": "dedicated"}]}, False),
        ({}, False),
        (
            {
                "tolerations": [EVERYTHING],
                "affinity": {
                    "nodeAffinity": {
                        "requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [NOT_VNODES]}
                    }
                },
            },
            False,
        ),
    ],
)
def test_only_the_plain_case_is_waited_for(spec: dict[str, Any], sure: bool) -> None:
    """kindnet is one; of the others the controller's answer is taken as it stands."""
    assert nothing_keeps_off(daemonset(**spec), LABELS) is sure
