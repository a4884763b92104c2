"""Two runs at once on one machine do not disturb each other."""

from __future__ import annotations

import pytest

pytestmark = [pytest.mark.cluster, pytest.mark.long]


def test_two_runs_at_once_share_nothing_and_leave_nothing(launch) -> None:
    """Both are conformant; networks, addresses and folders are each run's own, and all are gone at the end."""
    jobs = [launch(), launch("--vnode-k8s-version", "1.21", beside="second")]
    for job in jobs:
        job.until("cluster-ready")
    assert all(job.process.poll() is None for job in jobs), "they ran at the same time"
    hosts = {job.events("cluster-ready")[0]["network"]["host"] for job in jobs}
    networks = [{trace for trace in job.traces() if trace.startswith("link")} for job in jobs]
    assert [job.ended() for job in jobs] == [0, 0], jobs[0].output + jobs[1].output
    assert jobs[0].run_id != jobs[1].run_id
    if networks[0]:
        assert len(hosts) == 2
        assert not networks[0] & networks[1]
    for job in jobs:
        assert job.report["verdict"]["result"] == "conformant"
        assert not job.report["cleanup"]["left"]
        assert job.traces() == []
