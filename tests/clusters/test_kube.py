"""The client where no cluster is needed: what it makes of answers, of silence and of kubeconfigs."""

from __future__ import annotations

import base64
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from vnode_suite.clusters import kube
from vnode_suite.clusters.kube import (
    REQUEST_TIMEOUT_SECONDS,
    AccessRequest,
    KubeClient,
    KubeError,
    KubeUnreachable,
)
from vnode_suite.core.errors import DeadlineExceeded, UsageError

Answer = tuple[int, Any]
NODES = "/api/v1/nodes"


@contextmanager
def api(answer: Callable[[str, str, dict[str, str]], Answer]) -> Iterator[str]:
    """An API server in plain HTTP that answers as told: method, path and query to status and body.

    A body that is a list is sent as the events of a watch.
    """

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            query = {key: values[0] for key, values in parse_qs(parts.query).items()}
            status, body = answer(self.command, parts.path, query)
            lines = body if isinstance(body, list) else [body]
            payload = "\n".join(
                each if isinstance(each, str) else json.dumps(each) for each in lines
            ).encode()
            payload += b"\n"
            self.send_response(status)
            self.send_header("Content-Length", str(len(payload)))
            self.end_headers()
            self.wfile.write(payload)

        do_POST = do_PATCH = do_DELETE = do_GET

        def log_message(self, *_: object) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def kubeconfig(server: str, user: dict[str, Any] | None = None, **cluster: Any) -> str:
    """A kubeconfig of one context called `only`."""
    document = {
        "clusters": [{"name": "c", "cluster": {"server": server, **cluster}}],
        "users": [{"name": "u", "user": user or {}}],
        "contexts": [{"name": "only", "context": {"cluster": "c", "user": "u"}}],
        "current-context": "only",
    }
    return json.dumps(document)


def listing(version: str, *names: str) -> Answer:
    """A list of nodes."""
    items = [{"metadata": {"name": name, "resourceVersion": version}} for name in names]
    return 200, {
        "kind": "NodeList",
        "apiVersion": "v1",
        "metadata": {"resourceVersion": version},
        "items": items,
    }


def test_a_refusal_is_an_error_with_the_servers_own_words() -> None:
    """Whoever judges it needs status, reason and message apart."""
    status = {"kind": "Status", "reason": "Forbidden", "message": 'nodes is forbidden: User "x"', "code": 403}
    with (
        api(lambda *_: (403, status)) as server,
        KubeClient.from_kubeconfig_text(kubeconfig(server)) as kube,
        pytest.raises(KubeError) as caught,
    ):
        kube.get(f"{NODES}/a")
    error = caught.value
    assert (error.status, error.reason, error.message) == (403, "Forbidden", 'nodes is forbidden: User "x"')
    assert f"GET {NODES}/a answered 403 Forbidden" in str(error)


def test_an_answer_that_is_no_status_object_is_an_error_all_the_same() -> None:
    """A proxy in between speaks HTML."""
    with (
        api(lambda *_: (502, "<html>Bad Gateway")) as server,
        KubeClient.from_kubeconfig_text(kubeconfig(server)) as kube,
    ):
        with pytest.raises(KubeError, match="Bad Gateway") as caught:
            kube.list(NODES)
        assert kube.raw(NODES).text.strip() == "<html>Bad Gateway"
    assert caught.value.status == 502


