"""From an event's text to its cause, the clause it is about and the remedy: pure, linear, no guesses."""

from vnode_suite.diagnosis.diagnose import CauseMatch, Diagnosis, diagnose
from vnode_suite.diagnosis.events import EventText, Facts
from vnode_suite.diagnosis.intake import read

__all__ = ["CauseMatch", "Diagnosis", "EventText", "Facts", "diagnose", "read"]
