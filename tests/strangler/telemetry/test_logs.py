"""A log line is one object with ids; people read it as a line, programs as it is."""

from __future__ import annotations

import io
import json
import logging
from pathlib import Path

import pytest
from click.testing import CliRunner

from strangler.chassis import trace
from strangler.chassis.logs import JSONFormatter
from strangler.cli import strangler
from strangler.errors import StranglerError
from tests.strangler.telemetry.world import TOML


@pytest.fixture
def logger() -> tuple[logging.Logger, io.StringIO]:
    logger, stream = logging.Logger("shop.orders"), io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JSONFormatter())
    logger.addHandler(handler)
    return logger, stream


def test_a_line_is_one_object_whatever_is_in_it(logger: tuple[logging.Logger, io.StringIO]) -> None:
    token = trace.request_id.set("request-1")
    try:
        try:
            raise LookupError("no rug\nat all")
        except LookupError:
            logger[0].exception("order %d\nfailed", 7, extra={"order": 7, "who": object()})
    finally:
        trace.request_id.reset(token)

    text = logger[1].getvalue()
    line = json.loads(text)
    assert text.count("\n") == 1
    assert line.items() >= {
        "level": "error", "logger": "shop.orders", "event": "order 7\nfailed", "request": "request-1",
        "order": 7,
    }.items()  # fmt: skip
    assert "LookupError: no rug" in line["error"]
    assert "who" not in line  # not a plain value: it may hold anything


def test_a_password_in_an_address_is_hidden(logger: tuple[logging.Logger, io.StringIO]) -> None:
    logger[0].warning("lost %s", "amqp://guest:sesame@rabbit:5672//")
    assert json.loads(logger[1].getvalue())["event"] == "lost amqp://guest:***@rabbit:5672//"


def test_an_extra_hides_no_field_and_is_not_hidden_by_one(logger: tuple[logging.Logger, io.StringIO]) -> None:
    extra = {"level": "low", "event": "wedding", "time": None, "error": "none", "trace": "7" * 32}
    try:
        raise LookupError("no rug")
    except LookupError:
        logger[0].exception("sold", extra=extra | {"broker": "amqp://guest:sesame@rabbit:5672//"})
    line = json.loads(logger[1].getvalue())
    assert (line["level"], line["event"], line["time"][:2]) == ("error", "sold", "20")
    assert "LookupError" in line["error"]
    assert line.items() >= {
        "extra_level": "low", "extra_event": "wedding", "extra_time": None, "extra_error": "none",
        "trace": "7" * 32, "broker": "amqp://guest:***@rabbit:5672//",
    }.items()  # fmt: skip


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "strangler.toml").write_text(TOML)
    logs = tmp_path / ".strangler" / "logs"
    logs.mkdir(parents=True)
    of_trace = {"trace": "7" * 32, "request": "request-1"}
    first = {"time": "2026-11-26T02:00:00.100+00:00", "level": "info", "logger": "shop", "event": "placed"}
    other = {"time": "2026-11-26T02:00:00.300+00:00", "level": "info", "logger": "shop", "event": "other"}
    access = {
        "time": "2026-11-26T02:00:00.050Z", "method": "POST", "path": "/orders/", "status": 201, "ms": 12,
        "home": "shop",
    }  # fmt: skip
    handled = {
        "time": "2026-11-26T02:00:00.200+00:00",
        "level": "warning",
        "logger": "inbox",
        "event": "parked",
    }
    (logs / "shop.log").write_text(
        f"[INFO] starting\n{json.dumps(first | of_trace | {'order': 7})}\n{json.dumps(other)}\nTraceback\n"
    )
    (logs / "consumer.log").write_text(json.dumps(handled | {"trace": "7" * 32}) + "\n")
    (logs / "gateway-access.log").write_text(json.dumps(access | of_trace) + "\n")
    return tmp_path


def logs(root: Path, *words: str) -> str:
    result = CliRunner().invoke(strangler, ["--root", str(root), "logs", *words])
    assert result.exception is None or result.exit_code == 0, result.exception
    return result.output


def test_people_read_lines_and_what_is_none_is_left_as_it_is(root: Path) -> None:
    assert logs(root, "shop").splitlines() == [
        "[INFO] starting",
        "02:00:00.100 INFO    shop  placed  order=7",
        "02:00:00.300 INFO    shop  other",
        "Traceback",
    ]
    assert logs(root, "shop", "--json", "-n", "1") == "Traceback\n"
    assert logs(root, "gateway-access") == "02:00:00.050  POST /orders/ 201  12 ms from shop\n"


@pytest.mark.parametrize("wanted", ["7" * 32, "request-1"])
def test_a_trace_is_read_across_processes_in_the_order_of_time(root: Path, wanted: str) -> None:
    lines = logs(root, "--trace", wanted).splitlines()
    assert lines[0] == "gateway-access  02:00:00.050  POST /orders/ 201  12 ms from shop"
    assert "placed" in lines[1]
    assert not any("other" in line for line in lines)
    assert [line.split()[0] for line in lines[:2]] == ["gateway-access", "shop"]
    if wanted == "7" * 32:
        assert lines[2].startswith("consumer")


def test_an_id_of_which_nobody_wrote_has_failed(root: Path) -> None:
    refused = CliRunner().invoke(strangler, ["--root", str(root), "logs", "--trace", "nothing"]).exception
    assert isinstance(refused, StranglerError)
    assert refused.exit_code == 1
    assert "Nobody wrote anything about 'nothing'. `strangler trace` lists" in str(refused)


def test_one_process_of_a_trace(root: Path) -> None:
    assert [
        json.loads(line)["event"] for line in logs(root, "shop", "--trace", "7" * 32, "--json").splitlines()
    ] == ["placed"]


def test_the_order_of_time_goes_on_past_midnight_and_below_the_millisecond(root: Path) -> None:
    times = {"shop": "2026-11-27T00:00:00.100+00:00", "consumer": "2026-11-26T23:59:59.900Z"}
    times |= {"relay": "2026-11-27T00:00:00.100900+00:00", "gateway": "2026-11-27T01:00:00.1005+01:00"}
    for name, time in times.items():
        line = {"time": time, "level": "info", "logger": name, "event": "x", "trace": "8" * 32}
        (root / ".strangler" / "logs" / f"{name}.log").write_text(json.dumps(line) + "\n")
    lines = logs(root, "--trace", "8" * 32, "--json").splitlines()
    assert [json.loads(line)["process"] for line in lines] == ["consumer", "shop", "gateway", "relay"]
