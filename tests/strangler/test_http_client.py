"""Asking another home: safe requests are asked again, others never, and never for long."""

from __future__ import annotations

import httpx
import pytest

from strangler.chassis import freshness, http_client
from strangler.chassis.http_client import Retries, get_json, send_json


class Scripted(httpx.BaseTransport):
    """Answers with these statuses in turn; None is a connection that breaks."""

    def __init__(self, *script: int | None) -> None:
        self.script, self.asked = list(script), 0

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self.asked += 1
        status = self.script.pop(0)
        if status is None:
            raise httpx.ReadError("gone", request=request)
        return httpx.Response(status)


def ask(inner: Scripted, method: str = "GET") -> int:
    with httpx.Client(transport=Retries(inner)) as client:
        return client.request(method, "http://rugs/").status_code


@pytest.mark.parametrize("script", [(503, 200), (None, 200), (502, 504, 200), (None, None, 200)])
def test_a_read_is_asked_again(script: tuple[int | None, ...]) -> None:
    inner = Scripted(*script)
    assert ask(inner) == 200
    assert inner.asked == len(script)


def test_the_third_failure_is_the_last_word() -> None:
    assert ask(Scripted(503, 503, 503)) == 503
    with pytest.raises(httpx.ReadError):
        ask(Scripted(None, None, None))


@pytest.mark.parametrize("status", [400, 404, 429, 500])
def test_an_answer_that_asking_again_does_not_change_is_taken(status: int) -> None:
    assert ask(Scripted(status)) == status


def test_a_write_is_asked_once() -> None:
    inner = Scripted(503)
    assert ask(inner, "POST") == 503
    with pytest.raises(httpx.ReadError):
        ask(Scripted(None), "POST")


def test_what_was_written_is_handed_on_both_ways(monkeypatch: pytest.MonkeyPatch) -> None:
    """Which positions those are, and whether a home has signed them, is not for the client to know."""
    noted: list[str | None] = []
    monkeypatch.setattr(freshness, "carried", lambda: noted[-1] if noted else "")
    monkeypatch.setattr(freshness, "note_written", noted.append)
    asked: list[tuple[str, str | None]] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append((request.method, request.headers.get("x-written")))
        return httpx.Response(200, json={}, headers={"x-written": "signed"})

    with httpx.Client(base_url="http://rugs", transport=httpx.MockTransport(answer)) as client:
        monkeypatch.setattr(http_client, "client", lambda _: client)
        get_json("http://rugs", "/7/")
        send_json("http://rugs", "PATCH", "/7/", {}, token="of anna")
        get_json("http://rugs", "/7/", token="of anna")
    assert asked == [("GET", None), ("PATCH", None), ("GET", "signed")]
    assert noted == ["signed"]


def test_a_cookie_that_one_user_gets_goes_to_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str | None] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.headers.get("cookie"))
        return httpx.Response(200, json={}, headers={"set-cookie": "sessionid=of-anna; Path=/"})

    monkeypatch.setattr(httpx, "HTTPTransport", lambda: httpx.MockTransport(answer))
    for token in ("of anna", "of ben"):
        send_json("http://rugs.example", "PATCH", "/7/", {}, token=token)
    assert asked == [None, None]
