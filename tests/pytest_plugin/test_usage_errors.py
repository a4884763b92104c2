"""What the command line alone shows to be wrong: status 4, and one line that names what is allowed."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from tests_of_plugin import PATIENCE_SECONDS, Project

_LIVE = [
    *("--kubeconfig", "pytest.ini", "--vnode-cloud", "live"),
    *("--vnode-vswitch", "vsw-1", "--vnode-security-group", "sg-1"),
]
_OTHER_REGION = {
    "format": "vnode-suite/eci-recording/v1",
    "source": "live",
    "region": "cn-beijing",
    "recorded_at": "2024-01-01T00:00:00Z",
    "suite_version": "1",
    "sdk_versions": {},
}

_THEIRS = ("--kubeconfig", "pytest.ini", "--vnode-cloud", "live")
#: Arguments after the region, and words that the one line must hold.
WRONG: dict[str, tuple[list[str], tuple[str, ...]]] = {
    "region": (["--region", "cn-shangai"], ("cn-shangai", "perhaps cn-shanghai")),
    "no region": (["--region", ""], ("no region was given", "ALIBABA_CLOUD_REGION_ID")),
    "version outside": (["--vnode-k8s-version", "1.23"], ("1.23", "1.13-1.22")),
    "no version": (["--vnode-k8s-version", "newest"], ("newest", "1.13-1.22")),
    "range backwards": (["--vnode-k8s-version", "1.20-1.18"], ("1.20-1.18", "backwards")),
    "two patches": (
        ["--vnode-k8s-version", "1.22", "--vnode-k8s-version", "1.22.15"],
        ("1.22.15", "one patch of a minor"),
    ),
    "taint": (["--vnode-taint", "key=value"], ("key=value", "NoSchedule")),
    "taint effect": (["--vnode-taint", "k=v:Never"], ("k=v:Never", "PreferNoSchedule")),
    "tag": (["--vnode-tag", "alone"], ("alone", "KEY=VALUE")),
    "vswitches": ([f"--vnode-vswitch=vsw-{n}" for n in range(11)], ("11 times", "1 to 10")),
    "live and local": (["--vnode-cloud", "live"], ("live", "local", "--kubeconfig")),
    "no cassette": (["--vnode-cloud", "replay"], ("replay", "--vnode-cassette")),
    "cassette missing": (
        ["--vnode-cloud", "replay", "--vnode-cassette", "nowhere.jsonl"],
        ("nowhere.jsonl", "no file"),
    ),
    "cassette of something else": (
        ["--vnode-cloud", "replay", "--vnode-cassette", "pytest.ini"],
        ("pytest.ini is no recording",),
    ),
    "cassette of another region": (
        ["--vnode-cloud", "replay", "--vnode-cassette", "tape.jsonl"],
        ("another region", "--region cn-beijing"),
    ),
    "record of two versions": (
        ["--vnode-record", "new.jsonl", "--vnode-k8s-version", "1.21-1.22"],
        ("--vnode-record", "one --vnode-k8s-version"),
    ),
    "live without a place": (
        ["--kubeconfig", "pytest.ini", "--vnode-cloud", "live"],
        ("--vnode-vswitch ID and --vnode-security-group ID",),
    ),
    "live with a defect of the simulator": (
        [*_LIVE, "--vnode-defect", "port-10250-closed"],
        ("port-10250-closed", "nobody but the simulator"),
    ),
    "endpoint of the emulator": (["--vnode-eci-endpoint", "http://127.0.0.1:1"], ("--vnode-cloud live",)),
    "endpoint without scheme": ([*_LIVE, "--vnode-eci-endpoint", "127.0.0.1:1"], ("http://HOST:PORT",)),
    "CA without endpoint": ([*_LIVE, "--vnode-eci-ca", "pytest.ini"], ("--vnode-eci-endpoint",)),
    "tag of the suite's own": (["--vnode-tag", "vnode-suite:run=mine"], ("vnode-suite:run", "reserved")),
    "cassette for nothing": (["--vnode-cassette", "pytest.ini"], ("replay",)),
    "clause": (["--vnode-clause", "DS-99"], ("DS-99",)),
    "defect": (["--vnode-defect", "wrong-cs"], ("wrong-cs", "perhaps")),
    "deadline": (["--vnode-deadline", "node-ready=soon"], ("soon", "NAME=SECONDS")),
    "deadline not above zero": (["--vnode-deadline", "node-ready=0"], ("more than 0",)),
    "deadline unknown": (["--vnode-deadline", "nod-ready=5"], ("nod-ready",)),
    "soak in standard": (["--vnode-soak", "2h"], ("--vnode-profile full",)),
    "soak on a local cluster": (["--vnode-soak", "2h", "--vnode-profile", "full"], ("--kubeconfig",)),
    "language": (["--vnode-report-lang", "de"], ("de", "en, zh")),
    "profile": (["--vnode-profile", "fast"], ("fast", "quick, standard, full")),
    "identity": (["--vnode-identity", "root"], ("root", "bootstrap")),
    "settings entry": (["--vnode-settings", "settings.toml"], ("settings.toml", "regio", "perhaps region")),
    "settings missing": (["--vnode-settings", "nowhere.toml"], ("nowhere.toml",)),
    "kubeconfig without cloud": (["--kubeconfig", "pytest.ini"], ("--vnode-cloud",)),
    "kubeconfig missing": (["--kubeconfig", "nowhere", "--vnode-cloud", "emulator"], ("nowhere", "no file")),
    "kubeconfig and version": (
        ["--kubeconfig", "pytest.ini", "--vnode-cloud", "emulator", "--vnode-k8s-version", "1.20"],
        ("exclude each other",),
    ),
    "existing without kubeconfig": (["--vnode-cluster", "existing"], ("--kubeconfig FILE",)),
    "name": (["--vnode-name", "Big Name"], ("Big Name", "a-z")),
    "dns": (["--vnode-cluster-dns", "dns.local"], ("dns.local", "IP address")),
    "count": (["--vnode-count", "0"], ("0", "1 to 20")),
    "id without kubeconfig": (["--vnode-id", "vnd-1"], ("--kubeconfig FILE",)),
    "id is none": (["--vnode-id", "vnode1", *_THEIRS], ("vnode1", "vnd-")),
    "id and count": (["--vnode-id", "vnd-1", "--vnode-count", "2", *_THEIRS], ("exclude each other",)),
    "id and controls": (["--vnode-id", "vnd-1", "--vnode-controls", "on", *_THEIRS], ("exclude each other",)),
    "id and all controls": (
        ["--vnode-id", "vnd-1", "--vnode-controls", "all", *_THEIRS],
        ("exclude each other",),
    ),
    "id and two identities": (
        ["--vnode-id", "vnd-1", "--vnode-identity", "bootstrap", "--vnode-identity", "admin", *_THEIRS],
        ("one identity",),
    ),
    "id with an emulator of the run's own": (
        ["--vnode-id", "vnd-1", "--kubeconfig", "pytest.ini", "--vnode-cloud", "emulator"],
        ("exclude each other", "--vnode-cloud live"),
    ),
    "user without id": (["--vnode-user", "vnode"], ("--vnode-user", "--vnode-id")),
    "kubeconfig of the VNode without id": (["--vnode-kubeconfig", "pytest.ini"], ("--vnode-id",)),
    "kubeconfig of the VNode and user": (
        ["--vnode-id", "vnd-1", "--vnode-kubeconfig", "pytest.ini", "--vnode-user", "vnode", *_THEIRS],
        ("exclude each other",),
    ),
    "waivers": (["--vnode-waivers", "nowhere.toml"], ("nowhere.toml",)),
}

# All of them in one process: starting one for each would take minutes.
_DRIVER = """
import contextlib, io, json, sys
import pytest
answers = {}
for name, args in json.load(sys.stdin).items():
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        status = int(pytest.main(["-p", "vnode_suite.pytest_plugin", "--region", "cn-shanghai", *args]))
    answers[name] = [status, said.getvalue()]
