"""What is read out of kind's own module, against a tree laid out like it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import yaml

from vnode_suite.clusters.kind.nodeimage import kindfiles
from vnode_suite.core.errors import AssetsError


@pytest.fixture
def module(tmp_path: Path) -> Path:
    """A module with two of kind's files and its network's source."""
    root = tmp_path / "kind@v0.20.0"
    for name, text in (
        ("images/base/files/usr/local/bin/entrypoint", "#!/bin/bash\n"),
        ("images/base/files/etc/containerd/config.toml", '  sandbox_image = "registry.example/pause:3.7"\n'),
        (
            "pkg/build/nodeimage/const_cni.go",
            'const kindnetdImage = "example/kindnetd:v1"\n\nconst defaultCNIManifest = `\nkind: DaemonSet\n'
            "image: ` + kindnetdImage + `\nsubnet: {{ .PodSubnet }}\n`\n",
        ),
    ):
        file = root / name
        file.parent.mkdir(parents=True)
        file.write_text(text)
        # Go's module cache can only be read.
        file.chmod(0o444)
    return root


def test_scripts_can_be_run_and_the_rest_only_read(module: Path, tmp_path: Path) -> None:
    """As kind's own Dockerfile has it; the module cache has neither."""
    kindfiles.copy_base_files(module, tmp_path / "node")
    entrypoint = tmp_path / "node" / "usr/local/bin/entrypoint"
    config = tmp_path / "node" / "etc/containerd/config.toml"
    assert os.access(entrypoint, os.X_OK)
    assert oct(config.stat().st_mode & 0o777) == "0o644"


def test_the_network_is_kinds_own_with_its_image_put_in(module: Path) -> None:
    """What kind's template leaves open stays open: kind fills it in."""
    image, manifest = kindfiles.network(module)
    assert image == "example/kindnetd:v1"
    assert manifest == "\nkind: DaemonSet\nimage: example/kindnetd:v1\nsubnet: {{ .PodSubnet }}\n"


def test_the_sandbox_image_is_the_one_that_containerd_is_told(module: Path) -> None:
    """It is another than the one that kubeadm lists."""
    assert kindfiles.sandbox_image(module) == "registry.example/pause:3.7"


def test_a_release_that_is_laid_out_otherwise_is_an_error_that_names_what_is_missing(
    module: Path, tmp_path: Path
) -> None:
    """Not a node that does not start."""
    (module / "pkg/build/nodeimage/const_cni.go").unlink()
    (module / "pkg/build/nodeimage/const_cni.go").write_text("package nodeimage\n")
    with pytest.raises(AssetsError, match="kindnetdImage"):
        kindfiles.network(module)
    (module / "images/base/files/usr/local/bin/entrypoint").unlink()
    with pytest.raises(AssetsError, match="entrypoint"):
        kindfiles.copy_base_files(module, tmp_path / "node")


def test_the_storage_class_is_one() -> None:
    """kind applies it as it is."""
    assert yaml.safe_load(kindfiles.STORAGE_MANIFEST)["kind"] == "StorageClass"
