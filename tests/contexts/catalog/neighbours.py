"""Who has bought what: orders where ordering is here, and an answer over HTTP where it isn't."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

from django.apps import apps

from strangler.chassis.identity import keys_of, verify

Buy = Callable[[str, Any], None]


@contextmanager
def neighbours(settings: Any, person: Callable[[str], int]) -> Iterator[Buy]:
    """Gives a function that lets somebody buy a product."""
    if "ordering" in apps.app_configs:
        yield lambda name, product: _order(person(name), product)
        return
    purchases: set[tuple[str, str]] = set()
    with _server(purchases) as url:
        settings.NEIGHBOURS_URL = url
        yield lambda name, product: purchases.add((str(person(name)), str(product.pk)))


def _order(buyer: int, product: Any) -> None:
    ordering = apps.get_app_config("ordering")
    order = ordering.get_model("Order").objects.create(
        buyer_id=buyer, number=f"P-{product.pk}-{buyer}", total=product.price, address={}
    )
    ordering.get_model("OrderLine").objects.create(
        order=order, product_id=product.pk, quantity=1, unit_price=product.price
    )


@contextmanager
def _server(purchases: set[tuple[str, str]]) -> Iterator[str]:
    class Ordering(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            caller = verify(self.headers["Authorization"].removeprefix("Bearer "), keys_of(None))
            article = self.path.removeprefix("/api/ordering/purchases/").rstrip("/")
            body = json.dumps({"article": int(article), "bought": (caller.subject, article) in purchases})
            self.send_response(200)
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Ordering)
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
