"""The peer that people write first: a reverse proxy in Python. `python aiohttp_proxy.py PORT UPSTREAM`."""

from __future__ import annotations

import sys

from aiohttp import ClientSession, DummyCookieJar, TCPConnector, web

HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "te", "trailer", "upgrade", "content-length"}
UPSTREAM = web.AppKey("upstream", str)
CLIENT = web.AppKey("client", ClientSession)


async def proxy(request: web.Request) -> web.Response:
    """Pass a request on and its answer back, whole."""
    headers = {name: value for name, value in request.headers.items() if name.lower() not in HOP_BY_HOP}
    async with request.app[CLIENT].request(
        request.method,
        request.app[UPSTREAM] + request.path_qs,
        headers=headers,
        data=await request.read(),
        allow_redirects=False,
    ) as answer:
        kept = {name: value for name, value in answer.headers.items() if name.lower() not in HOP_BY_HOP}
        return web.Response(status=answer.status, headers=kept, body=await answer.read())


def application(upstream: str) -> web.Application:
    """The proxy in front of one upstream."""

    async def client(app: web.Application):
        connector = TCPConnector(limit=0)
        async with ClientSession(
            connector=connector, cookie_jar=DummyCookieJar(), auto_decompress=False
        ) as one:
            app[CLIENT] = one
            yield

    app = web.Application()
    app[UPSTREAM] = upstream
    app.cleanup_ctx.append(client)
    app.router.add_route("*", "/{tail:.*}", proxy)
    return app


if __name__ == "__main__":
    web.run_app(
        application(sys.argv[2]),
        host="127.0.0.1",
        port=int(sys.argv[1]),
        reuse_port=True,
        access_log=None,
        print=None,
    )
