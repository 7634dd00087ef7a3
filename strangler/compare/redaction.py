"""What is taken out before anything is written down: credentials, and the fields that name a person."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import parse_qsl, urlencode

import orjson

from strangler.compare.observation import Difference, Sample

REDACTED = "redacted"

_CREDENTIAL = re.compile(
    r"(?i)pass(word|wd|phrase)?$|secret|token|api[-_.]?key|^key$|^auth|authori[sz]ation|session|cookie|"
    r"signature|^sig$|^code$|^otp|^pin$|credential|jwt|bearer|csrf"
)
_PERSONAL = re.compile(
    r"(?i)e?mail|phone|mobile|iban|card|cvv|ssn|birth|street|address|first_?name|last_?name"
)
_IN_TEXT = re.compile(
    r"[\w.+-]+@[\w-]+\.[\w.]+"  # an address
    r"|eyJ[\w-]{8,}\.[\w-]+\.[\w-]*"  # a JWT
)


def target(path_and_query: str) -> str:
    """A request's target with the values of telling query parameters taken out."""
    path, mark, query = path_and_query.partition("?")
    if not mark:
        return path
    pairs = parse_qsl(query, keep_blank_values=True)
    if not any(_sensitive(name) for name, _ in pairs):
        return path_and_query  # byte for byte as the client wrote it
    return f"{path}?{urlencode([(n, REDACTED if _sensitive(n) else v) for n, v in pairs])}"


def difference(one: Difference) -> Difference:
    """A difference whose samples can be stored; where and how it differs stays as it is."""
    if not one.samples:
        return one
    name = re.findall(r"[\w-]+", one.path)[-1:] or [""]
    samples = tuple(Sample(_side(s.control, name[0]), _side(s.candidate, name[0])) for s in one.samples)
    return Difference(one.path, one.kind, samples, one.count)


def _side(text: str | None, name: str) -> str | None:
    if text is None:
        return None
    if _sensitive(name):
        return f"{REDACTED} ({len(text)} characters)"
    try:
        text = orjson.dumps(_value(orjson.loads(text))).decode()
    except orjson.JSONDecodeError:
        # A text that was cut off can't be read as JSON, so its fields are searched for by their spelling.
        text = re.sub(
            r'"([^"\\]+)":\s*("(?:[^"\\]|\\.)*"?|[^,}\]\s]+)',
            lambda field: f'"{field[1]}":"{REDACTED}"' if _sensitive(field[1]) else field[0],
            text,
        )
    return _IN_TEXT.sub(REDACTED, text)


def _value(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: REDACTED if _sensitive(key) else _value(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_value(one) for one in value]
    return value


def _sensitive(name: str) -> bool:
    return bool(_CREDENTIAL.search(name) or _PERSONAL.search(name))
