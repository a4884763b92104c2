"""Which look each clause is judged on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from vnode_suite.connection.observing import (
    clean,
    create,
    ds,
    event,
    kcfg,
    node,
    param,
    perm,
    port,
    pre,
    sched,
)
from vnode_suite.connection.subject import Subject
from vnode_suite.model import Observation

Look = Callable[[Subject], Observation[Any]]

LOOKS: Mapping[str, Look] = {
    "PRE-01": pre.server_version,
    "PRE-02": pre.reach,
    "PRE-03": pre.clocks,
    "PRE-04": pre.both_ways,
    "PARAM-01": param.region,
    "PARAM-02": param.vswitches,
    "PARAM-03": param.membership,
    "PARAM-04": param.membership,
    "PARAM-05": param.group_type,
    "PARAM-06": param.from_vpc,
    "PARAM-07": param.from_api_servers,
    "PARAM-08": param.free_addresses,
    "PERM-01": perm.node_rights,
    "PERM-02": perm.proxier_rights,
    "PERM-03": perm.nodeclient,
    "PERM-04": perm.selfnodeclient,
    "PERM-05": perm.pods,
    "PERM-06": perm.claims,
    "PERM-07": perm.endpoints,
    "PERM-08": perm.endpoints_granted,
    "PERM-09": perm.sweep,
    "PERM-10": perm.token_sweep,
    "PERM-11": perm.opened,
    "KCFG-01": kcfg.generation,
    "KCFG-02": kcfg.generation,
    "KCFG-03": kcfg.issue,
    "KCFG-04": kcfg.improper,
    "KCFG-05": kcfg.generation,
    "KCFG-06": kcfg.token_life,
    "KCFG-07": kcfg.mode,
    "KCFG-08": kcfg.usable,
    "KCFG-09": kcfg.authority,
    "KCFG-10": kcfg.resolution,
    "KCFG-11": kcfg.admin_excess,
    "KCFG-12": kcfg.who,
    "KCFG-13": kcfg.declared_mode,
    "KCFG-14": kcfg.shape,
    "KCFG-15": kcfg.published_approver,
    "KCFG-16": kcfg.expiries,
    "CREATE-01": create.call,
    "CREATE-02": create.tls_flag,
    "CREATE-03": create.repetition,
    "CREATE-04": create.tags,
    "CREATE-05": create.taints,
    "CREATE-06": create.resource_group,
    "CREATE-09": create.place,
    "CREATE-10": create.pod_place,
    "CREATE-11": create.choice,
    "CREATE-12": create.sent_form,
    "NODE-01": node.listing,
    "NODE-02": node.readiness,
    "NODE-03": node.labels,
    "NODE-04": node.both_sides,
    "NODE-05": node.identity,
    "NODE-06": node.time_to_ready,
    "EVENT-01": event.events,
    "EVENT-02": event.unreachable,
    "EVENT-03": event.no_such_host,
    "EVENT-04": event.further,
    "PORT-01": port.of_10250,
    "PORT-02": port.of_10255,
    "PORT-03": port.streams,
    "DS-01": ds.template,
    "DS-02": ds.kube_proxy_pods,
    "DS-03": ds.coverage,
    "DS-04": ds.strays,
    "DS-05": ds.reapplied,
    "DS-06": ds.phases,
    "DS-07": ds.order,
    "SCHED-01": sched.by_selector,
    "SCHED-02": sched.by_name,
    "SCHED-03": sched.by_policy,
    "SCHED-04": sched.annotated,
    "CLEAN-01": clean.vnodes,
    "CLEAN-02": clean.cluster_objects,
    "CLEAN-03": clean.foreign_objects,
    "CLEAN-04": clean.instances,
}


def look_of(clause: str) -> Look:
    """The look that *clause* is judged on (KeyError if it has none)."""
    return LOOKS[clause]
