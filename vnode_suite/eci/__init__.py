"""The client side of the ECI API.

``client.EciClient`` is what the suite calls; ``sdk`` is the only module that imports the official SDK, and
does so at the first call (``sdk.preload`` in a thread before that). ``network`` reads VPCs and security
groups, ``recording`` writes and replays exchanges, ``ram_policy`` says what rights a live run needs.
"""
