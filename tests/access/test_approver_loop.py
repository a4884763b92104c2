"""The approver at work, against an API server that misbehaves on cue."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pytest

from vnode_suite.access.approver import loop
from vnode_suite.access.approver.loop import Approver
from vnode_suite.access.approver.rules import Variant
from vnode_suite.access.objects import Naming
from vnode_suite.access.requests import Wanted, make_request, signing_request
from vnode_suite.clusters.kube import KubeError, KubeUnreachable
from vnode_suite.clusters.kube_types import WatchEvent
from vnode_suite.core.polling import poll

Json = dict[str, Any]


class Server:
    """An API server as the approver sees it; each list takes the next of what was prepared."""

    def __init__(self) -> None:
        self.served = ["v1"]
        self.lists: queue.SimpleQueue[list[Json] | Exception] = queue.SimpleQueue()
        self.events: queue.SimpleQueue[tuple[str, Json] | None] = queue.SimpleQueue()
        self.answers: list[bool | Exception] = []
        self.refused: set[str] = set()
        self.reviews: list[str] = []
        self.decided: list[tuple[str, str]] = []
        self.queries: list[Mapping[str, str]] = []
        self.refuse_decisions: list[KubeError] = []

    def get(self, path: str) -> Json:
        return {"versions": [{"version": one} for one in self.served]}

    def create(self, path: str, body: Json) -> Json:
        assert path.endswith("subjectaccessreviews")
        self.reviews.append(body["spec"]["resourceAttributes"]["subresource"])
        answer = self.answers.pop(0) if self.answers else body["spec"]["user"] not in self.refused
        if isinstance(answer, Exception):
            raise answer
        return {"status": {"allowed": answer}}

    def replace(self, path: str, body: Json) -> Json:
        if self.refuse_decisions:
            raise self.refuse_decisions.pop(0)
        self.decided.append((body["metadata"]["name"], body["status"]["conditions"][-1]["type"]))
        return body

    def list_with_version(self, path: str, query: Mapping[str, str]) -> tuple[list[Json], str]:
        self.queries.append(query)
        found = self.lists.get(timeout=10)
        if isinstance(found, Exception):
            raise found
        return found, "1"

    @contextmanager
    def open_watch(self, path: str, **asked: Any) -> Iterator[Stream]:
        stream = Stream(self.events)
        try:
            yield stream
        finally:
            stream.close()


class Stream:
    """One watch: what is put into the queue, until nothing more comes or somebody closes it."""

    def __init__(self, events: queue.SimpleQueue[tuple[str, Json] | None]) -> None:
        self._events = events

    def __iter__(self) -> Iterator[WatchEvent]:
        while (event := self._events.get(timeout=10)) is not None:
            yield WatchEvent(*event)

    def close(self) -> None:
        self._events.put(None)


class Running:
    """An approver in a thread, and what it said."""

    def __init__(self, server: Server, variant: Variant) -> None:
        self.logged: list[str] = []
        self.ready: list[tuple[str, str]] = []
        self.approver = Approver(
            server,  # type: ignore[arg-type]
            variant,
            self.logged.append,
            lambda api, problem: self.ready.append((api, problem)),
        )
        self.thread = threading.Thread(target=self.approver.run)
        self.thread.start()

    def stop(self) -> None:
        self.approver.stop()
        self.thread.join(30)
        assert not self.thread.is_alive()


Start = Callable[..., Running]


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Server:
    monkeypatch.setattr(loop, "FIRST_RETRY_SECONDS", 0.01)
    monkeypatch.setattr(loop, "FIRST_RECONNECT_SECONDS", 0.01)
    return Server()


@pytest.fixture
def start(server: Server) -> Iterator[Start]:
    running: list[Running] = []

    def run(variant: Variant = Variant.SOUND) -> Running:
        running.append(Running(server, variant))
        return running[-1]

    yield run
    for one in running:
        one.stop()
    server.events.put(None)
    server.lists.put([])


def request(name: str, **changes: Any) -> Json:
    wanted = Wanted("system:vnode:vnd-1")
    body = signing_request("v1", name, wanted, make_request(wanted).request_pem, Naming())
    body["spec"] |= {"username": "system:bootstrap:abcdef", **changes}
    return body


def until(condition: Callable[[], bool], what: str) -> None:
    poll(lambda: True if condition() else None, what=what, deadline_seconds=30, interval_seconds=0.005)


def test_what_is_there_and_what_comes_are_both_approved(server: Server, start: Start) -> None:
    """The list and then the watch, each request once."""
    server.lists.put([request("first")])
    running = start()
    server.events.put(("ADDED", request("second")))
    until(lambda: len(server.decided) == 2, "both to be approved")
    assert server.decided == [("first", "Approved"), ("second", "Approved")]
    assert running.ready == [("v1", "")]


def test_it_lists_again_when_the_watch_ends(server: Server, start: Start) -> None:
    """What came while nobody watched is seen all the same."""
    server.lists.put([])
    start()
    server.events.put(None)
    server.lists.put([request("missed")])
    until(lambda: bool(server.decided), "the missed request to be approved")


def test_it_outlives_a_server_that_is_away(server: Server, start: Start) -> None:
    """It says so once at the start, and works when the server is back."""
    server.lists.put(KubeUnreachable("https://unused", "connection refused"))
    server.lists.put(KubeError(503, "Refused", "starting"))
    server.lists.put([request("late")])
    running = start()
    until(lambda: bool(server.decided), "the late request to be approved")
    assert len(running.ready) == 1
    assert "refused" in running.ready[0][1]


def test_a_refused_review_is_asked_again(server: Server, start: Start) -> None:
    """The right may be given later: a request is left pending, never denied."""
    server.answers = [False, False, True]
    server.lists.put([request("patient")])
    running = start()
    until(lambda: bool(server.decided), "the request to be approved at last")
    assert server.reviews == ["nodeclient"] * 3
    assert sum("lacks the right" in line for line in running.logged) == 2


def test_a_deleted_request_is_not_asked_about_again(server: Server, start: Start) -> None:
    """Nobody waits for it any more."""
    server.refused = {"nobody"}
    server.lists.put([request("withdrawn", username="nobody")])
    start()
    until(lambda: len(server.reviews) >= 2, "it to be asked about")
    server.events.put(("DELETED", request("withdrawn")))
    server.events.put(("ADDED", request("other")))
    until(lambda: bool(server.decided), "the other to be approved")
    assert server.decided == [("other", "Approved")]
    count = len(server.reviews)
    assert not threading.Event().wait(0.1)
    assert len(server.reviews) == count


@pytest.mark.parametrize("status", [404, 409])
def test_a_request_that_changed_meanwhile_is_dropped(server: Server, start: Start, status: int) -> None:
    """Its newer state comes through the watch."""
    server.refuse_decisions = [KubeError(status, "Refused", "changed")]
    server.lists.put([request("raced")])
    start()
    server.events.put(("ADDED", request("next")))
    until(lambda: bool(server.decided), "the next to be approved")
    assert server.decided == [("next", "Approved")]


def test_a_server_error_is_tried_again(server: Server, start: Start) -> None:
    """A busy server is no reason to forget a request."""
    server.answers = [
        KubeError(500, "Refused", "busy"),
        KubeUnreachable("https://unused", "connection reset"),
    ]
    server.lists.put([request("kept")])
    start()
    until(lambda: bool(server.decided), "the request to be approved")


def test_the_newest_version_is_taken(server: Server, start: Start) -> None:
    """v1 with the field selector; v1beta1 without, as servers up to 1.17 refuse it."""
    server.served = ["v1beta1"]
    server.lists.put([])
    running = start()
    until(lambda: bool(running.ready), "it to be ready")
    assert (running.ready[0][0], server.queries[0]) == ("v1beta1", {})


def test_v1_is_asked_for_with_the_field_selector(server: Server, start: Start) -> None:
    """Where the server can filter, it does."""
    server.lists.put([])
    running = start()
    until(lambda: bool(running.ready), "it to be ready")
    assert server.queries == [{"fieldSelector": "spec.signerName=kubernetes.io/kube-apiserver-client"}]


@pytest.mark.parametrize(
    ("variant", "decision"),
    [(Variant.APPROVES_EVERYTHING, "Approved"), (Variant.DENIES_EVERYTHING, "Denied")],
)
def test_a_careless_approver_asks_nobody(
    server: Server, start: Start, variant: Variant, decision: str
) -> None:
    """The defects decide whatever comes, of any signer, and review nothing."""
    server.lists.put([request("any", signerName="example.com/any", usages=["server auth"])])
    start(variant)
    until(lambda: bool(server.decided), "the request to be decided")
    assert server.decided == [("any", decision)]
    assert server.reviews == []
    assert server.queries == [{}]


def test_the_published_one_asks_for_v1_whatever_is_served(server: Server, start: Start) -> None:
    """Below 1.19 that is a 404 for ever, and the process looks healthy."""
    server.served = ["v1beta1"]
    for _ in range(50):
        server.lists.put(KubeError(404, "Refused", "the server could not find the requested resource"))
    running = start(Variant.PUBLISHED_IMAGE)
    until(lambda: len(running.logged) >= 2, "it to try again")
    assert running.ready[0][0] == "v1"
    assert "could not find" in running.ready[0][1]
    assert running.thread.is_alive()
