"""Phases, as Envoy's routes (RDS): who answers which request. The only file that a change of phase touches.

Envoy takes the first route that matches, so this reads from the top: what is refused, then each capability's
routes, then everything else, which is the default home's.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from strangler.chassis.writing import SAFE_METHODS
from strangler.config import Capability, Config
from strangler.control.phases import MONOLITH, Phase
from strangler.envoy import writes
from strangler.envoy.names import (
    BEHIND_HEADER,
    CANARY_COOKIE,
    CAPABILITY_HEADER,
    EXCHANGE_FILTER,
    HOME_HEADER,
    METADATA,
    ROUTES,
    TRACE_HEADER,
    TYPE,
    WRITTEN_HEADER,
    Resource,
    capture_filter,
    with_fallback,
)

_A_HOST = r"([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?"
_COOKIE_SECONDS = 30 * 24 * 3600
_MILLION = 1_000_000

_SWITCHED_ON = {"@type": f"{TYPE}config.route.v3.FilterConfig", "config": {}}

_OTHER_HOME_NEXT = {
    "name": "envoy.retry_priorities.previous_priorities",
    "typed_config": {
        "@type": f"{TYPE}extensions.retry.priority.previous_priorities.v3.PreviousPrioritiesConfig",
        "update_frequency": 1,
    },
}
_BACK_OFF = {"base_interval": "0.005s", "max_interval": "0.05s"}
_NOTHING_WAS_SENT = "connect-failure,refused-stream,reset-before-request"

# A read that failed on its way is asked again: of the other home, where there is one. So is one whose client
# has written what the home that was asked doesn't have yet.
_READ = {
    "timeout": "15s",
    "retry_policy": {
        "retry_on": "gateway-error,reset,connect-failure,refused-stream,retriable-headers",
        "retriable_headers": [{"name": BEHIND_HEADER, "present_match": True}],
        "num_retries": 3,
        "per_try_timeout": "5s",
        "retry_priority": _OTHER_HOME_NEXT,
        "retry_back_off": _BACK_OFF,
    },
}
# What stays in the default home keeps its own time, however long it takes.
_SAFE = {
    "timeout": "60s",
    "retry_policy": {"retry_on": f"{_NOTHING_WAS_SENT},reset", "num_retries": 2, "retry_back_off": _BACK_OFF},
}
_UNSAFE = {
    "timeout": "60s",
    # Any write may meet the fence of another context. A home that is down is waited for just as long.
    "retry_policy": writes.until_owned(_NOTHING_WAS_SENT) | writes.SLOWLY,
}


@dataclass(frozen=True)
class _Answer:
    """Some callers, and what Envoy does for them: `match` and `action` are pieces of an Envoy route."""

    callers: str
    match: Resource
    action: Resource
    rest: Resource = field(default_factory=dict)


def route_configuration(config: Config, phases: Mapping[str, Phase]) -> Resource:
    """All routes. A capability that `phases` doesn't name is at monolith."""
    routes = [_odd_host(), *(_closed(path) for path in config.gateway.closed)]
    for name, capability in config.capabilities.items():
        routes += _capability(config, capability, phases.get(name, MONOLITH))
    return {
        "@type": f"{TYPE}config.route.v3.RouteConfiguration",
        "name": ROUTES,
        "validate_clusters": True,
        "virtual_hosts": [
            {
                "name": "everything",
                "domains": ["*"],
                "routes": [*routes, *_everything_else(config)],
                "request_headers_to_add": [
                    _header("x-forwarded-host", "%REQ(:authority)%"),
                    # Cookies may be taken away on the way to a service; this one still has to get there.
                    _header(
                        WRITTEN_HEADER,
                        f"%DYNAMIC_METADATA({METADATA}:written)%",
                        append="ADD_IF_ABSENT",
                    ),
                ],
                # The endpoint that answered says whose it is, so this holds after a fallback too.
                "response_headers_to_add": [
                    _header(HOME_HEADER, f"%UPSTREAM_METADATA({METADATA}:home)%"),
                    _header(TRACE_HEADER, "%TRACE_ID%"),
                ],
            }
        ],
    }


def _odd_host() -> Resource:
    """Two Host headers arrive here joined by a comma; homes may read either."""
    return {
        "name": "odd host",
        "match": {
            "prefix": "/",
            "headers": [_header_is(":authority", regex=_A_HOST) | {"invert_match": True}],
        },
        "direct_response": {"status": 400, "body": {"inline_string": "The Host header must be one host.\n"}},
    }


