"""What the suite knows, as tables with schemas, and their loaders; no I/O beyond reading them."""
