"""The release download against a server laid out like the real one: sound, damaged, stalled, gone."""

from __future__ import annotations

import multiprocessing
import socket
from pathlib import Path

import pytest
from release_server import COMPONENTS, ReleaseServer, content_of

from vnode_suite.clusters.local.sources import SourceUnavailable
from vnode_suite.clusters.local.sources.download import Download
from vnode_suite.clusters.local.sources.release import ReleaseDownload
from vnode_suite.clusters.local.store import Store, sha256_of
from vnode_suite.core.progress import SilentProgress
from vnode_suite.data.versions import load_versions

VERSION = load_versions().resolve("1.22")
IMPATIENT = Download(connect_seconds=1.0, stall_seconds=0.3, tries=2)
QUIET = SilentProgress()


def source(store: Store, server: ReleaseServer, download: Download = IMPATIENT) -> ReleaseDownload:
    """The release download from the test's server into the test's store."""
    return ReleaseDownload(store, server.url, download)


def test_sound_programs_are_stored_executable_and_with_their_provenance(
    store: Store, releases: ReleaseServer
) -> None:
    """What is in the store is what the server gave, and says from where."""
    found = source(store, releases).obtain(VERSION, QUIET)
    assert set(found) == set(COMPONENTS)
    for component, binary in found.items():
        assert binary.path.read_bytes() == content_of(component)
        assert binary.path.stat().st_mode & 0o111
        assert binary.version == "1.22.17"
        assert binary.provenance["url"] == f"{releases.url}{releases.folder}/{component}"
        assert str(binary.provenance["checksum"]).startswith("sha512:")


def test_what_is_stored_is_not_downloaded_again(store: Store, releases: ReleaseServer) -> None:
    """The second run is quick."""
    for _ in range(2):
        source(store, releases).obtain(VERSION, QUIET)
    assert [len(releases.downloads(component)) for component in COMPONENTS] == [1, 1, 1]


def test_a_damaged_program_is_fetched_anew(store: Store, releases: ReleaseServer) -> None:
    """The store says that it is damaged, and the next source mends it."""
    found = source(store, releases).obtain(VERSION, QUIET)
    found["kube-scheduler"].path.write_text("damaged", encoding="utf-8")
    again = source(store, releases).obtain(VERSION, QUIET)
    assert again["kube-scheduler"].path.read_bytes() == content_of("kube-scheduler")
    assert [len(releases.downloads(component)) for component in COMPONENTS] == [1, 1, 2]


def test_a_wrong_checksum_is_refused_with_both_and_nothing_is_kept(
    store: Store, releases: ReleaseServer
) -> None:
    """Neither in the store nor as something to resume from."""
    releases.wrong.wrong_checksum = {"kube-apiserver"}
    with pytest.raises(
        SourceUnavailable, match=r"kube-apiserver has a wrong checksum; wanted: sha512 .*found: sha512"
    ):
        source(store, releases).obtain(VERSION, QUIET)
    assert store.entries() == []
    assert not store.part("1.22.17", "kube-apiserver").exists()


def test_a_truncated_file_is_refused_with_how_much_of_it_came(store: Store, releases: ReleaseServer) -> None:
    """A server that ends early and refuses to go on from there."""
    releases.wrong.truncate_after = {"kube-apiserver": 1000}
    releases.wrong.no_ranges = True
    with pytest.raises(SourceUnavailable, match=r"after 1000 of 307200 bytes"):
        source(store, releases).obtain(VERSION, QUIET)
    assert store.entries() == []


def test_a_download_that_breaks_off_is_resumed_where_it_broke(store: Store, releases: ReleaseServer) -> None:
    """Each try brings a piece; together they are the file."""
    releases.wrong.truncate_after = {"kube-apiserver": 120_000}
    found = source(store, releases, Download(1.0, 0.3, tries=4)).obtain(VERSION, QUIET)
    assert found["kube-apiserver"].path.read_bytes() == content_of("kube-apiserver")
    assert releases.downloads("kube-apiserver") == ["", "bytes=120000-", "bytes=240000-"]


def test_a_later_run_resumes_what_an_interrupted_one_left(store: Store, releases: ReleaseServer) -> None:
    """What came before Ctrl-C is not lost."""
    store.part("1.22.17", "kube-apiserver").write_bytes(content_of("kube-apiserver")[:5000])
    found = source(store, releases).obtain(VERSION, QUIET)
    assert releases.downloads("kube-apiserver") == ["bytes=5000-"]
    assert found["kube-apiserver"].path.read_bytes() == content_of("kube-apiserver")