def _closed(path: str) -> Resource:
    """What a home tells its operators, and the world doesn't ask it; with and without what may follow."""
    return {
        "name": f"closed {path}",
        "match": {"safe_regex": {"regex": f"{re.escape(path.rstrip('/'))}(/.*)?"}},
        "direct_response": {"status": 404},
    }


def _everything_else(config: Config) -> list[Resource]:
    home = {"cluster": config.gateway.default}
    safe = _header_is(":method", regex="|".join(SAFE_METHODS))
    return [
        {"name": "everything else, safe", "match": {"prefix": "/", "headers": [safe]}, "route": home | _SAFE},
        {"name": "everything else", "match": {"prefix": "/"}, "route": home | _UNSAFE},
    ]


# ── One capability ───────────────────────────────────────────────────────────────────────────────


def _capability(config: Config, capability: Capability, phase: Phase) -> Iterator[Resource]:
    if capability.kind == "write":
        yield from _writes(config, capability, phase)
        return
    for answer in _ANSWERS[phase.name](config, capability, phase):
        for methods, paths in _requests(capability):
            match = _both({"headers": [_header_is(":method", regex=methods)]}, answer.match)
            match["safe_regex"] = {"regex": paths}
            yield from _with_capture(config, capability, answer, match)


def _writes(config: Config, capability: Capability, phase: Phase) -> Iterator[Resource]:
    """To whoever owns the rows, with a token: who waits under a fence may be answered by either home."""
    if phase == MONOLITH:
        return  # its routes are the default home's, like everything else
    action, rest = writes.action(capability, _NOTHING_WAS_SENT), writes.rest(capability)
    session = _Answer("session", _carries(config.gateway.session_cookie), action, _exchanged(config))
    answers = [_Answer("token", _bearer(), action), _Answer("anonymous", {}, action)]
    if config.gateway.exchange:
        answers.insert(1, session)
    for answer in answers:
        for methods, paths in _requests(capability):
            match = _both({"headers": [_header_is(":method", regex=methods)]}, answer.match)
            match["safe_regex"] = {"regex": paths}
            yield {
                "name": f"{capability.name}, {answer.callers}",
                "match": match,
                "route": answer.action,
                "response_headers_to_add": [_header(CAPABILITY_HEADER, capability.name)],
                **rest,
                **answer.rest,
            }


def _with_capture(
    config: Config, capability: Capability, answer: _Answer, match: Resource
) -> Iterator[Resource]:
    """The route twice: first for the sample, with the capture on; then for everybody else."""
    plain = {
        "name": f"{capability.name}, {answer.callers}",
        "match": match,
        "route": answer.action,
        **answer.rest,
    }
    plain["response_headers_to_add"] = [
        _header(CAPABILITY_HEADER, capability.name),
        *answer.rest.get("response_headers_to_add", []),
    ]
    sample = round(config.compare.sample * _MILLION)
    if sample:
        drawn = {"runtime_fraction": {"default_value": {"numerator": sample, "denominator": "MILLION"}}}
        filters = answer.rest.get("typed_per_filter_config", {}) | {
            capture_filter(capability.name): _SWITCHED_ON
        }
        yield plain | {
            "name": f"{plain['name']}, captured",
            "match": match | (drawn if sample < _MILLION else {}),
            "typed_per_filter_config": filters,
        }
    if sample < _MILLION:
        yield plain


def _requests(capability: Capability) -> Iterator[tuple[str, str]]:
    """The capability's routes as (methods, paths), two expressions; HEAD goes where its GET goes."""
    methods = dict.fromkeys(route.method for route in capability.routes)
    for method in methods:
        paths = "|".join(route.regex for route in capability.routes if route.method == method)
        yield ("GET|HEAD" if method == "GET" else method), paths


# ── Who answers, by phase ────────────────────────────────────────────────────────────────────────


def _stays(config: Config, capability: Capability, phase: Phase) -> list[_Answer]:
    """The owner answers everybody. The comparator asks the other home, from what is captured."""
    return [_Answer("everybody", {}, {"cluster": capability.owner} | _SAFE)]


