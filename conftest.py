"""In a checkout the suite's plugin is loaded from here; installed, from its entry point."""

pytest_plugins = ("vnode_suite.pytest_plugin",)