json.dump(answers, sys.stdout)
"""


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[int, str]]:
    """Status and output of every wrong command line, plain and (under the name with ``-n 2``) distributed."""
    folder = tmp_path_factory.mktemp("usage")
    (folder / "settings.toml").write_text('regio = "cn-shanghai"\n', encoding="utf-8")
    (folder / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
    (folder / "tape.jsonl").write_text(json.dumps(_OTHER_REGION) + "\n", encoding="utf-8")
    asked = {name: args for name, (args, _) in WRONG.items()}
    asked |= {f"{name} -n 2": [*args, "-n", "2"] for name, args in asked.items()}
    done = subprocess.run(
        [sys.executable, "-c", _DRIVER],
        input=json.dumps(asked),
        cwd=folder,
        env=Project(folder).environment(),
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=True,
    )
    assert not (folder / "reports").exists(), "a refused run left a folder"
    return {name: (status, said) for name, (status, said) in json.loads(done.stdout).items()}


@pytest.mark.parametrize("workers", ["", " -n 2"])
@pytest.mark.parametrize("name", WRONG)
def test_it_ends_with_four_and_one_line(answers: dict[str, tuple[int, str]], name: str, workers: str) -> None:
    """Plain, and where workers would be started."""
    if workers:
        pytest.importorskip("xdist")
    status, said = answers[name + workers]
    lines = [line for line in said.splitlines() if line.strip()]
    assert status == 4, said
    assert len(lines) == 1, said
    assert lines[0].startswith("ERROR: vnode-suite: ")
    assert [word for word in WRONG[name][1] if word not in lines[0]] == [], said


_KIND = """
import pytest
def pytest_addoption(parser):
    parser.addoption("--kubeconfig", default=None)
