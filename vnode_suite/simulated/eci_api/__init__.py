"""An emulator of the ECI OpenAPI (2018-08-08), and of the few VPC, ECS and STS reads that go with it.

Independent of the suite's own client side on purpose: what both need is written in each from its source, so
that a mistake in one is found by the other. What is inferred rather than documented is data:
``behaviours.toml``.
"""