def _split(config: Config, capability: Capability, phase: Phase) -> list[_Answer]:
    """Each user keeps the home that a hash gives; a tester's header chooses.

    Envoy takes the hash modulo 100 and counts through the shares, service first. Both always add up to 100,
    so a greater share keeps the users of the smaller one.
    """
    tester = config.gateway.tester_header
    cookie = config.gateway.session_cookie
    service = [
        _Answer(
            f"tester of the service, {one.callers}",
            _both(_said(tester, "service"), one.match),
            one.action,
            one.rest,
        )
        for one in _moved(config, capability, phase)
    ]
    owner = _Answer(
        f"tester of the {capability.owner}", _said(tester, "monolith"), {"cluster": capability.owner} | _SAFE
    )
    issue = _header(
        "set-cookie",
        f"{CANARY_COOKIE}=%REQ(x-request-id)%; Path=/; Max-Age={_COOKIE_SECONDS}; SameSite=Lax; HttpOnly",
        append="APPEND_IF_EXISTS_OR_ADD",
    )
    return [
        *service,
        owner,
        _Answer(
            "by token",
            _bearer(),
            _weighted(config, capability, phase, {"header": {"header_name": "authorization"}}),
        ),
        _Answer(
            "by session",
            _carries(cookie),
            _weighted(config, capability, phase, {"cookie": {"name": cookie}}, exchange=True),
        ),
        _Answer(
            "by cookie",
            _carries(CANARY_COOKIE),
            _weighted(config, capability, phase, {"cookie": {"name": CANARY_COOKIE}}),
        ),
        # Nobody yet: the request's id decides, and becomes the cookie that decides from now on.
        _Answer(
            "first seen",
            {},
            _weighted(config, capability, phase, {"header": {"header_name": "x-request-id"}}),
            {"response_headers_to_add": [issue]},
        ),
    ]


def _moved(config: Config, capability: Capability, phase: Phase) -> list[_Answer]:
    """The service answers everybody, and the owner where it is down.

    Who brings a token keeps it; a session is exchanged for one; the rest is anonymous.
    """
    service = {"cluster": with_fallback(capability.home, capability.owner)} | _READ
    session = _Answer("session", _carries(config.gateway.session_cookie), service, _exchanged(config))
    return [
        _Answer("token", _bearer(), service),
        *([session] if config.gateway.exchange else []),
        _Answer("anonymous", {}, service),
    ]


_ANSWERS = {"monolith": _stays, "shadow": _stays, "canary": _split, "switched": _moved}


def _weighted(
    config: Config, capability: Capability, phase: Phase, key: Resource, *, exchange: bool = False
) -> Resource:
    """The split. The exchange belongs to the service's share, so the owner's share doesn't pay for it."""
    service = {"name": with_fallback(capability.home, capability.owner), "weight": phase.percent}
    if exchange:
        service |= _exchanged(config)
    owner = {"name": capability.owner, "weight": 100 - phase.percent}
    split = {"clusters": [service, owner], "use_hash_policy": True}
    return {"weighted_clusters": split, "hash_policy": [key]} | _READ


def _exchanged(config: Config) -> Resource:
    """Exchange the session for a token, and keep the session itself from the service."""
    if not config.gateway.exchange:
        return {}
    return {
        "request_headers_to_remove": ["cookie"],
        "typed_per_filter_config": {EXCHANGE_FILTER: _SWITCHED_ON},
    }


# ── Pieces of a match ────────────────────────────────────────────────────────────────────────────


def _header(name: str, value: str, *, append: str = "OVERWRITE_IF_EXISTS_OR_ADD") -> Resource:
    return {"header": {"key": name, "value": value}, "append_action": append}


def _header_is(name: str, *, regex: str) -> Resource:
    return {"name": name, "string_match": {"safe_regex": {"regex": regex}}}


def _bearer() -> Resource:
    return {
        "headers": [{"name": "authorization", "string_match": {"prefix": "Bearer ", "ignore_case": True}}]
    }


def _said(header: str, word: str) -> Resource:
    return {"headers": [{"name": header, "string_match": {"exact": word}}]}


def _carries(cookie: str) -> Resource:
    return {"cookies": [{"name": cookie, "string_match": {"safe_regex": {"regex": ".+"}}}]}


def _both(one: Resource, other: Resource) -> Resource:
    """Both matches at once."""
    return {key: [*one.get(key, []), *other.get(key, [])] for key in {**one, **other}}
