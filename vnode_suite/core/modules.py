"""Starting a module of this package as a process of its own, and importing large ones while others work."""

from __future__ import annotations

import os
import sys
import threading
from importlib import import_module
from pathlib import Path

#: The folder that holds the package: a checkout's top, or site-packages.
_HOME = str(Path(__file__).resolve().parents[2])


def command(module: str, *arguments: str) -> list[str]:
    """``python -m module arguments...``, found from any working directory, installed or not."""
    # -P keeps the working directory off the path; the package's own home is put on it instead.
    run = f"runpy.run_module({module!r}, run_name='__main__', alter_sys=True)"
    boot = f"import sys, runpy; sys.path.insert(0, {_HOME!r}); {run}"
    return [sys.executable, "-P", "-c", boot, *arguments]


def environment() -> dict[str, str]:
    """Our environment, in which children of such a process find the package as well."""
    paths = [_HOME, *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
    # Name by name: another thread may take a variable away meanwhile, as pytest does between two tests.
    ours = {name: value for name in os.environ if (value := os.environ.get(name)) is not None}
    return {**ours, "PYTHONPATH": os.pathsep.join(dict.fromkeys(paths))}


def import_meanwhile(*modules: str) -> threading.Thread:
    """Import *modules* in a thread; whoever needs one sooner waits for it at its own import."""
    thread = threading.Thread(
        target=lambda: [import_module(name) for name in modules], name="import-meanwhile", daemon=True
    )
    thread.start()
    return thread
