"""Our approver of VNode certificates: a process that does what the published deployment is published to do.

`rules` decides and is pure; `api` speaks HTTP with the standard library alone, so that the process stays
small; `loop` watches; `process` is how the suite starts one. The published image understands
certificates.k8s.io/v1 only and so is blind below 1.19; this one takes the newest version that the server has.
"""
