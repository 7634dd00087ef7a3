"""An answer in one piece.

A WSGI server sends an answer's head, and then what the application's iterable yields. A home that is killed
in between leaves its gateway with a head that has been passed on, and with nothing that another home could
finish. Given a list of one body, granian writes both in one system call, and a killed home has answered whole
or not at all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

Application = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


def in_one_piece(application: Application) -> Application:
    """Django's WSGI application, which closes an answer before it is sent; a streamed one goes as it is."""

    def whole(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        answer: Iterable[bytes] = application(environ, start_response)
        if getattr(answer, "streaming", True):
            return answer
        try:
            return [b"".join(answer)]
        finally:
            answer.close()  # type: ignore[attr-defined]

    return whole
