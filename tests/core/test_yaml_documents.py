"""YAML at libyaml's speed, and never at the price of the process."""

from __future__ import annotations

import subprocess
import sys

import pytest
import yaml

from vnode_suite.core.documents import dump_yaml, load_yaml

KUBECONFIG = {"kind": "Config", "clusters": [{"name": "a", "cluster": {"server": "https://10.0.0.1:6443"}}]}


def test_a_document_survives_the_way_there_and_back() -> None:
    """Keys keep their order, since people read what is written."""
    text = dump_yaml(KUBECONFIG)
    assert load_yaml(text) == KUBECONFIG
    assert text.index("kind") < text.index("clusters")


def test_only_plain_types_are_read_and_written() -> None:
    """A tag that makes an object is refused by either loader."""
    for text in ("!!python/object/apply:os.getcwd []", "!!python/object/apply:os.getcwd []" + " " * 20_000):
        with pytest.raises(yaml.YAMLError):
            load_yaml(text)
    with pytest.raises(yaml.YAMLError):
        dump_yaml({"what": object()})


@pytest.mark.parametrize("opening", ["[", "- "])
@pytest.mark.parametrize("levels", [7_900, 200_000])
def test_a_document_that_is_nested_beyond_reason_is_an_error(opening: str, levels: int) -> None:
    """In a process of its own: what is to be kept from happening ends the process."""
    script = (
        "from vnode_suite.core.documents import load_yaml\n"
        "try:\n"
        f"    load_yaml({opening!r} * {levels})\n"
        "except Exception as problem:\n"
        "    print(type(problem).__name__)\n"
        "else:\n"
        "    print('read')\n"
    )
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr[-500:]
    assert ended.stdout.strip() in ("read", "RecursionError", "ParserError")
