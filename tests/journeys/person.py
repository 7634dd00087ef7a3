"""Somebody with a session at the gateway, whose client keeps cookies and sends back what forms ask for."""

from __future__ import annotations

import http.cookiejar
import json
import re
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Said:
    """One answer: its status, who gave it, its JSON (None where it is empty), and all its headers."""

    status: int
    home: str
    json: Any
    headers: dict[str, str]


class Person:
    """A user of the demonstration, signed in."""

    def __init__(self, gateway: str, name: str) -> None:
        self._gateway, self.jar = gateway, http.cookiejar.CookieJar()
        self._opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPCookieProcessor(self.jar)
        )
        page = self._opener.open(gateway + "/account/login/").read().decode()
        token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page)
        assert token
        form = f"username={name}&password=demo&csrfmiddlewaretoken={token[1]}"
        self._opener.open(gateway + "/account/login/", form.encode())

    def cookie(self, name: str) -> str:
        return next((one.value or "" for one in self.jar if one.name == name), "")

    def token(self) -> str:
        """The session's token, as `Bearer ...`."""
        with self._opener.open(self._gateway + "/api/identity/token/") as answer:
            return str(answer.headers["Authorization"])

    def page(self, path: str) -> str:
        """A page of the shop, as HTML."""
        with self._opener.open(self._gateway + path) as answer:
            return str(answer.read().decode())

    def fills(self, path: str, action: str, **changes: str) -> None:
        """Send the form for `action` that stands on a page, with something changed."""
        form = re.search(
            rf'<form[^>]*action="{re.escape(action)}[^"]*".*?</form>', self.page(path), re.DOTALL
        )
        assert form, f"{path} has no form for {action}"
        fields = dict(re.findall(r'<input[^>]* name="([^"]+)"[^>]* value="([^"]*)"', form[0]))
        for name, options in re.findall(r'<select name="([^"]+)"(.*?)</select>', form[0], re.DOTALL):
            fields[name] = re.findall(r'value="([^"]*)" selected', options)[0]
        assert changes.keys() <= fields.keys(), f"the form has {sorted(fields)}"
        content = urllib.parse.urlencode(fields | changes).encode()
        self._opener.open(self._gateway + action, content, timeout=30).close()

    def asks(self, method: str, path: str, body: Any = None, **headers: str) -> Said:
        """A request of the API, by the session and with its CSRF token."""
        headers = {"Content-Type": "application/json", "X-CSRFToken": self.cookie("csrftoken")} | headers
        return ask(self._opener, method, self._gateway + path, body, headers)


def with_token(gateway: str, token: str, method: str, path: str, body: Any = None) -> Said:
    """A request of a client that has a token, and keeps nothing."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    headers = {"Content-Type": "application/json", "Authorization": token}
    return ask(opener, method, gateway + path, body, headers)


def ask(
    opener: urllib.request.OpenerDirector, method: str, url: str, body: Any, headers: dict[str, str]
) -> Said:
    content = None if body is None else json.dumps(body).encode()
    try:
        answer = opener.open(urllib.request.Request(url, content, headers, method=method), timeout=30)
    except urllib.error.HTTPError as error:
        answer = error
    with answer:
        text = answer.read()
        said = {name.lower(): value for name, value in answer.headers.items()}
        return Said(answer.status, said.get("x-strangler-home", ""), json.loads(text) if text else None, said)
