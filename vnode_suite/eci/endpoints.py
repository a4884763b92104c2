"""Where each product's API is for a region: the SDK's own default is always the central one.

Data: ``vnode_suite/data/regions.toml``.
"""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from urllib.parse import urlsplit

from vnode_suite.core.errors import UsageError
from vnode_suite.eci.exchange import Product


@dataclass(frozen=True, slots=True)
class Endpoints:
    """Hosts (``host`` or ``host:port``) of the products for one region."""

    region: str
    hosts: Mapping[Product, str]
    protocol: str = "https"
    #: PEM file of the CA that the endpoint's certificate comes from; empty for the public ones.
    ca_file: str = ""
    #: Whether these are the service's own public hosts: only then is what they say evidence of the service.
    official: bool = False

    def host(self, product: Product) -> str:
        """The host to call for a product."""
        return self.hosts[product]


@cache
def regions() -> Mapping[str, Mapping[Product, str]]:
    """Region id to host by product; a region missing here may exist all the same (see the file's head)."""
    table = tomllib.loads(files("vnode_suite.data").joinpath("regions.toml").read_text("utf-8"))
    return {
        row["id"]: {
            "eci": row.get("endpoint", f"eci.{row['id']}.aliyuncs.com"),
            "vpc": row.get("vpc", f"vpc.{row['id']}.aliyuncs.com"),
            "ecs": row.get("ecs", f"ecs.{row['id']}.aliyuncs.com"),
            # One for the whole world: who calls does not depend on where.
            "sts": "sts.aliyuncs.com",
        }
        for row in table["region"]
    }


def check_region(region: str) -> str:
    """The region if the table has it; raises :class:`UsageError` naming near matches."""
    if region in regions():
        return region
    near = difflib.get_close_matches(region, regions(), n=3, cutoff=0.6)
    raise UsageError(
        f"unknown region {region!r}",
        wanted="one of " + ", ".join(near or sorted(regions())),
        remedy=f"did you mean {near[0]}?" if near else "see the list of regions that ECI serves",
    )


def live(region: str) -> Endpoints:
    """The service's public hosts for a region."""
    return Endpoints(check_region(region), regions()[region], official=True)


def single(url: str, region: str, ca_file: str = "") -> Endpoints:
    """One endpoint that serves every product, as an emulator does: ``http://127.0.0.1:8080``.

    :param ca_file: PEM file of the CA that its certificate comes from, where that is no public one.
    """
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.netloc:
        raise UsageError(f"not an endpoint: {url!r}", wanted="http://HOST:PORT or https://HOST:PORT")
    return Endpoints(
        region,
        {"eci": parts.netloc, "vpc": parts.netloc, "ecs": parts.netloc, "sts": parts.netloc},
        parts.scheme,
        ca_file,
    )
