"""Ignores expire, A/A excuses only the request it was seen on, samples are redacted before they are kept."""

from __future__ import annotations

import datetime

import pytest

from strangler.compare import redaction
from strangler.compare.ignores import Ignores
from strangler.compare.judge import judge, outcome
from strangler.compare.observation import Caller, Difference, Request, Sample
from strangler.compare.shape import fingerprint
from strangler.config import Ignore

ROUTE = "GET /api/rugs/"
LAST_DAY = datetime.date(2027, 1, 31)
CLOCK = Ignore(ROUTE, "$.results[].meta", "a clock, not a fact", LAST_DAY)
PRICE, SERVED = Difference("$.price", "value"), Difference("$.results[].meta.served", "value")


def ignores(today: datetime.date = LAST_DAY, *declared: Ignore) -> Ignores:
    return Ignores(declared or (CLOCK,), today)


def test_an_ignore_covers_its_path_and_what_lies_beneath_on_its_route() -> None:
    assert ignores().covering(ROUTE, SERVED) == CLOCK
    assert ignores().covering(ROUTE, Difference("$.results[].meta", "missing")) == CLOCK
    assert ignores().covering(ROUTE, Difference("$.results[].metal", "missing")) is None
    assert ignores().covering("GET /api/rugs/<int:pk>/", SERVED) is None


def test_an_ignore_holds_through_its_last_day_and_no_longer() -> None:
    assert ignores(LAST_DAY).covering(ROUTE, SERVED)
    after = ignores(LAST_DAY + datetime.timedelta(days=1))
    assert after.covering(ROUTE, SERVED) is None
    assert after.expired == (CLOCK,)
    assert after.expired_for(ROUTE, SERVED.path) == CLOCK


def test_what_the_control_does_not_repeat_is_excused_on_that_request() -> None:
    judged = judge(ROUTE, [PRICE, SERVED], {"$.price"}, ignores())
    assert [one.verdict for one in judged] == ["excused", "ignored"]
    assert outcome(judged) == "excused"
    assert outcome(judge(ROUTE, [PRICE], set(), ignores())) == "different"
    assert outcome(judge(ROUTE, [SERVED], set(), ignores())) == "ignored"
    assert outcome(()) == "same"


def test_the_worst_verdict_is_the_request_s() -> None:
    assert outcome(judge(ROUTE, [PRICE, SERVED], set(), ignores())) == "different"


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("$.email", '"ann@shop.test"'),
        ("$.contact", '"write to ann@shop.test"'),
        ("$.seller", '{"name":"Ann","email":"hunter2","token":{"value":"hunter2"}}'),
        ("$.sellers[]", '[{"phone":"hunter2"}]'),
        ("$.seller", '{"name":"Ann","password":"hunter2…'),
        ("$.access_token", '"hunter2"'),
        ("$.text", '"Bearer eyJhbGciOiJub25lIn0.hunter2.x"'),
    ],
)
def test_samples_are_redacted(path: str, text: str) -> None:
    one = redaction.difference(Difference(path, "value", (Sample(text, None),)))
    assert one.samples[0].control is not None
    assert "ann@shop" not in one.samples[0].control
    assert "hunter2" not in one.samples[0].control
    assert "redacted" in one.samples[0].control
    assert one.samples[0].candidate is None


def test_a_price_is_no_secret() -> None:
    one = Difference("$.results[].price", "value", (Sample('"49.90"', '"50.00"'),))
    assert redaction.difference(one) == one


def test_a_shape_is_the_question_and_not_who_of_a_kind_asks() -> None:
    def shape(target: str, kind: str = "buyer", subject: str = "1") -> str:
        return fingerprint(ROUTE, Request("GET", target, "shop.test", Caller(kind, subject)))

    assert (
        shape("/api/rugs/?a=1&b=2")
        == shape("/api/rugs/?b=2&a=1")
        == shape("/api/rugs/?a=1&b=2", "buyer", "9")
    )
    distinct = {
        shape("/api/rugs/"),
        shape("/api/rugs/?a=1"),
        shape("/api/rugs/?a=2"),
        shape("/x/"),
        shape("/x/", "admin"),
    }
    assert len(distinct) == 5
    assert shape("/?a=1&a=2") != shape("/?a=2&a=1")
