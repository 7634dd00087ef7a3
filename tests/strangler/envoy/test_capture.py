"""A sample of a capability's requests lies in the capture directory, whole."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.strangler.envoy.edge import PRODUCTS, Edge


@pytest.fixture(scope="module")
def all_captured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Edge]:
    running = Edge(tmp_path_factory.mktemp("edge"), sample=1)
    yield running
    running.close()


@pytest.fixture(autouse=True)
def swept(request: pytest.FixtureRequest) -> None:
    for name in ("all_captured", "edge"):
        if name in request.fixturenames:
            running: Edge = request.getfixturevalue(name)
            for file in running.system.capture_directory.glob("*"):
                file.unlink()


def headers(message: dict[str, Any]) -> dict[str, str]:
    return {one["key"]: one.get("value", "") for one in message["headers"]}


@pytest.mark.parametrize(
    ("phase", "home"),
    [("monolith", "monolith"), ("shadow", "monolith"), ("canary=99", "catalog"), ("switched", "catalog")],
)
def test_request_answer_and_home_are_captured_in_every_phase(
    all_captured: Edge, phase: str, home: str
) -> None:
    all_captured.publish(phase)
    extra = {"x-strangler-use": "service"} if phase == "canary=99" else {}
    reply = all_captured.ask(PRODUCTS + "?page=2", {"cookie": "sessionid=s-anna", **extra})
    [trace] = all_captured.captured()
    asked, answered = headers(trace["request"]), headers(trace["response"])
    assert (asked[":method"], asked[":path"]) == ("GET", PRODUCTS + "?page=2")
    who = (asked.get("cookie"), asked.get("authorization"))  # as the home was shown it
    expected = {"monolith": ("sessionid=s-anna", None), "catalog": (None, "Bearer token-of-anna")}
    assert who == expected[home]
    assert asked["x-request-id"] == reply.headers["x-request-id"]
    assert (answered[":status"], answered["x-strangler-home"]) == ("200", home)
    body = base64.b64decode(trace["response"]["body"]["as_bytes"])
    assert (body, trace["response"]["body"]["truncated"]) == (reply.body, False)
    assert json.loads(body)["home"] == home
    assert trace["response"]["headers_received_time"] > trace["request"]["headers_received_time"]


def test_files_are_named_for_their_capability(all_captured: Edge) -> None:
    all_captured.publish("shadow")
    all_captured.ask()
    all_captured.captured()
    names = [file.name for file in all_captured.system.capture_directory.iterdir()]
    assert len(names) == 1
    assert names[0].startswith("catalog.read_")
    assert names[0].endswith(".json")


def test_what_no_capability_claims_is_not_captured(all_captured: Edge) -> None:
    all_captured.publish("shadow")
    for path in ("/", "/account/login/"):
        all_captured.ask(path)
    all_captured.ask(method="POST")
    assert all_captured.captured() == []


@pytest.mark.parametrize("phase", ["shadow", "canary=50", "switched"])
def test_a_quarter_is_captured_and_the_rest_is_answered_alike(edge: Edge, phase: str) -> None:
    edge.publish(phase)
    for number in range(200):
        assert edge.ask(headers={"cookie": f"sessionid=s-{number}"}).status == 200
    assert 25 <= len(edge.captured()) <= 80


def test_only_its_owner_may_look(all_captured: Edge) -> None:
    directory: Path = all_captured.system.capture_directory
    assert directory.stat().st_mode & 0o077 == 0
