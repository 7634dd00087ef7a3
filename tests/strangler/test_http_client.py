"""Asking another home: safe requests are asked again, others never, and never for long."""

from __future__ import annotations

import httpx
import pytest

from strangler.chassis.http_client import Retries


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
