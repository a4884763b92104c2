"""``python -m vnode_suite.simulated``: the other side of an acceptance run, as a process of its own.

Prints one JSON line on standard output when it is ready, logs to standard error, ends on SIGTERM or SIGINT,
and with ``exit_with_stdin`` when its standard input ends (its parent is gone).
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import importlib
import json
import logging
import os
import signal
import sys
from collections.abc import AsyncIterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vnode_suite.simulated.eci_api.config import Config, ConfigError, load
from vnode_suite.simulated.interface import Fleet

if TYPE_CHECKING:
    from vnode_suite.simulated.eci_api.server import Network


def main(arguments: list[str] | None = None) -> int:
    """Run until told to end; 0 on an orderly end, 2 for a configuration that cannot be used, 3 when the
    machine refuses.
    """
    parser = argparse.ArgumentParser(prog="python -m vnode_suite.simulated", description=__doc__)
    parser.add_argument("--config", type=Path, help="JSON file; every key is optional")
    parser.add_argument(
        "--check", action="store_true", help="start nothing: print the configuration's faults as JSON"
    )
    parser.add_argument("--log-level", default="WARNING", choices=["DEBUG", "INFO", "WARNING", "ERROR"])
    options = parser.parse_args(arguments)
    logging.basicConfig(
        level=options.log_level, stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    # asyncio's own debug messages would quote request lines, where kubeconfigs travel.
    logging.getLogger("asyncio").setLevel(logging.WARNING)
    try:
        config = load(options.config)
    except ConfigError as error:
        print(f"configuration: {error}", file=sys.stderr)
        return 2
    if options.check:
        print(json.dumps({"faults": [asdict(fault) for fault in config.faults]}))
        return 0
    try:
        asyncio.run(_serve(config))
    except Exception as error:
        if type(error).__name__ not in ("FleetRefused", "OSError", "PermissionError"):
            raise
        print(f"cannot start: {error}", file=sys.stderr)
        return 3
    return 0


async def _serve(config: Config) -> None:
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ended.set)
    if config.exit_with_stdin:
        _end_with_stdin(loop, ended)
    # A third of a second, in which the fleet's network is made.
    server = loop.run_in_executor(None, importlib.import_module, "vnode_suite.simulated.eci_api.server")
    async with _fleet(config) as (fleet, network, known):
        running = (await server).running
        async with running(config, fleet, network, fleet_defects=known) as emulator:
            print(json.dumps(emulator.ready), flush=True)
            await ended.wait()


@contextlib.asynccontextmanager
async def _fleet(
    config: Config,
) -> AsyncIterator[tuple[Fleet | None, Network | None, Mapping[str, str] | None]]:
    """The simulated VNodes, their network and the defects they can have; none where the simulator is off."""
    if not config.simulator:
        yield None, None, None
        return
    # Only here: an API without a simulator needs none of what the fleet imports.
    module: Any = importlib.import_module("vnode_suite.simulated.fleet")
    fleet, network = await module.open_fleet(
        module.FleetConfig(
            run_id=config.run_id,
            network=config.network,
            vswitch_ids=config.vswitch_ids,
            dns_records=config.dns_records,
            connected=config.connected,
        )
    )
    refusal = network.packet_rules_refusal
    known = {name: refusal if needs == "packets" else "" for name, needs in module.FLEET_DEFECTS.items()}
    try:
        yield fleet, network, known
    finally:
        await fleet.close()


def _end_with_stdin(loop: asyncio.AbstractEventLoop, ended: asyncio.Event) -> None:
    descriptor = sys.stdin.fileno()

    def drain() -> None:
        if not os.read(descriptor, 4096):
            loop.remove_reader(descriptor)
            ended.set()

    loop.add_reader(descriptor, drain)


if __name__ == "__main__":
    sys.exit(main())
