"""``python -m vnode_suite.cli``: the command where it is not installed."""

from vnode_suite.cli import main

main()
