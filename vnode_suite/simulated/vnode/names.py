"""The fleet's side of the VPC's name server: what it is to answer, and to whom."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from ipaddress import IPv4Address

from vnode_suite.simulated.vnode.nursery import Member
from vnode_suite.simulated.vpc.errors import NetworkRefused

#: Seconds that the server has to take new contents.
_TELL_SECONDS = 10.0


class Names:
    """Holds the zone, and hands every change over before it is relied on."""

    def __init__(self, address: IPv4Address, records: Mapping[str, str]) -> None:
        self.address = address
        #: Known once the server runs.
        self.port = 0
        self._records = dict(records)
        self._views: dict[str, str] = {}
        self._turn = asyncio.Lock()
        self._reader: asyncio.StreamReader
        self._writer: asyncio.StreamWriter | None = None

    async def attach(self, server: Member) -> None:
        """Speak to the server, which answers once it serves."""
        self._reader, self._writer = await asyncio.open_connection(sock=server.end)
        await self._tell()

    async def set_record(self, name: str, address: str | None) -> None:
        """Let everyone know a name, or no longer (None)."""
        if address is None:
            self._records.pop(name, None)
        else:
            self._records[name] = address
        await self._tell()

    async def set_view(self, asker: IPv4Address, defects: frozenset[str]) -> None:
        """What a member with these defects is told instead of the records."""
        if "dns-no-such-host" in defects:
            self._views[str(asker)] = ""
        elif "dns-wrong-address" in defects:
            # A machine that is there and does not serve: the name server's own.
            self._views[str(asker)] = str(self.address)
        elif self._views.pop(str(asker), None) is None:
            return
        await self._tell()

    def close(self) -> None:
        """Hang up."""
        if self._writer is not None:
            self._writer.close()

    async def _tell(self) -> None:
        if self._writer is None:
            raise NetworkRefused("the VPC's name server does not run")
        async with self._turn, asyncio.timeout(_TELL_SECONDS):
            contents = {"records": self._records, "views": self._views}
            self._writer.write(json.dumps(contents).encode() + b"\n")
            line = await self._reader.readline()
        if not line:
            raise NetworkRefused("the VPC's name server has ended")
        self.port = int(json.loads(line)["port"])
