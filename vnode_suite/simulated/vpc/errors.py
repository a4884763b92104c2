"""What the simulated network can refuse."""

from __future__ import annotations


class NetworkRefused(Exception):
    """The machine does not allow what was asked of the network; the text says what and why."""
