"""How fast the ECI emulator alone is: signed creates a second, and 10,000 VNodes listed by paging.

Run: ``python benchmarks/emulator_throughput.py [--seconds 10] [--nodes 10000]``. Prints one JSON object. Two
processes on loopback: this one signs and sends (its share of the machine is in the figure), the emulator
verifies and answers. Goals: 200 signed creates a second sustained; memory of a client that pages does not
grow with the list.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import hashlib
import hmac
import json
import resource
import subprocess
import sys
import tempfile
import time
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import aiohttp

#: Bytes of the kubeconfig that each create carries: one with certificates inside (5-8 kB are usual).
KUBECONFIG_SIZE = 6000
CONNECTIONS = 8


class Caller:
    """Signs and sends calls over kept connections."""

    def __init__(self, ready: dict[str, Any], session: aiohttp.ClientSession) -> None:
        self._ready = ready
        self._session = session
        self._host = urlsplit(ready["endpoint"]).netloc
        self._empty = hashlib.sha256(b"").hexdigest()

    async def call(self, action: str, parameters: dict[str, str]) -> dict[str, Any]:
        """One signed call; raises for any answer but 200."""
        headers = {
            "host": self._host,
            "x-acs-action": action,
            "x-acs-content-sha256": self._empty,
            "x-acs-date": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "x-acs-signature-nonce": uuid.uuid4().hex,
            "x-acs-version": "2018-08-08",
        }
        query = "&".join(f"{quote(k, safe='~')}={quote(v, safe='~')}" for k, v in sorted(parameters.items()))
        signed = ";".join(headers)
        lines = "".join(f"{name}:{value}\n" for name, value in headers.items())
        canonical = f"POST\n/\n{query}\n{lines}\n{signed}\n{self._empty}"
        text = "ACS3-HMAC-SHA256\n" + hashlib.sha256(canonical.encode()).hexdigest()
        key = self._ready["access_key_secret"].encode()
        headers["Authorization"] = (
            f"ACS3-HMAC-SHA256 Credential={self._ready['access_key_id']},SignedHeaders={signed},"
            f"Signature={hmac.new(key, text.encode(), hashlib.sha256).hexdigest()}"
        )
        url = f"{self._ready['endpoint']}/?{query}"
        from yarl import URL

        async with self._session.post(URL(url, encoded=True), headers=headers) as answer:
            body: dict[str, Any] = await answer.json()
            if answer.status != 200:
                raise RuntimeError(f"{answer.status} {body}")
            return body

    def create_parameters(self, number: int) -> dict[str, str]:
        """A create with a kubeconfig of the usual size, a token and tags."""
        text = f"clusters: [{{name: c}}]\nusers: [{{name: v, user: {{token: t{number % 7}}}}}]\n# "
        text += "x" * (KUBECONFIG_SIZE - len(text))
        return {
            "RegionId": self._ready["region"],
            "VSwitchId": self._ready["vswitch_ids"][0],
            "SecurityGroupId": self._ready["security_group_id"],
            "KubeConfig": base64.b64encode(text.encode()).decode(),
            "TlsBootstrapEnabled": "True",
            "ClientToken": uuid.uuid4().hex,
            "Tag.1.Key": "run",
            "Tag.1.Value": str(number),
        }


def memory(pid: int) -> float:
    """Resident memory of a process in MiB."""
    for line in Path(f"/proc/{pid}/status").read_text("utf-8").splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) / 1024
    raise RuntimeError("no VmRSS")


async def measure(ready: dict[str, Any], pid: int, seconds: float, nodes: int) -> dict[str, Any]:
    """Creates for some seconds, then up to the number of VNodes, then lists them."""
    connector = aiohttp.TCPConnector(limit=CONNECTIONS)
    async with aiohttp.ClientSession(connector=connector) as session:
        caller = Caller(ready, session)
        made = 0
        ends = time.perf_counter() + seconds

        async def create_while(more: Any) -> None:
            nonlocal made
            while more():
                made += 1
                await caller.call("CreateVirtualNode", caller.create_parameters(made))

        started = time.perf_counter()
        await asyncio.gather(*(create_while(lambda: time.perf_counter() < ends) for _ in range(CONNECTIONS)))
        rate = made / (time.perf_counter() - started)
        await asyncio.gather(*(create_while(lambda: made < nodes) for _ in range(CONNECTIONS)))
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        started, listed, token, pages = time.perf_counter(), 0, "", 0
        while True:
            wanted = {"RegionId": ready["region"]} | ({"NextToken": token} if token else {})
            page = await caller.call("DescribeVirtualNodes", wanted)
            listed += len(page["VirtualNodes"])
            pages += 1
            token = page["NextToken"]
            if not token:
                break
        return {
            "signed_creates_per_second": round(rate, 1),
            "goal_creates_per_second": 200,
            "virtual_nodes": made,
            "listed": listed,
            "pages": pages,
            "listing_seconds": round(time.perf_counter() - started, 2),
            "client_growth_while_listing_mib": round(
                (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024, 2
            ),
            "emulator_mib": round(memory(pid), 1),
        }


def main() -> int:
    """Exit status 1 when a goal is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--nodes", type=int, default=10_000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "config.json")
        file.write_text(json.dumps({"simulator": False, "region": "cn-hangzhou"}), "utf-8")
        command = [sys.executable, "-m", "vnode_suite.simulated", "--config", str(file)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            try:
                ready = json.loads(process.stdout.readline())
                found = asyncio.run(measure(ready, process.pid, options.seconds, options.nodes))
            finally:
                process.terminate()
    print(json.dumps(found, indent=2))
    complete = found["listed"] == found["virtual_nodes"]
    return 0 if complete and found["signed_creates_per_second"] >= found["goal_creates_per_second"] else 1


if __name__ == "__main__":
    sys.exit(main())
