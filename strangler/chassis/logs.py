"""Log lines as JSON, one object a line, each with the trace and the request that it belongs to.

    LOGGING = {"formatters": {"json": {"()": "strangler.chassis.logs.JSONFormatter"}}, ...}

It is the standard library's logging; whoever logs needs to know nothing of this. `extra={"order": 7}` becomes
a field of its own if its value is plain, and `extra_order` where there is a field of that name already. A
password in a URL is hidden; other secrets belong in no message.
"""

from __future__ import annotations

import json
import logging
import re
import sys
from datetime import UTC, datetime
from typing import Any

from strangler.chassis import trace

_OWN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
# What is more than that may hold what people typed: arguments, a request.
_PLAIN = (str, int, float, bool, type(None))
_PASSWORD = re.compile(r"(://[^:/@\s]*):[^@\s/]+@")


class JSONFormatter(logging.Formatter):
    """time, level, logger, event, and where there are such: trace, span, request, error, and the extras."""

    def format(self, record: logging.LogRecord) -> str:
        """One line."""
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": _hidden(record.getMessage()),
        }
        if ids := trace.ids_of_now():
            line |= {"trace": ids[0], "span": ids[1]}
        if request := trace.request_id.get():
            line["request"] = request
        if record.exc_info:
            line["error"] = _hidden(self.formatException(record.exc_info))
        line |= {
            f"extra_{name}" if name in line else name: _hidden(value) if isinstance(value, str) else value
            for name, value in vars(record).items()
            if name not in _OWN and isinstance(value, _PLAIN)
        }
        return json.dumps(line, default=str, ensure_ascii=False)


def to_stderr(level: int = logging.INFO) -> None:
    """Let a process without Django's settings log so."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JSONFormatter())
    logging.basicConfig(level=level, handlers=[handler], force=True)


def _hidden(text: str) -> str:
    return _PASSWORD.sub(r"\1:***@", text)
