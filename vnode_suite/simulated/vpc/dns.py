"""The VPC's name server and the resolver that its members ask it with: DNS over UDP, A records (RFC 1035).

Names are answered from the run's own records; nothing is forwarded.
"""

from __future__ import annotations

import asyncio
import secrets
import socket
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Address
from typing import cast

_A, _IN = 1, 1
_NOERROR, _FORMERR, _SERVFAIL, _NXDOMAIN = 0, 1, 2, 3
_HEADER = struct.Struct("!6H")
#: QR, RD and RA; the authoritative bit.
_RESPONSE_FLAGS = 0x8580
_POINTER_TO_QUESTION = 0xC00C
_TTL_SECONDS = 5


class LookupFailed(OSError):
    """A name was not resolved; ``server`` (``ip:port``) was asked, and kept silent if ``timed_out``."""

    def __init__(self, name: str, server: str, *, timed_out: bool = False) -> None:
        super().__init__(f"lookup {name} on {server}")
        self.name = name
        self.server = server
        self.timed_out = timed_out


@dataclass(slots=True)
class Zone:
    """What the server answers: records for everyone, and views for single askers."""

    #: Name (lower case, no final dot) to address.
    records: dict[str, str] = field(default_factory=dict)
    #: Asker's address to the address given for every name, or to "" for none at all.
    views: dict[str, str] = field(default_factory=dict)

    def answer(self, name: str, asker: str) -> str | None:
        """The address of a name, as this asker is told; None: no such host."""
        if asker in self.views:
            return self.views[asker] or None
        return self.records.get(name.lower().rstrip("."))

    def replace(self, records: Mapping[str, str], views: Mapping[str, str]) -> None:
        """Take new contents."""
        self.records = {name.lower().rstrip("."): address for name, address in records.items()}
        self.views = dict(views)


class NameServer(asyncio.DatagramProtocol):
    """Answers A questions from a zone; other types of a known name get an empty answer."""

    def __init__(self, zone: Zone) -> None:
        self._zone = zone
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the socket to answer with."""
        self._transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        """Answer one question; what is no question gets no answer."""
        try:
            name, kind, end = _read_question(data)
        except (ValueError, struct.error, IndexError):
            return
        address = self._zone.answer(name, addr[0])
        found = address is not None and kind == _A
        header = _HEADER.pack(
            struct.unpack_from("!H", data)[0],
            _RESPONSE_FLAGS | (_NXDOMAIN if address is None else _NOERROR),
            1,
            1 if found else 0,
            0,
            0,
        )
        answer = b""
        if found and address is not None:
            packed = IPv4Address(address).packed
            answer = struct.pack("!HHHIH", _POINTER_TO_QUESTION, _A, _IN, _TTL_SECONDS, len(packed)) + packed
        if self._transport is not None:
            self._transport.sendto(header + data[_HEADER.size : end] + answer, addr)


@dataclass(frozen=True, slots=True)
class StubResolver:
    """Asks one server for A records, from one source address."""

    server: str
    port: int = 53
    source: str = "0.0.0.0"  # noqa: S104
    #: One try's time-out and the number of tries: resolv.conf(5)'s defaults.
    timeout: float = 5.0
    tries: int = 2

    async def resolve(self, name: str) -> str:
        """The address of a name; an address is its own. Raises `LookupFailed`."""
        try:
            return str(IPv4Address(name))
        except ValueError:
            pass
        for _ in range(self.tries):
            try:
                async with asyncio.timeout(self.timeout):
                    return await self._ask(name)
            except TimeoutError:
                continue
            except ConnectionRefusedError:
                break
        raise LookupFailed(name, f"{self.server}:{self.port}", timed_out=True)

    async def _ask(self, name: str) -> str:
        loop = asyncio.get_running_loop()
        identifier = secrets.randbelow(1 << 16)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as asker:
            asker.bind((self.source, 0))
            asker.connect((self.server, self.port))
            await loop.sock_sendall(asker, _question(identifier, name))
            while True:
                reply = await loop.sock_recv(asker, 4096)
                if len(reply) >= _HEADER.size and struct.unpack_from("!H", reply)[0] == identifier:
                    break
        address = _read_answer(reply)
        if address is None:
            raise LookupFailed(name, f"{self.server}:{self.port}")
        return address


def _question(identifier: int, name: str) -> bytes:
    labels = name.rstrip(".").encode("idna").split(b".")
    encoded = b"".join(bytes([len(label)]) + label for label in labels) + b"\0"
    return _HEADER.pack(identifier, 0x0100, 1, 0, 0, 0) + encoded + struct.pack("!HH", _A, _IN)


def _read_name(data: bytes, position: int) -> tuple[str, int]:
    labels: list[str] = []
    while data[position]:
        length = data[position]
        if length >= 0xC0:
            return ".".join(labels), position + 2
        labels.append(data[position + 1 : position + 1 + length].decode("ascii"))
        position += 1 + length
    return ".".join(labels), position + 1


def _read_question(data: bytes) -> tuple[str, int, int]:
    _, flags, questions, *_ = _HEADER.unpack_from(data)
    if flags & 0x8000 or questions != 1:
        raise ValueError("no question")
    name, position = _read_name(data, _HEADER.size)
    kind, _ = struct.unpack_from("!HH", data, position)
    return name, kind, position + 4


def _read_answer(data: bytes) -> str | None:
    _, flags, questions, answers, *_ = _HEADER.unpack_from(data)
    position = _HEADER.size
    if flags & 0xF != _NOERROR:
        return None
    for _ in range(questions):
        _, position = _read_name(data, position)
        position += 4
    for _ in range(answers):
        _, position = _read_name(data, position)
        kind, _, _, length = struct.unpack_from("!HHIH", data, position)
        position += 10
        if kind == _A and length == 4:
            return str(IPv4Address(data[position : position + 4]))
        position += length
    return None