@pytest.fixture
def kind_cluster(): ...
"""


@pytest.fixture
def foreign(tmp_path: Path) -> Project:
    """A project with nothing of ours but the installed plugin."""
    (tmp_path / "pytest.ini").write_text("[pytest]\naddopts = -p no:cacheprovider\n", encoding="utf-8")
    (tmp_path / "kube.yaml").write_text("{}", encoding="utf-8")
    (tmp_path / "kind_like.py").write_text(_KIND, encoding="utf-8")
    (tmp_path / "test_it.py").write_text(
        "import sys\n"
        "def test_it(pytestconfig):\n"
        "    assert not pytestconfig.pluginmanager.hasplugin('vnode-suite-acceptance')\n"
        "    assert 'kubernetes' not in sys.modules and 'vnode_suite.connection.run' not in sys.modules\n"
        "def test_other(): pass\n",
        encoding="utf-8",
    )
    return Project(tmp_path)


def pytest_in(project: Project, *args: str) -> subprocess.CompletedProcess[str]:
    """Run pytest there, with our plugin loaded as an installed one is."""
    return subprocess.run(
        [sys.executable, "-m", "pytest", *args],
        cwd=project.folder,
        env={
            **project.environment(),
            "PYTHONPATH": f"{project.folder}:{project.environment()['PYTHONPATH']}",
        },
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )


def test_plugin_sleeps_in_a_foreign_project(foreign: Project) -> None:
    """Nothing of an acceptance run is loaded, collected or written."""
    done = pytest_in(foreign, "-p", "vnode_suite.pytest_plugin")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 passed" in done.stdout
    assert not (foreign.folder / "reports").exists()


def test_region_does_not_change_what_was_named(foreign: Project) -> None:
    """A path on the command line is what runs."""
    done = pytest_in(foreign, "-p", "vnode_suite.pytest_plugin", "--region", "cn-shanghai", "test_it.py")
    assert "2 passed" in done.stdout, done.stdout + done.stderr


def test_option_of_a_plugin_that_came_first_is_read(foreign: Project) -> None:
    """Where pytest-kind registered ``--kubeconfig``, its value is ours too."""
    (foreign.folder / "kind_first.py").write_text(
        "import kind_like\n"
        "def pytest_addoption(parser, pluginmanager):\n"
        "    pluginmanager.register(kind_like, 'pytest-kind')\n",
        encoding="utf-8",
    )
    done = pytest_in(
        foreign,
        "-p",
        "kind_first",
        "-p",
        "vnode_suite.pytest_plugin",
        "--region",
        "cn-shanghai",
        "--kubeconfig",
        "kube.yaml",
    )
    assert done.returncode == 4, done.stdout + done.stderr
    assert "an existing cluster needs --vnode-cloud" in done.stderr


def test_plugin_that_comes_later_is_kept_out(foreign: Project) -> None:
    """Registering the same option again would stop pytest."""
    (foreign.folder / "kind_later.py").write_text(
        "import kind_like\n"
        "def pytest_addoption(parser, pluginmanager):\n"
        "    assert pluginmanager.register(kind_like, 'pytest-kind') is None\n",
        encoding="utf-8",
    )
    done = pytest_in(
        foreign,
        "-p",
        "vnode_suite.pytest_plugin",
        "-p",
        "kind_later",
        "--region",
        "cn-shanghai",
        "--kubeconfig",
        "kube.yaml",
    )
    assert done.returncode == 4, done.stdout + done.stderr
    assert "an existing cluster needs --vnode-cloud" in done.stderr