def test_nobody_there_is_unreachable_and_no_status() -> None:
    """A connection refused is another finding than a 403."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        server = f"http://127.0.0.1:{unused.getsockname()[1]}"
        with (
            KubeClient.from_kubeconfig_text(kubeconfig(server)) as kube,
            pytest.raises(KubeUnreachable, match="Connection refused"),
        ):
            kube.get("/version")


def test_a_server_that_never_answers_is_given_up_in_time() -> None:
    """A dropped packet looks like this: the time given counts, not the one that requests have by default."""
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        server = f"http://127.0.0.1:{deaf.getsockname()[1]}"
        began = time.monotonic()
        with (
            KubeClient.from_kubeconfig_text(kubeconfig(server)) as kube,
            pytest.raises(KubeUnreachable, match=r"[Tt]imed? ?out"),
        ):
            kube.raw("/version", timeout_seconds=0.3)
        assert time.monotonic() - began < REQUEST_TIMEOUT_SECONDS


def test_items_of_a_list_know_what_they_are() -> None:
    """The server leaves kind and apiVersion to the list; a single item in an error would be nameless."""
    with (
        api(lambda *_: listing("1", "a")) as server,
        KubeClient.from_kubeconfig_text(kubeconfig(server)) as kube,
    ):
        assert [(item["kind"], item["apiVersion"]) for item in kube.list(NODES)] == [("Node", "v1")]


def test_a_forgotten_resource_version_makes_a_watch_list_anew() -> None:
    """410 comes as an event in the stream; what is there then is sent as changed."""
    gone = {"type": "ERROR", "object": {"kind": "Status", "code": 410, "reason": "Expired"}}
    deleted = {"type": "DELETED", "object": {"metadata": {"name": "b", "resourceVersion": "9"}}}
    answers = iter([listing("1", "a"), (200, [gone]), listing("8", "a", "b"), (200, [deleted])])
    seen = []
    with api(lambda *_: next(answers)) as server, KubeClient.from_kubeconfig_text(kubeconfig(server)) as kube:
        for event in kube.watch(NODES, timeout_seconds=10):
            seen.append((event.type, event.object["metadata"]["name"]))
            if event.type == "DELETED":
                break
    assert seen == [("ADDED", "a"), ("MODIFIED", "a"), ("MODIFIED", "b"), ("DELETED", "b")]


def test_a_wait_that_fails_names_what_it_waited_for_and_what_there_was() -> None:
    """The line in the report must say both."""

    def answer(method: str, path: str, query: dict[str, str]) -> Answer:
        return (200, []) if "watch" in query else listing("1", "a")

    with (
        api(answer) as server,
        KubeClient.from_kubeconfig_text(kubeconfig(server)) as kube,
        pytest.raises(DeadlineExceeded) as caught,
    ):
        kube.wait_for_list(NODES, lambda nodes: len(nodes) == 2, deadline_seconds=0.3, what="two nodes")
    assert "waited 0.3 s for two nodes" in str(caught.value)
    assert "Node a (no status)" in str(caught.value)


def test_a_wait_outlives_a_server_that_is_away_for_a_moment() -> None:
    """An API server that restarts is no failure while the deadline lasts."""
    answers = iter([(503, "starting"), (503, "starting"), listing("1", "a")])
    with api(lambda *_: next(answers)) as server, KubeClient.from_kubeconfig_text(kubeconfig(server)) as kube:
        assert kube.wait_for_list(NODES, lambda nodes: nodes, deadline_seconds=30, what="a node")


def test_a_wait_does_not_wait_for_a_right_that_is_missing() -> None:
    """403 will not get better."""
    asked = []

    def refuse(*request: Any) -> Answer:
        asked.append(request)
        return (403, {"reason": "Forbidden"})

    with (
        api(refuse) as server,
        KubeClient.from_kubeconfig_text(kubeconfig(server)) as kube,
        pytest.raises(KubeError),
    ):
        kube.wait_for(f"{NODES}/a", lambda node: node, deadline_seconds=30, what="node a")
    assert len(asked) == 1


def test_a_review_without_a_user_asks_about_oneself() -> None:
    """The rights that a plan needs are asked for with the credential that will use them."""
    asked = []

    def answer(method: str, path: str, query: dict[str, str]) -> Answer:
        asked.append((method, path))
        return 201, {"status": {"allowed": True, "reason": "RBAC"}}

    with api(answer) as server, KubeClient.from_kubeconfig_text(kubeconfig(server)) as kube:
        assert kube.access_review(AccessRequest("get", "nodes")).allowed
        kube.access_review(AccessRequest("get", "nodes"), user="system:vnode:a", groups=["system:vnodes"])
    base = "/apis/authorization.k8s.io/v1"
    assert asked == [("POST", f"{base}/selfsubjectaccessreviews"), ("POST", f"{base}/subjectaccessreviews")]


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        (AccessRequest("patch", "pods", subresource="status"), "patch pods/status"),
        (
            AccessRequest("get", "leases", group="coordination.k8s.io", namespace="ns"),
            "get leases.coordination.k8s.io in ns",
        ),
        (AccessRequest("get", path="/version"), "get /version"),
    ],
)
def test_a_question_reads_as_a_person_would_put_it(request_: AccessRequest, words: str) -> None:
    """It stands in the report's expected and actual."""
    assert str(request_) == words