def test_a_left_over_part_of_something_else_is_fetched_from_the_beginning(
    store: Store, releases: ReleaseServer
) -> None:
    """Two halves of different files do not fit the checksum, and that is no reason to give up."""
    store.part("1.22.17", "kube-apiserver").write_bytes(b"x" * 5000)
    found = source(store, releases).obtain(VERSION, QUIET)
    assert releases.downloads("kube-apiserver") == ["bytes=5000-", ""]
    assert found["kube-apiserver"].path.read_bytes() == content_of("kube-apiserver")


def test_a_stalled_server_is_given_up_and_said_to_have_stalled(store: Store, releases: ReleaseServer) -> None:
    """Nothing came for the time that is allowed; what came is kept for the next time."""
    releases.wrong.stall_after = {"kube-apiserver": 1000}
    releases.wrong.no_ranges = True
    with pytest.raises(SourceUnavailable, match="stalled: nothing came for"):
        source(store, releases).obtain(VERSION, QUIET)
    assert store.part("1.22.17", "kube-apiserver").stat().st_size == 1000


@pytest.mark.parametrize("kind", ["sha256", "sha1"])
def test_an_older_release_is_checked_by_the_checksum_that_it_has(
    store: Store, releases: ReleaseServer, kind: str
) -> None:
    """The provenance says how strong the check was."""
    releases.wrong.kinds = (kind,)
    found = source(store, releases).obtain(VERSION, QUIET)
    assert str(found["kube-scheduler"].provenance["checksum"]).startswith(f"{kind}:")


def test_a_file_without_any_checksum_is_refused(store: Store, releases: ReleaseServer) -> None:
    """What cannot be checked is not run."""
    releases.wrong.kinds = ()
    with pytest.raises(SourceUnavailable, match="has no checksum beside it"):
        source(store, releases).obtain(VERSION, QUIET)
    assert releases.downloads("kube-apiserver") == []


def test_a_patch_that_was_not_released_is_refused_with_its_address(
    store: Store, releases: ReleaseServer
) -> None:
    """An exact patch is asked for and no other is taken."""
    with pytest.raises(SourceUnavailable, match=r"v1\.22\.99.* is not there"):
        source(store, releases).obtain(load_versions().resolve("1.22.99"), QUIET)


def test_a_host_that_is_not_there_is_said_to_refuse(store: Store) -> None:
    """A machine without network must not wait for an answer."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}"
        with pytest.raises(SourceUnavailable, match=r"cannot be reached \(.*refused"):
            ReleaseDownload(store, url).obtain(VERSION, QUIET)


def test_a_host_that_never_answers_is_given_up_after_the_time_it_has(store: Store) -> None:
    """A firewall that drops: a listener whose queue is full does not answer either."""
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen(0)
        address = deaf.getsockname()
        fillers = []
        for _ in range(3):
            filler = socket.socket()
            filler.setblocking(False)
            filler.connect_ex(address)
            fillers.append(filler)
        deaf_source = ReleaseDownload(store, f"http://127.0.0.1:{address[1]}", IMPATIENT)
        with pytest.raises(SourceUnavailable, match=r"cannot be reached \((timed out|no answer within 1 s)"):
            deaf_source.obtain(VERSION, QUIET)
        for filler in fillers:
            filler.close()


def fill(root: str, url: str) -> str:
    """One of two runs that fill a store at once; the digest of what it was given."""
    found = ReleaseDownload(Store(Path(root)), url, IMPATIENT).obtain(VERSION, QUIET)
    return " ".join(sha256_of(found[component].path) for component in COMPONENTS)


def test_two_runs_fill_the_store_at_once_and_each_file_is_downloaded_once(
    store: Store, releases: ReleaseServer
) -> None:
    """The second waits for the first and takes what it finds."""
    context = multiprocessing.get_context("spawn")
    with context.Pool(2) as pool:
        digests = pool.starmap(fill, [(str(store.root), releases.url)] * 2)
    assert digests[0] == digests[1]
    assert [len(releases.downloads(component)) for component in COMPONENTS] == [1, 1, 1]
    assert all(not result.problem for result in store.verify())
