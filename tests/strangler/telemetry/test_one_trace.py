"""One request, one trace: from the gateway through Django, outbox and broker to the handler."""

from __future__ import annotations

import json
import re
from dataclasses import asdict

import pytest
from click.testing import CliRunner

from strangler.cli import strangler
from tests.strangler.telemetry.world import World
from tests.waiting import until

ASKED = "shop: POST /rugs/<str:rug>/<int:n>/"
HANDLED = "consumer: handle rugs.price_changed"
WRITTEN = "consumer: INSERT rugs_seen"
PUBLISHED = "relay: publish rugs.price_changed"
GATEWAY = ("gateway: ingress", "gateway: router shop egress")


def test_a_trace_leads_from_the_gateway_to_the_handler_and_below(world: World) -> None:
    reply = world.ask("/rugs/GARISH-RUG/1/")
    relayed = "relay" in world.running
    found = world.spans(reply.trace, *GATEWAY, ASKED, HANDLED, WRITTEN, *([PUBLISHED] if relayed else []))

    came, asked = (found[name] for name in GATEWAY)
    request, handled = found[ASKED], found[HANDLED]
    assert {one.trace for one in found.values()} == {reply.trace}
    assert came.parent == ""
    assert asked.parent == came.id
    assert request.parent == asked.id
    assert handled.parent == request.id
    assert found[WRITTEN].parent == handled.id
    assert found["shop: INSERT rugs_change"].parent == request.id
    if relayed:
        assert found[PUBLISHED].parent == request.id
        assert handled.start > found[PUBLISHED].start
    assert [one.kind for one in (came, asked, request, handled)] == ["server", "client", "server", "consumer"]
    assert not any(one.failed for one in found.values())


def test_a_trace_is_found_by_the_request_and_by_the_event(world: World) -> None:
    reply = world.ask("/rugs/GARISH-RUG/2/")
    world.spans(reply.trace, *GATEWAY, ASKED, HANDLED)

    for wanted in (reply.trace, reply.trace.upper(), reply.headers["x-request-id"], reply.event):
        result = CliRunner().invoke(strangler, ["--root", str(world.root), "trace", wanted, "--json"])
        shown = json.loads(result.output)
        assert shown["trace"] == reply.trace, wanted
        assert {"gateway", "shop", "consumer"} <= set(shown["processes"])


def test_a_client_s_trace_goes_on(world: World) -> None:
    trace, span = "5" * 31 + "a", "b" * 16
    reply = world.ask("/rugs/GARISH-RUG/3/", {"traceparent": f"00-{trace}-{span}-01", "tracestate": "shop=1"})

    assert reply.trace == trace
    found = world.spans(trace, *GATEWAY, HANDLED)
    assert found["gateway: ingress"].parent == span
    assert found[HANDLED].trace == trace


def test_a_trace_that_its_client_does_not_want_recorded_is_not(world: World) -> None:
    trace = "6" * 31 + "a"
    world.ask("/rugs/GARISH-RUG/4/", {"traceparent": f"00-{trace}-{'b' * 16}-00"})
    later = world.ask("/rugs/GARISH-RUG/5/")

    world.spans(later.trace, *GATEWAY, HANDLED)  # sent after it, and by the same ways
    assert world.spans(trace) == {}


@pytest.mark.parametrize(
    "header",
    [
        "garbage",
        f"00-{'0' * 32}-{'b' * 16}-01",
        f"00-{'a' * 32}-{'0' * 16}-01",
        f"00-{'A' * 32}-{'b' * 16}-01",
        f"00-{'a' * 32}-{'b' * 16}-01-more",
        f"ff-{'a' * 32}-{'b' * 16}-01",
        f"00-{'a' * 31}-{'b' * 17}-01",
        f"00-{'a' * 32}-{'b' * 16}-01,00-{'c' * 32}-{'b' * 16}-01",
        "",
    ],
)
def test_a_broken_trace_header_is_dropped_and_a_new_trace_begins(embedded: World, header: str) -> None:
    reply = embedded.ask("/rugs/GARISH-RUG/6/", {"traceparent": header, "tracestate": "shop=1"})

    assert reply.status == 200
    assert re.fullmatch("[0-9a-f]{32}", reply.trace)
    assert reply.trace not in header.lower()
    assert json.loads(reply.body)["traceparent"].split("-")[1] == reply.trace
    found = embedded.spans(reply.trace, *GATEWAY, ASKED, HANDLED)
    assert found["gateway: ingress"].parent == ""


def test_a_broken_trace_header_begins_a_new_trace_without_a_gateway_too(embedded: World) -> None:
    reply = embedded.ask("/rugs/GARISH-RUG/7/", {"traceparent": f"00-{'0' * 32}-{'b' * 16}-01"}, of="shop")

    found = embedded.spans(reply.event, ASKED, HANDLED)
    assert found[ASKED].parent == ""
    assert found[HANDLED].parent == found[ASKED].id


def test_a_handler_that_fails_is_seen_failing(embedded: World) -> None:
    reply = embedded.ask("/rugs/POISONED-RUG/1/?mood=poison")

    handled = embedded.spans(reply.trace, HANDLED)[HANDLED]
    assert handled.failed
    assert handled.attributes["error.type"] == "ValueError"


def test_a_span_tells_nothing_of_people(embedded: World) -> None:
    told = {
        "authorization": "Bearer sesame", "cookie": "sessionid=crumble", "user-agent": "gossip/1",
        "x-forwarded-for": "203.0.113.7",
    }  # fmt: skip
    reply = embedded.ask("/seen/whispered/?q=murmured", told, method="GET")
    failed = embedded.ask("/broken/?q=murmured", told, method="GET")

    found = embedded.spans(reply.trace, *GATEWAY, "shop: GET /seen/<str:secret>/", "shop: SELECT rugs_seen")
    found |= embedded.spans(failed.trace, *GATEWAY, "shop: GET /broken/")
    said = json.dumps([asdict(one) for one in found.values()])
    for secret in ("whispered", "murmured", "sesame", "crumble", "gossip", "203.0", "garish-literal", "ann@"):
        assert secret not in said
    assert found["shop: GET /broken/"].failed
    assert found["shop: GET /broken/"].attributes["error.type"] == "LookupError"
    with (embedded.root / ".strangler" / "traces.sqlite3").open("rb") as kept:
        assert b"whispered" not in kept.read()


def test_log_lines_of_every_process_carry_the_trace_and_the_request(world: World) -> None:
    reply = world.ask("/rugs/MOULDY-RUG/2/?mood=poison")
    world.spans(reply.trace, *GATEWAY, ASKED, HANDLED)
    until(lambda: reply.trace in world.log("gateway-access"))  # which is written once a second

    result = CliRunner().invoke(
        strangler, ["--root", str(world.root), "logs", "--trace", reply.event, "--json"]
    )
    lines = [json.loads(line) for line in result.output.splitlines()]
    of = {line["process"]: line for line in lines}
    assert {"gateway-access", "shop", "consumer"} <= of.keys()
    assert {line["trace"] for line in lines} == {reply.trace}
    assert of["shop"]["event"] == "the price of MOULDY-RUG is 2"
    assert of["shop"]["request"] == of["gateway-access"]["request"] == reply.headers["x-request-id"]
    assert "parks" in of["consumer"]["event"]
