"""What is looked at for each chapter: a subject in, an observation out. Nothing is judged here.

A function raises :class:`~vnode_suite.connection.steps.StepNotReached` where it needs a step that was not
reached: its clause could not run then.
"""
