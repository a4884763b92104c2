"""Python's cyclic garbage collector, kept from walking what never becomes garbage."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

#: Objects made before the youngest are looked through (Python's default is 700). What a run makes and drops (answers
#: of API servers, mostly) has no cycles: with the default a sixth of the suite's processor time was spent on looking.
_YOUNG_OBJECTS = 50_000


@contextmanager
def sparing_collector() -> Iterator[None]:
    """Collect seldom, and never look through what there is by now: modules, and what pytest has collected.

    That stays out of collections afterwards, too: it lives as long as the process.
    """
    before = gc.get_threshold()
    gc.freeze()
    gc.set_threshold(_YOUNG_OBJECTS, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)