def test_proxies_of_the_environment_do_not_apply_to_a_cluster_of_ours(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A corporate proxy cannot reach a bridge of this machine."""
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    with (
        api(lambda *_: (200, {"gitVersion": "v1"})) as server,
        KubeClient.from_kubeconfig_text(kubeconfig(server)) as kube,
    ):
        assert kube.server_version() == {"gitVersion": "v1"}


def test_inline_keys_never_reach_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A killed run must leave no private key in the temporary folder."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    user = {f"client-{part}-data": base64.b64encode(b"pem").decode() for part in ("certificate", "key")}
    ca = {"certificate-authority-data": base64.b64encode(b"ca").decode()}
    with KubeClient.from_kubeconfig_text(kubeconfig("https://127.0.0.1:1", user, **ca)) as kube:
        settings = kube._api.configuration
        assert Path(settings.key_file).read_bytes() == b"pem"
        assert Path(settings.ssl_ca_cert).read_bytes() == b"ca"
        assert list(tmp_path.iterdir()) == []


def test_a_file_may_name_others_beside_itself_and_run_a_plugin(tmp_path: Path) -> None:
    """Paths and commands in a kubeconfig are relative to it, not to where we stand."""
    plugin = tmp_path / "plugin.sh"
    credential = {
        "apiVersion": "client.authentication.k8s.io/v1",
        "kind": "ExecCredential",
        "status": {"token": "from-plugin"},
    }
    plugin.write_text(f"#!/bin/sh\necho '{json.dumps(credential)}'\n", encoding="utf-8")
    plugin.chmod(0o755)
    exec_ = {
        "apiVersion": "client.authentication.k8s.io/v1",
        "command": "./plugin.sh",
        "interactiveMode": "Never",
    }
    seen = []

    class Recorder(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            seen.append(self.headers["Authorization"])
            self.send_response(200)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *_: object) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Recorder)
    threading.Thread(target=server.handle_request, daemon=True).start()
    file = tmp_path / "config"
    file.write_text(
        kubeconfig(f"http://127.0.0.1:{server.server_address[1]}", {"exec": exec_}), encoding="utf-8"
    )
    with KubeClient.from_kubeconfig_file(file, "only") as kube:
        kube.get("/version")
    server.server_close()
    assert seen == ["Bearer from-plugin"]


def test_several_files_are_merged_and_the_first_wins(tmp_path: Path) -> None:
    """As kubectl does with KUBECONFIG."""
    for name, port in (("one", 1), ("two", 2)):
        (tmp_path / name).write_text(kubeconfig(f"http://127.0.0.1:{port}"), encoding="utf-8")
    with KubeClient.from_kubeconfig_file(f"{tmp_path / 'one'}:{tmp_path / 'two'}") as kube:
        assert kube.server == "http://127.0.0.1:1"


def test_an_unknown_context_is_refused_with_those_there_are() -> None:
    """A usage error names what is allowed."""
    with pytest.raises(UsageError, match="no context 'prod'; wanted: one of: only"):
        KubeClient.from_kubeconfig_text(kubeconfig("http://127.0.0.1:1"), "prod")


@pytest.mark.parametrize("text", ["token: [s3cret", "- s3cret", "s3cret"])
def test_what_is_no_kubeconfig_is_refused_without_quoting_it(text: str) -> None:
    """A broken kubeconfig still holds its secrets."""
    with pytest.raises(UsageError, match="kubeconfig is not") as caught:
        KubeClient.from_kubeconfig_text(text)
    assert "s3cret" not in str(caught.value)


def test_a_variable_that_goes_while_settings_are_made_is_no_failure() -> None:
    """pytest takes its own away between two tests, while clients are made in other threads."""
    tries = iter((KeyError("PYTEST_CURRENT_TEST"), "settings"))

    def make() -> str:
        met = next(tries)
        if isinstance(met, KeyError):
            raise met
        return met

    assert kube._configuration(make) == "settings"
