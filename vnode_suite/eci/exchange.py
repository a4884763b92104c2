"""One call of an API and its answer: the seam between the typed client and the SDK, a recording or a test."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

Product = Literal["eci", "vpc", "ecs", "sts"]

#: The version of each product's API that the suite speaks.
VERSIONS: Mapping[Product, str] = {
    "eci": "2018-08-08",
    "vpc": "2016-04-28",
    "ecs": "2014-05-26",
    "sts": "2015-04-01",
}


@dataclass(frozen=True, slots=True)
class ApiCall:
    """An action with its parameters by their names in the API; lists and structures are not flattened yet."""

    product: Product
    action: str
    parameters: Mapping[str, Any] = field(repr=False)

    @property
    def ram_action(self) -> str:
        """The RAM action that allows this call."""
        return f"{self.product}:{self.action}"

    @property
    def is_read(self) -> bool:
        """Whether the call changes nothing."""
        return self.action.startswith(("Describe", "List", "Get"))


class Transport(Protocol):
    """Carries calls to an API; answers the response body, raises the ``EciError`` tree."""

    def send(self, call: ApiCall, timeout: float) -> Mapping[str, Any]:
        """Send one call once; ``timeout`` in seconds bounds the wait for the answer."""
