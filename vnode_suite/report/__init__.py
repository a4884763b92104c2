"""The verdict, and every form in which a run is reported: all of it written from the ledger.

Programs read a report with `load`; everything else is imported from its module, so that a reader of reports
does not pay for the renderers.
"""

from vnode_suite.report.document import load

__all__ = ["load"]
