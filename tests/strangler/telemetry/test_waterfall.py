"""Spans become a tree on an axis of time, with what the end waited for."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from strangler.cli import strangler
from strangler.errors import StranglerError, UsageError
from strangler.telemetry import page, waterfall
from strangler.telemetry.spans import Happening, Span, read
from strangler.telemetry.store import Store
from tests.strangler.telemetry.world import TOML

TRACE = "7" * 32
MS = 1_000_000
GOLDEN = Path(__file__).parent / "golden"


def span(id: str, parent: str, process: str, name: str, start: int, end: int, **more: object) -> Span:
    kind = str(more.pop("kind", "internal"))
    begin = 1_795_660_000_000 * MS
    failed = bool(more.pop("failed", False))
    events = more.pop("events", ())
    return Span(
        TRACE, id, parent, process, name, kind, begin + start * MS, begin + end * MS, failed, more, events
    )  # type: ignore[arg-type]


ORDER = [
    span("a", "", "gateway", "ingress", 0, 60, **{"http.method": "POST", "http.status_code": "201"}),
    span("b", "a", "gateway", "router monolith egress", 1, 59, **{"http.status_code": "201"}),
    span("c", "b", "monolith", "POST /orders/", 2, 58, **{"http.response.status_code": 201}),
    span("d", "c", "monolith", "SELECT catalog_product", 5, 10),
    span("e", "c", "monolith", "INSERT ordering_order", 12, 40),
    span("f", "c", "relay", "publish order_placed", 62, 66),
    span(
        "g", "c", "consumer", "handle ordering.order_placed", 70, 100, failed=True, **{"error.type": "Late"}
    ),
    span("h", "g", "consumer", "SELECT reporting_sales", 75, 80),
]


def place(shown: waterfall.Waterfall) -> dict[str, waterfall.Row]:
    return {row.span.id: row for row in shown.rows}


def test_each_span_stands_below_its_parent_in_the_order_of_time() -> None:
    shown = waterfall.build(list(reversed(ORDER)))

    assert [(row.span.id, row.depth) for row in shown.rows] == [
        ("a", 0), ("b", 1), ("c", 2), ("d", 3), ("e", 3), ("f", 3), ("g", 3), ("h", 4),
    ]  # fmt: skip
    assert shown.duration == 100
    assert place(shown)["g"].offset == 70
    assert shown.processes == ["gateway", "monolith", "relay", "consumer"]


def test_what_the_end_waited_for_is_critical() -> None:
    critical = {row.span.id for row in waterfall.build(ORDER).rows if row.critical}
    assert critical == set("abcdefgh")

    beside = [*ORDER, span("i", "c", "monolith", "SELECT beside", 13, 20)]
    assert not place(waterfall.build(beside))["i"].critical


def test_a_span_whose_parent_is_missing_is_shown_and_says_so() -> None:
    rows = place(waterfall.build(ORDER[3:]))
    assert rows["d"].depth == 0
    assert rows["d"].orphan
    assert not rows["h"].orphan


def test_spans_whose_parents_lead_in_a_circle_are_shown_below_the_first_of_them() -> None:
    circle = [
        span("j", "l", "sender", "second", 12, 20),
        span("k", "j", "sender", "third", 14, 16),
        span("l", "k", "sender", "first", 11, 30),
        span("m", "k", "sender", "beside", 10, 11),
        span("n", "n", "sender", "its own parent", 40, 41),
    ]
    shown = waterfall.build([*ORDER, *circle])
    depths = {row.span.id: row.depth for row in shown.rows}
    assert [depths[one] for one in "ljkmn"] == [0, 1, 2, 3, 0]
    assert len(shown.rows) == len(ORDER) + len(circle)


def test_a_long_chain_is_followed_to_its_end() -> None:
    chain = [span(str(n), str(n - 1), "relay", "handle", n, n + 5) for n in range(3000)]
    assert waterfall.build(chain).rows[-1].depth == 2999


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "strangler.toml").write_text(TOML)
    (tmp_path / ".strangler").mkdir()
    store = Store(tmp_path, writes=True)
    store.add(ORDER, keep=100)
    store.close()
    return tmp_path


def run(root: Path, *words: str) -> Result:
    return CliRunner().invoke(strangler, ["--root", str(root), "trace", *words])


def test_the_terminal_shows_tree_bars_and_what_came_of_it(root: Path) -> None:
    assert run(root, TRACE).output == (GOLDEN / "order.txt").read_text()


def test_without_an_id_the_latest_and_the_slowest_are_listed(root: Path) -> None:
    store = Store(root, writes=True)
    later = Span(
        "8" * 32, "x", "", "monolith", "GET /shop/", "server", ORDER[-1].end, ORDER[-1].end + MS, False
    )
    store.add([later], keep=100)
    store.close()

    latest = json.loads(run(root, "--json").output)
    slowest = json.loads(run(root, "--slowest", "--json", "-n", "1").output)

    assert [(one["name"], one["spans"], one["failed"]) for one in latest] == [
        ("GET /shop/", 1, 0),
        ("POST /orders/", 8, 1),
    ]
    assert [one["trace"] for one in slowest] == [TRACE]
    assert "GET /shop/" in run(root).output


EXCHANGED = [
    span("a", "", "gateway", "ingress", 0, 60, **{"http.method": "GET", "http.status_code": "200"}),
    span("b", "a", "gateway", "async monolith egress", 1, 9),
    span("c", "b", "monolith", "GET /api/identity/token/", 2, 8),
    span("d", "a", "gateway", "router catalog egress", 10, 59),
    span("e", "d", "catalog", "GET /api/catalog/products/", 11, 58),
    span("f", "e", "catalog", "GET /api/promotions/offers/", 12, 20),
]
TOKENS = "/api/identity/token/"
PRODUCTS = "GET /api/catalog/products/"


def test_a_trace_is_named_for_what_its_client_asked_and_not_for_the_exchange(root: Path) -> None:
    exchanging = f'[gateway]\nsession_cookie = "sessionid"\nexchange = "{TOKENS}"\n'
    (root / "strangler.toml").write_text(TOML.replace("[gateway]\n", exchanging))
    store = Store(root, writes=True)
    store.add([replace(one, trace="8" * 32) for one in EXCHANGED], keep=100)
    arriving = [replace(one, trace="9" * 32) for one in EXCHANGED if one.id in "ce"]
    store.add(arriving, keep=100)
    store.close()
    names = {one["trace"][0]: one["name"] for one in json.loads(run(root, "--json").output)}
    assert names == {"7": "POST /orders/", "8": PRODUCTS, "9": PRODUCTS}


def test_a_trace_is_named_for_the_attempt_that_answered() -> None:
    again = [
        span("g", "a", "gateway", "router monolith egress", 60, 70),
        span("h", "g", "monolith", "GET /api/catalog/<path:any>", 61, 69),
    ]
    assert waterfall.asked([*EXCHANGED, *again]) == "GET /api/catalog/<path:any>"


@pytest.mark.parametrize(
    ("arrived", "name"),
    [
        ("c", "GET /api/identity/token/"),  # somebody asked, and nothing else is known
        ("ce", PRODUCTS),
        ("bce", PRODUCTS),
        ("abc", "GET"),
        ("a", "GET"),
        ("d", "ask catalog"),
        ("ef", PRODUCTS),
    ],
)
def test_a_trace_whose_spans_are_still_arriving_has_the_best_name_there_is(arrived: str, name: str) -> None:
    assert waterfall.asked([one for one in EXCHANGED if one.id in arrived], TOKENS) == name


def test_a_home_that_asks_the_gateway_is_not_the_client() -> None:
    inner = [
        span("a", "e", "gateway", "ingress", 20, 30, **{"http.method": "POST"}),
        span("b", "a", "gateway", "router monolith egress", 21, 29),
        span("c", "b", "monolith", "POST /api/ordering/orders/", 22, 28),
    ]
    assert waterfall.asked([span("e", "", "catalog", PRODUCTS, 11, 58), *inner]) == PRODUCTS


def test_the_page_stands_alone_and_shows_what_is_in_a_span(root: Path, tmp_path: Path) -> None:
    target = tmp_path / "trace.html"
    assert run(root, TRACE, "--html", str(target)).exit_code == 0

    html = target.read_text()
    assert html.count("<details") == len(ORDER)
    assert "handle ordering.order_placed" in html
    assert "http" not in html.replace("http.", "")  # nothing is fetched


def test_a_page_that_cannot_be_written_is_a_request_that_is_wrong(root: Path, tmp_path: Path) -> None:
    refused = run(root, TRACE, "--html", str(tmp_path / "nowhere" / "trace.html")).exception
    assert isinstance(refused, UsageError)
    assert "can't be written" in str(refused)
    assert "No such file or directory" in str(refused)


def test_what_is_in_a_span_is_text_on_the_page() -> None:
    event = Happening("<b>event</b>", ORDER[0].start)
    html = page.render(
        waterfall.build([span("a", "", "<i>", "<script>alert(1)</script>", 0, 1, events=(event,))])
    )
    assert "<script>" not in html
    assert "<b>event" not in html


def test_an_unknown_id_says_what_to_do(root: Path, tmp_path: Path) -> None:
    result = run(root, "nonsense")
    assert isinstance(result.exception, StranglerError)
    assert result.exception.exit_code == 1
    assert "Nothing is kept of 'nonsense'." in str(result.exception)
    assert "`strangler trace` lists what is there" in str(result.exception)

    (root / ".strangler" / "traces.sqlite3").unlink()
    assert "`strangler run` starts everything" in str(run(root, "nonsense").exception)
    assert not (root / ".strangler" / "traces.sqlite3").exists()


def test_no_more_is_kept_than_was_asked_for(tmp_path: Path) -> None:
    (tmp_path / ".strangler").mkdir()
    store = Store(tmp_path, writes=True)
    for n in range(10):
        named = {"messaging.message.id": f"event-{n}"}
        store.add([Span(f"{n:032x}", f"{n}", "", "p", "n", "server", n, n + 1, False, named)], keep=4)

    assert [one.trace[-1] for one in store.latest(slowest=False, limit=20)] == ["9", "8", "7", "6"]
    assert store.trace("event-9")
    assert not store.trace("event-5")
    store.close()


def test_spans_that_come_twice_are_kept_once_with_all_that_came_along(root: Path) -> None:
    store = Store(root, writes=True)
    store.add([*ORDER, *ORDER, span("i", "c", "monolith", "SELECT beside", 13, 20)], keep=100)
    (listed,) = store.latest(slowest=False, limit=20)
    assert (listed.spans, listed.failed) == (9, 1)
    assert len(store.trace(TRACE)) == 9
    store.close()


def test_an_id_leads_to_its_trace_as_long_as_any_span_that_has_it(root: Path) -> None:
    store = Store(root, writes=True)
    named = {"messaging.message.id": "event-1"}
    store.add([span("x", "", "relay", "publish", 1, 2, **named)], keep=100)
    store.add(
        [span("y", "", "consumer", "handle", 3, 4, **named), span("z", "y", "c", "SELECT", 3, 4)], keep=2
    )
    assert [one.id for one in store.trace("event-1")] == ["y", "z"]
    store.close()


def test_a_span_of_a_mad_clock_takes_no_other_with_it(root: Path) -> None:
    export = ExportTraceServiceRequest()
    scope = export.resource_spans.add().scope_spans.add()
    for id, start in ((b"1", 2**64 - 1), (b"2", 5)):
        scope.spans.add(trace_id=b"8", span_id=id, start_time_unix_nano=start, end_time_unix_nano=6)
    store = Store(root, writes=True)
    store.add(read(export), keep=100)
    assert [one.id for one in store.trace("38")] == ["32"]
    store.close()
