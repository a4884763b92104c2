"""Names in a sentence: all of them, or the first few and how many more."""

from __future__ import annotations

from collections.abc import Sequence

from vnode_suite.model import Text

#: Most names in one sentence.
NAMED = 3


def listed(items: Sequence[str]) -> str:
    """*items* as English lists them: ``a, b and c``."""
    if len(items) < 2:
        return "".join(items)
    return f"{', '.join(items[:-1])} and {items[-1]}"


def shortened(names: Sequence[str]) -> Text:
    """*names*, or the first few of them and how many more there are."""
    if len(names) <= NAMED + 1:
        return Text(listed(list(names)), "、".join(names))
    shown, more = names[:NAMED], len(names) - NAMED
    return Text(f"{', '.join(shown)} and {more} more", f"{'、'.join(shown)} 等 {len(names)} 项")


def plural(count: int, noun: str) -> str:
    """*noun* in the number of *count*."""
    return noun if count == 1 else f"{noun}s"
