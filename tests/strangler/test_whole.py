"""An answer leaves a home in one piece: a client never has its head alone."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from contextlib import closing, suppress

import pytest
from django.http import HttpResponse, StreamingHttpResponse

from strangler.chassis.whole import in_one_piece
from strangler.run.postgres import free_port

SERVED = """
import django, os
from django.conf import settings
settings.configure(SECRET_KEY="for tests alone", ROOT_URLCONF=__name__, ALLOWED_HOSTS=["*"])
from django.core.wsgi import get_wsgi_application
from django.http import HttpResponse
from django.urls import path
from strangler.chassis.whole import in_one_piece
urlpatterns = [path("", lambda request: HttpResponse(b"x" * 20_000))]
application = in_one_piece(get_wsgi_application())
"""


class Plain(HttpResponse):
    """Closed without the signal by which Django closes its databases, which no test here has."""

    def close(self):
        self.closed = True


def test_a_plain_answer_is_one_body_and_closed():
    answer = Plain([b"a", b"b"])
    assert in_one_piece(lambda *_: answer)({}, None) == [b"ab"]
    assert answer.closed


def test_a_streamed_answer_goes_as_it_is():
    answer = StreamingHttpResponse(iter([b"a", b"b"]))
    assert in_one_piece(lambda *_: answer)({}, None) is answer
    assert not answer.closed


@pytest.fixture
def port(tmp_path):
    (tmp_path / "served.py").write_text(SERVED)
    port = free_port()
    server = subprocess.Popen(
        [sys.executable, "-m", "granian", "--interface", "wsgi", "--host", "127.0.0.1", "--port", f"{port}",
         "--workers", "1", "--no-ws", "served:application"],
        cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": f"{tmp_path}:{os.getcwd()}", "DJANGO_SETTINGS_MODULE": ""},
    )  # fmt: skip
    try:
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            with suppress(OSError), closing(socket.create_connection(("127.0.0.1", port))):
                break
            time.sleep(0.05)
        yield port
    finally:
        server.terminate()
        server.wait(10)


def test_head_and_body_come_at_once(port):
    with closing(socket.create_connection(("127.0.0.1", port))) as client:
        for _ in range(30):
            client.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            head, body = client.recv(65536).split(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 200")
            assert len(body) == 20_000
