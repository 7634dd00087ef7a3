"""When two requests are the same question, so that asking it a thousand times isn't a thousand samples."""

from __future__ import annotations

import hashlib
from urllib.parse import parse_qsl

from strangler.compare.observation import Request


def fingerprint(route: str, request: Request) -> str:
    """Sixteen hexadecimal digits of route, method, kind of caller, path parameters and query.

    The order of the query's parameters doesn't count, the order of one parameter's values does. Who of a kind
    asks doesn't count either: a hundred buyers who read one product are one shape.
    """
    path, _, query = request.target.partition("?")
    pairs = sorted(parse_qsl(query, keep_blank_values=True), key=lambda pair: pair[0])
    parts = (route, request.method, request.caller.kind, path, *(f"{name}={value}" for name, value in pairs))
    return hashlib.blake2b("\0".join(parts).encode(), digest_size=8).hexdigest()
