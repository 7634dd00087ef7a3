"""A home to stand behind Envoy: `upstream.py PORT NAME` answers each request with what it was asked, as JSON.

/slow/SECONDS waits first; a service answers with the status that the header x-status asks for.
A service answers that it is behind where x-written is "ahead".
/_own?yes and /_own?no say whether it owns the rows: then writes of a capability are taken, else refused by a
fence. /_taken lists the x-number of each that was taken.
/api/identity/token/ gives a session "s-USER" the header "Bearer token-of-USER", a session "nobody-…"
nothing, and refuses every other with 401. /_asked is the number of requests for each path so far.
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
from collections import Counter

asked: Counter[str] = Counter()
taken: list[str] = []
owns = True


def answer(
    name: str, method: str, target: str, headers: list[tuple[str, str]]
) -> tuple[int, list[str], dict]:
    path = target.partition("?")[0]
    global owns
    asked[path] += 1
    if path == "/_own":
        owns = target.endswith("?yes")
        return 200, [], {}
    if path == "/_taken":
        return 200, [], {"taken": taken}
    told = {"home": name, "version": "1a", "method": method, "target": target, "headers": headers}
    if path == "/_asked":
        return 200, [], dict(asked)
    if capability := dict(headers).get("x-strangler-capability"):
        if not owns:
            return 503, ["x-strangler-fenced: 1", "retry-after: 1"], told
        taken.append(dict(headers).get("x-number", capability))
        return 201, [], told
    if name != "monolith" and (status := dict(headers).get("x-status")):
        return int(status), [], told
    if name != "monolith" and dict(headers).get("x-written") == "ahead":
        return 421, ["x-strangler-behind: 1", "retry-after: 1"], told
    if path == "/api/identity/token/":
        cookies = dict(headers).get("cookie", "")
        session = re.search(r"sessionid=([^;]+)", cookies)
        kind, _, user = session[1].partition("-") if session else ("", "", "")
        if kind == "s":
            return 200, [f"authorization: Bearer token-of-{user}"], told
        return (200, [], told) if kind == "nobody" else (401, [], told)
    return 200, [], told


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, name: str) -> None:
    try:
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
            method, target, _ = head[0].split(" ")
            pairs = [line.partition(":") for line in head[1:] if line]
            headers = [(key.lower(), value.strip()) for key, _, value in pairs]
            if length := int(dict(headers).get("content-length", 0)):
                await reader.readexactly(length)
            if found := re.match(r"/slow/([\d.]+)", target):
                await asyncio.sleep(float(found[1]))
            status, extra, body = answer(name, method, target, headers)
            content = json.dumps(body).encode()
            lines = [
                f"HTTP/1.1 {status} X",
                f"content-length: {len(content)}",
                "content-type: application/json",
            ]
            writer.write(
                "\r\n".join([*lines, *extra, "", ""]).encode() + (b"" if method == "HEAD" else content)
            )
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    finally:
        writer.close()


async def main(port: int, name: str) -> None:
    server = await asyncio.start_server(lambda r, w: serve(r, w, name), "127.0.0.1", port)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), sys.argv[2]))
