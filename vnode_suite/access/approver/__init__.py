"""Our approver of VNode certificates: it does what the published deployment is published to do.

`rules` decides and is pure; `loop` watches; `beside` is how the suite runs one, with a credential that has the
published deployment's rights. The published image understands certificates.k8s.io/v1 only and so is blind below 1.19;
this one takes the newest version that the server has.
"""
