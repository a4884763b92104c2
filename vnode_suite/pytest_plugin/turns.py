"""Which version shows which negative controls, where several versions are run and nobody asked for all of them.

Every clause is to be seen to fail on every version, and every defect somewhere in the run with every identity for
which it means something else; no more. A defect that several clauses notice is one twin, so it is taken for as many of
them as possible.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from vnode_suite.model import Cell, Defect, Identity


@dataclass(frozen=True, slots=True, eq=False)
class Control:
    """One clause that is to fail in one cell for one defect."""

    clause: str
    cell: Cell
    defect: Defect
    #: Whether the defect means something else for each identity.
    of_the_identity: bool

    @property
    def kind(self) -> tuple[str, str, Identity | None]:
        """What must be shown at least once in the run."""
        return self.clause, self.defect.name, self.cell.identity if self.of_the_identity else None

    @property
    def twin(self) -> tuple[str, str]:
        """What is made for it, and for every other clause that is shown there to notice the same."""
        return self.cell.id, self.defect.name

    @property
    def place(self) -> tuple[str, str]:
        """The clause, and the version that it is to be seen to fail on."""
        return self.clause, self.cell.version


def dealt(controls: Sequence[Control]) -> frozenset[Control]:
    """Of the *controls* that can be shown, those that are.

    Each place that has some gets one, and each kind is shown once. Nothing is random: workers deal alike.
    """
    table = _Table()
    for choice in sorted(_grouped(controls, lambda each: each.kind), key=len):
        # What few versions can show is placed first; the rest then goes where there is least to do.
        table.deal(min(choice, key=table.burden))
    for of_version in _grouped(controls, lambda each: each.cell.version):
        while missing := [each for each in of_version if each.place not in table.places]:
            serves = Counter(each.twin for each in missing)
            best = min(
                missing, key=lambda each: (table.price(each) / serves[each.twin], table.shown[each.kind])
            )
            for each in missing:
                if each.twin == best.twin:
                    table.deal(each)
    return frozenset(table.dealt)


class _Table:
    """What has been dealt so far."""

    def __init__(self) -> None:
        self.dealt: list[Control] = []
        self.places: set[tuple[str, str]] = set()
        self.shown: Counter[tuple[str, str, Identity | None]] = Counter()
        self._twins: set[tuple[str, str]] = set()
        self._work: Counter[str] = Counter()

    def deal(self, control: Control) -> None:
        """Have *control* shown."""
        self._work[control.cell.version] += self.price(control)
        self.dealt.append(control)
        self.places.add(control.place)
        self.shown[control.kind] += 1
        self._twins.add(control.twin)

    def price(self, control: Control) -> int:
        """What showing it takes besides what is made anyway, in times of a kubeconfig that is looked at."""
        if control.twin in self._twins:
            return 1
        if control.defect.scope == "own-cluster":
            return 100
        own_vnode = control.defect.where in _HAVE_A_VNODE_OF_THEIR_OWN
        return 8 if own_vnode or control.defect.scope == "cell-exclusive" else 2

    def burden(self, control: Control) -> tuple[bool, int, int]:
        """How ill its version is placed to show it: it shows one of that clause already, or has much to do."""
        return control.place in self.places, self.price(control), self._work[control.cell.version]


def _grouped(controls: Iterable[Control], key: Callable[[Control], object]) -> list[list[Control]]:
    """The controls that have the same *key*, in the order in which the keys come first."""
    found: dict[object, list[Control]] = {}
    for each in controls:
        found.setdefault(key(each), []).append(each)
    return list(found.values())


#: Where a defect lives that a VNode, or what the ECI API says of one, has.
_HAVE_A_VNODE_OF_THEIR_OWN = frozenset({"vnode", "eci"})
