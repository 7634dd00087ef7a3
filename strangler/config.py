"""strangler.toml, read once and checked whole: what runs, who answers, and what is to move.

Everything past this module works on these frozen values; nobody else opens the file.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from strangler import toml
from strangler.chassis.writing import SAFE_METHODS
from strangler.contracts import declared
from strangler.contracts.declared import Contracts
from strangler.control.phases import PHASES, Phase
from strangler.errors import ConfigError, UsageError
from strangler.toml import Table

FILE_NAME = "strangler.toml"
METHODS = ("GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE")

# Django's path converters, as regular expressions (django.urls.converters).
CONVERTERS = {
    "int": "[0-9]+",
    "str": "[^/]+",
    "slug": "[-a-zA-Z0-9_]+",
    "uuid": "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}",
    "path": ".+",
}


@dataclass(frozen=True)
class Route:
    """One route of a capability, written as Django writes it: `GET /api/catalog/products/<int:pk>/`."""

    method: str
    path: str

    @property
    def regex(self) -> str:
        """The path as an RE2 expression that matches whole paths, without the query string."""
        pieces = re.split(r"<(?:(\w+):)?\w+>", self.path)
        # re.split puts each converter between the literals around it.
        out = [re.escape(pieces[0]).replace("\\-", "-")]
        for converter, literal in zip(pieces[1::2], pieces[2::2], strict=True):
            out += [CONVERTERS[converter or "str"], re.escape(literal).replace("\\-", "-")]
        return "".join(out)

    def matches(self, method: str, path: str) -> bool:
        """Whether a request belongs to this route; HEAD belongs to its GET. A query string is passed over."""
        same = method == self.method or (method == "HEAD" and self.method == "GET")
        return same and re.fullmatch(self.regex, path.partition("?")[0]) is not None

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


@dataclass(frozen=True)
class Database:
    """A database: named by the variable `env`, or made `beside` another one (with a role of its own)."""

    name: str
    env: str
    beside: str | None


@dataclass(frozen=True)
class Home:
    """One of the places that can answer: a process that the kit starts, or a `url` where it already runs."""

    name: str
    process: str | None
    url: str | None
    database: str | None


@dataclass(frozen=True)
class Process:
    """Something that `strangler run` starts: arguments with {placeholders}, and a path to ask for health."""

    name: str
    command: tuple[str, ...]
    prepare: tuple[tuple[str, ...], ...]
    health: str | None
    needs: tuple[str, ...]
    env: Mapping[str, str]


@dataclass(frozen=True)
class Gateway:
    """Where clients come in, and who answers what no capability claims; `closed` paths nobody does.

    Where the file declares none, clients come in at the default home itself, on the same port.
    """

    port: int
    default: str
    exchange: str | None
    session_cookie: str
    tester_header: str
    closed: tuple[str, ...]
    declared: bool = True


@dataclass(frozen=True)
class Gate:
    """The numbers that an advance is held to, and past which the guard goes back; shares in 0..1.

    `lag_limit` and `verified_within` are in seconds: how far behind rows may be, how old their verification.
    Without `contracts` no pact is asked for; by default one is where reads move.
    """

    mismatch_limit: float
    failure_limit: float
    confidence: float
    latency_slack: float
    lag_limit: float
    verified_within: float
    critical: tuple[str, ...]
    contracts: bool = True


@dataclass(frozen=True)
class Switch:
    """What a move of ownership is held to, in seconds.

    `quiet`: for how long no other context may have written the rows. `fence`: how long it may be raised until
    anybody may undo. `soak`: how long the new owner must have owned until the old tables may go. `largest`:
    bytes of the largest body that is kept to be sent again; a larger one that meets the fence is refused.
    """

    quiet: float
    fence: float
    soak: float
    largest: int


@dataclass(frozen=True)
class Capability:
    """The smallest thing that moves: routes of one context, with the tables they read.

    `owner` is the home that answers before the move (the gateway's default), `home` the one that it moves to.
    `phase` is the wanted phase.
    """

    name: str
    kind: str
    owner: str
    home: str
    phase: Phase
    routes: tuple[Route, ...]
    tables: tuple[str, ...]
    gate: Gate
    switch: Switch

    @property
    def context(self) -> str:
        """The bounded context that it belongs to: `catalog` for catalog.write."""
        return self.name.partition(".")[0]

    def route_of(self, method: str, path: str) -> Route | None:
        """The route that a request takes, or None if the capability doesn't claim it."""
        return next((route for route in self.routes if route.matches(method, path)), None)


@dataclass(frozen=True)
class Ignore:
    """A difference that is declared to be no bug, until a day: counted and shown all the same."""

    route: str
    path: str
    reason: str
    until: datetime.date


@dataclass(frozen=True)
class Compare:
    """How much is captured and compared, and which differences are declared."""

    sample: float
    control: float
    queue: int
    record: int
    tokens: tuple[str, ...]
    kind_claim: str
    ignores: tuple[Ignore, ...]


@dataclass(frozen=True)
class Telemetry:
    """Which share of the requests is traced, and how many spans are kept on this machine."""

    sample: float
    keep: int


@dataclass(frozen=True)
class LoadRequest:
    """One kind of request, and its weight among the others.

    `path` and the texts of a body, `json` or `form`, are templates with {int:A:B} and {choice:a|b}. `users`
    names who sends it (empty: any of the load's), `also` statuses that are no failure, and `shows` the field
    of a write's answer that a read of the same path must show, at once.
    """

    path: str
    weight: int
    method: str = "GET"
    json: Mapping[str, str] | None = None
    form: Mapping[str, str] | None = None
    users: tuple[str, ...] = ()
    also: tuple[int, ...] = ()
    shows: str = ""

    @property
    def writes(self) -> bool:
        return self.method not in SAFE_METHODS


@dataclass(frozen=True)
class Load:
    """Who asks for what, and how often; `rate` in requests a second."""

    rate: float
    login_path: str
    login_form: Mapping[str, str]
    users: tuple[str, ...]
    requests: tuple[LoadRequest, ...]


@dataclass(frozen=True)
class Config:
    """The whole file. `root` is the directory that it lies in, `welcome` a line for who has started it."""

    root: Path
    name: str
    welcome: str
    databases: Mapping[str, Database]
    homes: Mapping[str, Home]
    processes: Mapping[str, Process]
    gateway: Gateway
    capabilities: Mapping[str, Capability]
    compare: Compare
    contracts: Contracts
    telemetry: Telemetry
    load: Load

    @property
    def reads(self) -> Mapping[str, Capability]:
        """The capabilities whose answers are compared, by name."""
        return {name: one for name, one in self.capabilities.items() if one.kind == "read"}

    def capability(self, name: str) -> Capability:
        """The capability of that name; UsageError names those that exist."""
        try:
            return self.capabilities[name]
        except KeyError:
            known = ", ".join(sorted(self.capabilities)) or "none"
            raise UsageError(
                f"There is no capability {name!r} in {FILE_NAME}; it declares: {known}. Nothing was changed."
            ) from None


def load(root: Path) -> Config:
    """Read and check `root`/strangler.toml; ConfigError says where and why not."""
    path = root / FILE_NAME
    try:
        text = path.read_text()
    except FileNotFoundError:
        raise UsageError(
            f"There is no {FILE_NAME} in {root}. Run this in the project's directory, or pass --root."
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(FILE_NAME, f"The file can't be read: {error}.") from None
    return parse(text, root)


def parse(text: str, root: Path) -> Config:
    """Check a file's text; `root` is where relative things in it belong."""
    top = toml.parse(FILE_NAME, text)
    databases = {name: _database(name, table) for name, table in top.tables("databases")}
    for name, table in top.tables("databases"):
        table.reference("beside", databases, "database", None)
        _no_circle(table, "beside", name, lambda one: filter(None, [databases[one].beside]))
    processes = {name: _process(name, table) for name, table in top.tables("processes")}
    for _, table in top.tables("processes"):
        for need in table.words("needs", []):
            if need not in processes:
                table.fail(f"There is no process {need!r}; declared are: {', '.join(processes)}.", "needs")
    for name, table in top.tables("processes"):
        _no_circle(table, "needs", name, lambda one: processes[one].needs)
    homes = {name: _home(name, table, processes, databases) for name, table in top.tables("homes")}
    gateway = _gateway(top.table("gateway"), homes) if "gateway" in top.values else _no_gateway(top, homes)
    capabilities = {n: _capability(n, t, homes, gateway) for n, t in top.tables("capabilities")}
    project = top.table("project")
    config = Config(
        root=root,
        name=project.get("name", str),
        welcome=project.get("welcome", str, ""),
        databases=databases,
        homes=homes,
        processes=processes,
        gateway=gateway,
        capabilities=capabilities,
        compare=_compare(top.table("compare", {})),
        contracts=declared.read(top.table("contracts", {}), homes, capabilities),
        telemetry=_telemetry(top.table("telemetry", {})),
        load=_load(top.table("load", {})),
    )
    project.done()
    top.done()
    return config


def _no_circle(table: Table, key: str, name: str, next_ones: Callable[[str], Iterable[str]]) -> None:
    """Refuse a name that leads back to itself."""
    seen: set[str] = set()
    ahead = list(next_ones(name))
    while ahead:
        if (one := ahead.pop()) == name:
            table.fail(f"{name!r} leads back to itself by {key!r}.", key)
        if one not in seen:
            seen.add(one)
            ahead += next_ones(one)


def _database(name: str, table: Table) -> Database:
    database = Database(name, table.get("env", str), table.get("beside", str, None))
    table.done()
    return database


def _process(name: str, table: Table) -> Process:
    prepare = table.get("prepare", list, [])
    if not all(isinstance(one, list) and all(isinstance(word, str) for word in one) for one in prepare):
        table.fail("'prepare' must be a list of commands, each a list of texts.", "prepare")
    process = Process(
        name=name,
        command=table.words("command"),
        prepare=tuple(tuple(one) for one in prepare),
        health=table.get("health", str, None),
        needs=table.words("needs", []),
        env=table.texts("env", {}),
    )
    table.done()
    return process


def _home(
    name: str, table: Table, processes: Mapping[str, Process], databases: Mapping[str, Database]
) -> Home:
    home = Home(
        name=name,
        process=table.reference("process", processes, "process", None),
        url=table.get("url", str, None),
        database=table.reference("database", databases, "database", None),
    )
    if (home.process is None) == (home.url is None):
        table.fail("A home has either a 'process' that the kit starts or a 'url' where it already runs.")
    table.done()
    return home


def _gateway(table: Table, homes: Mapping[str, Home]) -> Gateway:
    gateway = Gateway(
        port=table.get("port", int, 8000),
        default=table.reference("default", homes, "home"),
        exchange=table.get("exchange", str, None),
        session_cookie=table.get("session_cookie", str, "sessionid"),
        tester_header=table.get("tester_header", str, "x-strangler-use"),
        closed=table.words("closed", ["/metrics"]),
    )
    if not 0 <= gateway.port <= 65535:
        table.fail(f"'port' must lie between 0 and 65535, not {gateway.port}.", "port")
    table.done()
    return gateway


def _no_gateway(top: Table, homes: Mapping[str, Home]) -> Gateway:
    if top.values.get("capabilities") or len(homes) != 1:
        top.fail("[gateway] is missing: without it there is one home, and no capability that could move.")
    return Gateway(8000, next(iter(homes)), None, "sessionid", "x-strangler-use", (), declared=False)


def _capability(name: str, table: Table, homes: Mapping[str, Home], gateway: Gateway) -> Capability:
    kind = table.get("kind", str)
    if kind not in ("read", "write"):
        table.fail(f"'kind' is 'read' or 'write', not {kind!r}.", "kind")
    routes = tuple(_route(word, table) for word in table.words("routes"))
    if not routes:
        table.fail("A capability needs at least one route.", "routes")
    if kind == "read" and (unsafe := [r for r in routes if r.method not in SAFE_METHODS]):
        table.fail(f"A read capability can't claim {unsafe[0]}: {unsafe[0].method} writes.", "routes")
    gate, switch = table.table("gate", {}), table.table("switch", {})
    capability = Capability(
        name=name,
        kind=kind,
        owner=gateway.default,
        home=table.reference("home", homes, "home"),
        phase=_phase(table),
        routes=routes,
        tables=table.words("tables", []),
        gate=Gate(
            mismatch_limit=gate.share("mismatch_limit", 0.001),
            failure_limit=gate.share("failure_limit", 0.01),
            confidence=gate.share("confidence", 0.95),
            latency_slack=float(gate.get("latency_slack", (int, float), 0.2)),
            lag_limit=float(gate.get("lag_limit", (int, float), 5.0)),
            verified_within=float(gate.get("verified_within", (int, float), 300.0)),
            critical=gate.words("critical", []),
            contracts=gate.get("contracts", bool, kind == "read"),
        ),
        switch=Switch(
            quiet=float(switch.get("quiet", (int, float), 3600.0)),
            fence=float(switch.get("fence", (int, float), 10.0)),
            soak=float(switch.get("soak", (int, float), 86400.0)),
            largest=switch.get("largest", int, 1 << 20),
        ),
    )
    if capability.phase.name not in PHASES[kind]:
        table.fail(f"A {kind} capability goes through {', '.join(PHASES[kind])}.", "phase")
    if capability.home == capability.owner:
        table.fail(f"{name} can't move to {capability.home!r}: that home answers for it already.", "home")
    gate.done()
    switch.done()
    table.done()
    return capability


def _phase(table: Table) -> Phase:
    try:
        return Phase.parse(table.get("phase", str, "monolith"))
    except UsageError as error:
        table.fail(str(error), "phase")


def _route(word: str, table: Table) -> Route:
    method, _, path = word.partition(" ")
    if method not in METHODS or not path.startswith("/"):
        table.fail(f"A route reads 'GET /path/<int:pk>/', not {word!r}.", "routes")
    for converter in re.findall(r"<(\w+):\w+>", path):
        if converter not in CONVERTERS:
            table.fail(
                f"{word!r} uses the converter {converter!r}; known are: {', '.join(CONVERTERS)}.", "routes"
            )
    return Route(method, path)


def _compare(table: Table) -> Compare:
    compare = Compare(
        sample=table.share("sample", 0.1),
        control=table.share("control", 0.1),
        queue=table.get("queue", int, 500),
        record=table.get("record", int, 5000),
        tokens=table.words("tokens", []),
        kind_claim=table.get("kind_claim", str, "role"),
        ignores=tuple(_ignore(one) for one in table.array("ignore")),
    )
    table.done()
    return compare


def _telemetry(table: Table) -> Telemetry:
    telemetry = Telemetry(table.share("sample", 1.0), table.get("keep", int, 100_000))
    if telemetry.keep < 1:
        table.fail(f"'keep' is a number of spans from 1, not {telemetry.keep}.", "keep")
    table.done()
    return telemetry


def _ignore(table: Table) -> Ignore:
    until = table.get("until", datetime.date)
    ignore = Ignore(table.get("route", str), table.get("path", str), table.get("reason", str), until)
    table.done()
    return ignore


def _load(table: Table) -> Load:
    login = table.table("login", {})
    load = Load(
        rate=float(table.get("rate", (int, float), 50)),
        login_path=login.get("path", str, "/login/"),
        login_form=login.texts("form", {}),
        users=table.words("users", [""]),
        requests=tuple(_load_request(one) for one in table.array("requests")),
    )
    for one in load.requests:
        if unknown := [name for name in one.users if name not in load.users]:
            table.fail(f"{one.path} is sent by {unknown[0]!r}, who isn't among 'users'.", "requests")
    if load.rate <= 0:
        table.fail("'rate' must be above 0 requests a second.", "rate")
    login.done()
    table.done()
    return load


def _load_request(table: Table) -> LoadRequest:
    request = LoadRequest(
        path=table.get("path", str),
        weight=table.get("weight", int, 1),
        method=table.get("method", str, "GET"),
        json=table.texts("json", {}) or None,
        form=table.texts("form", {}) or None,
        users=table.words("users", []),
        also=tuple(table.get("also", list, [])),
        shows=table.get("shows", str, ""),
    )
    if request.method not in METHODS:
        table.fail(f"'method' is one of {', '.join(METHODS)}, not {request.method!r}.", "method")
    if request.json and request.form:
        table.fail("A request has a 'json' body or a 'form', not both.", "form")
    if request.shows and not request.writes:
        table.fail(f"'shows' is for writes; {request.method} reads.", "shows")
    table.done()
    return request
