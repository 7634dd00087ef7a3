"""What the gateway refuses, strips, adds and writes down, whatever the phase."""

from __future__ import annotations

import json
import socket
from urllib.parse import urlsplit

import pytest

from tests.strangler.envoy.edge import PRODUCTS, Edge
from tests.waiting import until


@pytest.fixture(autouse=True)
def shadow(edge: Edge) -> None:
    edge.publish("shadow")


def raw(edge: Edge, *lines: str) -> str:
    """The first line of the answer to a request that no client library would send."""
    url = urlsplit(edge.system.gateway)
    with socket.create_connection((url.hostname, url.port), timeout=10) as connection:
        connection.sendall("\r\n".join([*lines, "", ""]).encode())
        return connection.recv(65536).decode().split("\r\n")[0]


def test_nobody_else_can_listen_beside_it(edge: Edge) -> None:
    url = urlsplit(edge.system.gateway)
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        with pytest.raises(OSError, match="in use"):
            other.bind((url.hostname, url.port))


def test_what_a_client_says_of_itself_does_not_reach_a_home(edge: Edge) -> None:
    spoofed = {
        "x-strangler-home": "catalog",
        "x-strangler-user": "admin",
        "x-envoy-max-retries": "99",
        "x-envoy-upstream-rq-timeout-ms": "1",
        "x-forwarded-for": "203.0.113.7",
        "x-forwarded-host": "evil.example",
        "x-forwarded-proto": "https",
        "x-real-ip": "203.0.113.7",
        "forwarded": "for=203.0.113.7",
    }
    for path in (PRODUCTS, "/account/"):
        reply = edge.ask(path, spoofed)
        assert reply.home == "monolith"
        for name, value in spoofed.items():
            assert reply.seen.get(name) != value, name
        assert "evil" not in str(reply.seen)
        assert "203.0.113.7" not in str(reply.seen)


def test_django_sees_the_host_that_was_asked_for(edge: Edge) -> None:
    seen = edge.ask(headers={"host": "shop.example:8000"}).seen
    assert seen["host"] == seen["x-forwarded-host"] == "shop.example:8000"
    assert seen["x-forwarded-proto"] == "http"


def test_every_answer_carries_the_id_that_the_home_saw(edge: Edge) -> None:
    reply = edge.ask(headers={"x-request-id": "mine"})
    assert reply.headers["x-request-id"] == reply.seen["x-request-id"] != "mine"
    other = edge.ask()
    assert other.headers["x-request-id"] != reply.headers["x-request-id"]


@pytest.mark.parametrize("host", ["a.example, b.example", "a/b", "a b", "", "[::1"])
def test_an_odd_host_is_refused(edge: Edge, host: str) -> None:
    assert " 400 " in raw(edge, f"GET {PRODUCTS} HTTP/1.1", f"Host: {host}")


def test_two_hosts_are_refused(edge: Edge) -> None:
    assert " 400 " in raw(edge, f"GET {PRODUCTS} HTTP/1.1", "Host: a.example", "Host: b.example")
    assert " 200 " in raw(edge, f"GET {PRODUCTS} HTTP/1.1", "Host: a.example")
    assert " 200 " in raw(edge, f"GET {PRODUCTS} HTTP/1.1", "Host: [::1]:8000")


def test_a_header_with_an_underscore_is_refused(edge: Edge) -> None:
    assert edge.ask(headers={"x_forwarded_host": "evil.example"}).status == 400


def test_lengths_that_disagree_are_refused(edge: Edge) -> None:
    lines = ("Host: a", "Content-Length: 3", "Transfer-Encoding: chunked")
    assert " 400 " in raw(edge, "POST / HTTP/1.1", *lines)


@pytest.mark.parametrize(
    "path", ["/api//catalog/products/", "/x/../api/catalog/products/", "/./api/catalog/products/"]
)
def test_a_path_means_the_same_here_and_there(edge: Edge, path: str) -> None:
    reply = edge.ask(path)
    assert json.loads(reply.body)["target"] == PRODUCTS
    assert reply.headers["x-strangler-capability"] == "catalog.read"


@pytest.mark.parametrize("path", ["/api%2Fcatalog/products/", "/api/catalog%5Cproducts/"])
def test_an_escaped_slash_is_refused(edge: Edge, path: str) -> None:
    assert edge.ask(path).status == 400


def test_each_request_is_written_down_without_its_query(edge: Edge) -> None:
    reply = edge.ask(PRODUCTS + "?q=secret")
    log = edge.system.state / "logs" / "gateway-access.log"
    number = reply.headers["x-request-id"]
    until(lambda: number in log.read_text())
    text = log.read_text()
    line = next(one for one in map(json.loads, text.splitlines()) if one["request"] == number)
    assert (line["home"], line["capability"], line["status"]) == ("monolith", "catalog.read", 200)
    assert line["path"] == PRODUCTS
    assert line["route"].startswith("catalog.read, everybody")
    assert line["flags"] == "-"
    assert line["attempts"] == 1
    assert line["ms"] >= 0
    assert "secret" not in text
