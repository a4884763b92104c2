"""What kind's own module brings to a node: the files of its base image, and the manifest of its network."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from vnode_suite.core.errors import AssetsError

_BASE_FILES = Path("images", "base", "files")
_NETWORK_SOURCE = Path("pkg", "build", "nodeimage", "const_cni.go")
_NETWORK_IMAGE = re.compile(r'^const kindnetdImage = "(?P<image>[^"]+)"', re.MULTILINE)
_NETWORK_MANIFEST = re.compile(r"^const defaultCNIManifest = `(?P<text>.*?)^`", re.MULTILINE | re.DOTALL)
_SANDBOX_IMAGE = re.compile(r'^\s*sandbox_image = "(?P<image>[^"]+)"', re.MULTILINE)
#: What kind puts there when an image brings no storage of its own.
STORAGE_MANIFEST = """\
apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata:
  name: standard
  annotations:
    storageclass.kubernetes.io/is-default-class: "true"
provisioner: kubernetes.io/host-path
"""


def copy_base_files(module: Path, target: Path) -> None:
    """Copy the files of kind's base image; scripts can be run, the rest only be read, as its Dockerfile has it.

    :param module: folder of the module `sigs.k8s.io/kind`.
    """
    source = module / _BASE_FILES
    if not (source / "usr/local/bin/entrypoint").is_file():
        raise _changed(module, f"{_BASE_FILES}/usr/local/bin/entrypoint")
    for file in (each for each in source.rglob("*") if each.is_file()):
        copy = target / file.relative_to(source)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, copy)
        copy.chmod(0o755 if copy.parent.name == "bin" else 0o644)


def sandbox_image(module: Path) -> str:
    """Name of the image that containerd holds a Pod's namespaces with."""
    text = (module / _BASE_FILES / "etc/containerd/config.toml").read_text(encoding="utf-8")
    found = _SANDBOX_IMAGE.search(text)
    if found is None:
        raise _changed(module, "sandbox_image in etc/containerd/config.toml")
    return found["image"]


def network(module: Path) -> tuple[str, str]:
    """kindnet as kind installs it: the name of its image, and the manifest (a template of kind's)."""
    text = (module / _NETWORK_SOURCE).read_text(encoding="utf-8")
    image = _NETWORK_IMAGE.search(text)
    # The manifest is one literal, cut in two where the image's name goes.
    manifest = (
        _NETWORK_MANIFEST.search(text.replace("` + kindnetdImage + `", image["image"])) if image else None
    )
    if image is None or manifest is None:
        raise _changed(module, f"kindnetdImage and defaultCNIManifest in {_NETWORK_SOURCE}")
    return image["image"], manifest["text"]


def _changed(module: Path, missing: str) -> AssetsError:
    return AssetsError(
        f"{module.name} is not laid out as the releases of kind that a node image can be built for",
        wanted=missing,
        remedy="build for a version whose kind is listed by `vnode-suite versions`",
    )
