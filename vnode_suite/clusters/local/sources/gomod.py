"""The go.mod of the small module that a Kubernetes release is built from.

Only a main module's replacements count, so ours repeats the release's requirements and replacements, with
each staging folder changed to the module that was published of it, and with what `versions.toml` says on top.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from vnode_suite.data.versions import ModuleBuild

MAIN_MODULE = "vnode-suite.invalid/kubernetes"
KUBERNETES_MODULE = "k8s.io/kubernetes"

_REQUIRE = re.compile(r"^\s*(?:require\s+)?(?P<path>[^\s(]+)\s+(?P<version>v\S+)\s*$")
_REPLACE = re.compile(
    r"^\s*(?:replace\s+)?(?P<path>\S+)(?:\s+v\S+)?\s+=>\s+(?P<target>\S+)(?:\s+(?P<version>v\S+))?\s*$"
)


@dataclass(slots=True)
class GoMod:
    """The parts of a go.mod that matter here.

    :ivar go: the language version.
    :ivar requires: module path to version.
    :ivar replaces: module path to what stands in its place: "path version" or "./folder".
    """

    go: str = "1.16"
    requires: dict[str, str] = field(default_factory=dict)
    replaces: dict[str, str] = field(default_factory=dict)

    @classmethod
    def parse(cls, text: str) -> GoMod:
        """Read a go.mod as Kubernetes writes them: one entry a line, blocks or not."""
        mod = cls()
        block = ""
        for commented in text.splitlines():
            line = commented.split("//")[0]
            words = line.split()
            if not words:
                continue
            if words[0] == ")":
                block = ""
            elif words[-1] == "(":
                block = words[0]
            elif words[0] == "go":
                mod.go = words[1]
            elif "=>" in words and (match := _REPLACE.match(line)):
                target, version = match["target"], match["version"]
                mod.replaces[match["path"]] = f"{target} {version}" if version else target
            elif "require" in (block, words[0]) and (match := _REQUIRE.match(line)):
                mod.requires[match["path"]] = match["version"]
        return mod

    def render(self) -> str:
        """The text of a go.mod."""
        lines = [f"module {MAIN_MODULE}", "", f"go {self.go}", "", "require ("]
        lines += [f"\t{path} {version}" for path, version in sorted(self.requires.items())]
        lines += [")", "", "replace ("]
        lines += [f"\t{path} => {target}" for path, target in sorted(self.replaces.items())]
        return "\n".join([*lines, ")", ""])

    def drop(self, path: str) -> None:
        """Leave out every line about a module."""
        self.requires.pop(path, None)
        self.replaces.pop(path, None)


def module_of_release(
    release: str, patch: str, tree: str, build: ModuleBuild, folders: Mapping[str, str]
) -> GoMod:
    """Our go.mod for a release that has one.

    :param release: the text of the release's go.mod.
    :param patch: as in "1.22.15"; its staging modules are published as v0.22.15.
    :param tree: folder of the writable copy of `k8s.io/kubernetes`, as go.mod writes it.
    :param folders: module path to the local folder that stands in its place.
    """
    mod = GoMod.parse(release)
    published = f"v0.{patch.partition('.')[2]}"
    for path, target in mod.replaces.items():
        if target.startswith("./staging/src/"):
            mod.replaces[path] = f"{path} {published}"
    return _finish(mod, patch, tree, build, folders)


def module_with_borrowed_pins(
    lender: str, patch: str, tree: str, staging: Iterable[str], build: ModuleBuild, folders: Mapping[str, str]
) -> GoMod:
    """Our go.mod for a release that has none: its staging folders, and another release's third-party pins.

    :param lender: the text of the go.mod that pins are taken from.
    :param staging: names of the folders under `staging/src/k8s.io` of the tree.
    """
    mod = GoMod.parse(lender)
    for path in [path for path, target in mod.replaces.items() if target.startswith("./staging/src/")]:
        mod.drop(path)
    for name in staging:
        mod.requires[f"k8s.io/{name}"] = "v0.0.0"
        mod.replaces[f"k8s.io/{name}"] = f"{tree}/staging/src/k8s.io/{name}"
    return _finish(mod, patch, tree, build, folders)


def _finish(mod: GoMod, patch: str, tree: str, build: ModuleBuild, folders: Mapping[str, str]) -> GoMod:
    for path in build.drop:
        mod.drop(path)
    for path, version in build.pins.items():
        mod.requires[path] = version
        mod.replaces[path] = f"{path} {version}"
    for path, target in {**build.replaces, **folders}.items():
        mod.replaces[path] = target
        mod.requires.setdefault(path, "v0.0.0")
    mod.requires[KUBERNETES_MODULE] = f"v{patch}"
    mod.replaces[KUBERNETES_MODULE] = tree
    return mod
