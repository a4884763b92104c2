"""The store: an entry is whole or not there, and is what its manifest says."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from vnode_suite.clusters.local import store as store_module
from vnode_suite.clusters.local.sources import SourceUnavailable
from vnode_suite.clusters.local.sources.folder import StoredPrograms
from vnode_suite.clusters.local.store import Platform, Store, sha256_of
from vnode_suite.core.errors import AssetsError
from vnode_suite.core.progress import SilentProgress, Task
from vnode_suite.data.versions import load_versions

COMPONENTS = ("kube-apiserver", "kube-controller-manager", "kube-scheduler")


def put(store: Store, version: str, component: str = "kube-apiserver", content: str = "program") -> Path:
    """Put a program into the store; where it came to lie."""
    with store.staging() as folder:
        program = folder / "program"
        program.write_text(content, encoding="utf-8")
        return store.add(version, component, program, {"source": "a test"}).path


def test_what_was_put_in_is_found_with_its_provenance(store: Store) -> None:
    """Everything that the report shows of a binary is in its entry."""
    path = put(store, "1.22.15")
    entry = store.get("1.22.15", "kube-apiserver")
    assert entry is not None
    assert entry.path == path
    assert entry.binary.provenance == {"source": "a test", "sha256": sha256_of(path)}
    manifest = json.loads(path.with_name("manifest.json").read_text(encoding="utf-8"))
    assert (manifest["os"], manifest["arch"]) == (Platform.here().os, Platform.here().arch)


def test_what_is_not_there_is_none(store: Store) -> None:
    """An empty store is no error."""
    assert store.get("1.22.15", "kube-apiserver") is None
    assert (store.entries(), store.verify(), store.versions()) == ([], [], [])


def test_platforms_do_not_share_entries(store: Store) -> None:
    """A store on a network drive serves machines of several kinds."""
    put(store, "1.22.15")
    assert Store(store.root, Platform("plan9", "mips")).get("1.22.15", "kube-apiserver") is None


def test_a_damaged_program_is_refused_on_use_with_both_digests(store: Store) -> None:
    """It is noticed before it is run."""
    path = put(store, "1.22.15")
    path.write_text("changed", encoding="utf-8")
    with pytest.raises(AssetsError, match=r"damaged; wanted: sha256 .* found: sha256"):
        store.get("1.22.15", "kube-apiserver")


def test_an_untouched_program_is_not_hashed_on_every_use(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three programs of 60 MB would cost each run a noticeable part of a second."""
    put(store, "1.22.15")
    monkeypatch.setattr(store_module, "sha256_of", lambda path: pytest.fail(f"hashed {path}"))
    assert store.get("1.22.15", "kube-apiserver") is not None


def test_verify_hashes_what_looks_untouched(store: Store) -> None:
    """Damage that keeps size and times is found by `verify` alone."""
    path = put(store, "1.22.15")
    put(store, "1.22.15", "kube-scheduler")
    entry = store.get("1.22.15", "kube-apiserver")
    assert entry is not None
    path.write_text("PROGRAM", encoding="utf-8")
    path.with_name("verified.json").write_text(json.dumps(Store._stamp(path)), encoding="utf-8")
    assert store.get("1.22.15", "kube-apiserver") is not None
    problems = {result.component: result.problem for result in store.verify()}
    assert "sha256" in problems["kube-apiserver"]
    assert problems["kube-scheduler"] == ""


def test_versions_are_ordered_as_numbers(store: Store) -> None:
    """1.9.10 is older than 1.13.2."""
    for version in ("1.13.12", "1.9.10", "1.13.2"):
        put(store, version)
    assert store.versions() == ["1.9.10", "1.13.2", "1.13.12"]


def test_a_failure_while_putting_in_leaves_nothing(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """There is no half-made entry, whatever goes wrong."""

    def fail(path: Path) -> str:
        raise KeyboardInterrupt

    monkeypatch.setattr(store_module, "sha256_of", fail)
    with pytest.raises(KeyboardInterrupt):
        put(store, "1.22.15")
    assert store.entries() == []
    assert list((store.root / "staging").iterdir()) == []


def test_many_putting_in_the_same_end_with_one_whole_entry(store: Store) -> None:
    """Whoever is second finds the entry of the first."""
    paths: list[Path] = []
    threads = [threading.Thread(target=lambda: paths.append(put(store, "1.22.15"))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(paths)) == 1
    assert len(paths) == 8
    assert [result.problem for result in store.verify()] == [""]


def test_whoever_waits_for_another_run_is_told(store: Store) -> None:
    """A build takes minutes; silence would look like a hang."""
    told: list[str] = []

    class Telling(SilentProgress):
        @contextmanager
        def task(self, label: str, total: float | None = None, *, unit: str = "") -> Iterator[Task]:
            told.append(label)
            other.release()
            with super().task(label) as task:
                yield task

    other = store.lock("build-1.22.15")
    other.acquire()
    with store.holding("build-1.22.15", "building Kubernetes 1.22.15", Telling()):
        assert told == ["waiting for another run that is building Kubernetes 1.22.15"]
    with store.holding("build-1.22.15", "building Kubernetes 1.22.15", Telling()):
        assert len(told) == 1


def test_the_folder_is_chosen_by_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """CI keeps its cache where it likes."""
    monkeypatch.setenv("VNODE_SUITE_ASSETS", str(tmp_path / "here"))
    assert Store.default().root == tmp_path / "here"
    monkeypatch.delenv("VNODE_SUITE_ASSETS")
    assert Store.default().root.parts[-2:] == ("vnode-suite", "assets")


def test_a_minor_takes_the_newest_whole_patch_of_the_store(store: Store) -> None:
    """A newer patch with a program missing does not do."""
    for component in COMPONENTS:
        put(store, "1.22.9", component)
        put(store, "1.22.15", component)
    put(store, "1.22.17", "kube-apiserver")
    source, versions = StoredPrograms(store), load_versions()
    found = source.obtain(versions.resolve("1.22"), SilentProgress())
    assert {binary.version for binary in found.values()} == {"1.22.15"}
    exact = source.obtain(versions.resolve("1.22.9"), SilentProgress())
    assert {binary.version for binary in exact.values()} == {"1.22.9"}
    with pytest.raises(SourceUnavailable, match=r"1\.22\.17 lacks kube-controller-manager, kube-scheduler"):
        source.obtain(versions.resolve("1.22.17"), SilentProgress())
