"""The other side of an acceptance run: the ECI API's emulator, simulated VNodes, and the VPC they live in.

Always a process of its own, ``python -m vnode_suite.simulated``. Imports nothing of the suite but ``model``:
the judge and the judged share no code.
"""
