"""Pure data of the domain: clauses, cells, observations, judgements, verdicts. No I/O, no third parties."""

from vnode_suite.model.cell import Cell, Cloud, Identity, Profile, Provider
from vnode_suite.model.clause import Applies, Basis, Clause, Level
from vnode_suite.model.judgement import (
    Defect,
    DefectScope,
    Evidence,
    Grade,
    Judgement,
    Observation,
    Source,
    Status,
    Unreached,
    fails,
    holds,
    reports,
)
from vnode_suite.model.text import Language, Text
from vnode_suite.model.verdict import WORST_FIRST, Exit, Result, worst

__all__ = [
    "WORST_FIRST",
    "Applies",
    "Basis",
    "Cell",
    "Clause",
    "Cloud",
    "Defect",
    "DefectScope",
    "Evidence",
    "Exit",
    "Grade",
    "Identity",
    "Judgement",
    "Language",
    "Level",
    "Observation",
    "Profile",
    "Provider",
    "Result",
    "Source",
    "Status",
    "Text",
    "Unreached",
    "fails",
    "holds",
    "reports",
    "worst",
]
