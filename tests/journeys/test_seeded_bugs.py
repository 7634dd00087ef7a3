"""Bugs in the real service, one at a time: each is found and located, by replay and live, and holds the move.

They are what an extraction brings: a service that was written anew, and is nearly the same.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.journeys.project import CAPABILITY, Done, Project, counted, until

pytestmark = pytest.mark.long

PRODUCTS, PRODUCT = "GET /api/catalog/products/", "GET /api/catalog/products/<int:pk>/"
REVIEWS = "GET /api/catalog/products/<int:pk>/reviews/"

Field = tuple[str, str, str]  # route, path, kind


@dataclass(frozen=True)
class Bug:
    """One bug: what it replaces in the service's source, and where it shows.

    A replay must find `fields` and `slower` (routes) and nothing else, the live comparison the first of them
    and nothing beyond; `gate` must hold the move, naming it.
    """

    name: str
    file: str
    text: str
    other: str
    gate: str
    fields: tuple[Field, ...] = ()
    slower: tuple[str, ...] = ()

    def __str__(self) -> str:
        return self.name.replace(" ", "-")

    @property
    def told(self) -> str:
        """The words in which the gate names it."""
        return (
            f"{self.fields[0][0]} {self.fields[0][1]} ("
            if self.fields
            else f"{self.slower[0]}: the candidate"
        )


BUGS = (
    Bug(
        "price rounded differently",
        "serializers.py",
        "    category = CategoryBriefSerializer(read_only=True)\n",
        "    category = CategoryBriefSerializer(read_only=True)\n"
        "    price = serializers.DecimalField(max_digits=10, decimal_places=1)\n",
        gate="critical",
        fields=((PRODUCTS, "$.results[].price", "value"), (PRODUCT, "$.price", "value")),
    ),
    Bug(
        "field missing",
        "serializers.py",
        '            "weight",\n            "attributes",\n            "created_at",\n',
        '            "attributes",\n            "created_at",\n',
        gate="answers",
        fields=((PRODUCT, "$.weight", "missing"),),
    ),
    Bug(
        "other order of a list",
        "selectors.py",
        'order_by("-created_at", "-id")',
        'order_by("rating", "created_at", "id")',
        gate="answers",
        fields=((REVIEWS, "$.results", "order"),),
    ),
    Bug(
        "wrong status",
        "api.py",
        "            exc = NotFound()\n",
        "            exc = NotFound()\n            exc.status_code = 410\n",
        gate="answers",
        fields=((PRODUCT, "status", "status"), (REVIEWS, "status", "status")),
    ),
    Bug(
        "a buyer sees a draft",
        "selectors.py",
        "    return visible_to(caller).get(pk=pk)\n",
        '    return Product.objects.select_related("seller", "category").get(pk=pk)\n',
        gate="critical",
        fields=((PRODUCT, "status", "status"), (REVIEWS, "status", "status")),
    ),
    Bug(
        "a query for each row",
        "selectors.py",
        'products = Product.objects.select_related("seller", "category")\n',
        "products = Product.objects.all()\n",
        gate="latency",
        slower=(PRODUCTS,),
    ),
)


@pytest.fixture(scope="module")
def loaded(system: Project) -> Iterator[Project]:
    """The project under load from first to last, by users of every role, with every read captured."""
    # A share would do, and take so much longer to come by a draft.
    with system.configured("sample", "sample = 1.0"):
        system.does("reverse", CAPABILITY)  # stays at the monolith, and gives the gateway the edited file
        with system.load(seconds=900, rate=20) as load:
            yield system
            seen = counted(load)
        assert seen["failed"] == 0, seen["failures"]
        system.restart("catalog")  # without any bug
        system.does("reverse", CAPABILITY)
    system.does("reverse", CAPABILITY)


@pytest.fixture(scope="module")
def recording(loaded: Project, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Recorded requests, a few for each route, kind of caller and status: for a replay of seconds."""
    loaded.does("apply", CAPABILITY, "shadow")
    lines = until(lambda: _few_of_each(loaded), "products that a buyer may not see, and their reviews")
    loaded.does("reverse", CAPABILITY)
    path = tmp_path_factory.mktemp("recording") / "few.jsonl"
    path.write_text("".join(lines))
    return path


def _few_of_each(project: Project) -> list[str]:
    """The lines of the recording, a few of each kind; none until buyers have asked for what is hidden.

    More of the lists, whose times are to be told apart although the machine does other things meanwhile.
    """
    path = project.root / ".strangler/recordings/catalog.read.jsonl"
    kinds: dict[tuple[str, str, int], list[str]] = {}
    for line in path.read_text().splitlines(keepends=True) if path.exists() else ():
        one = json.loads(line)
        if not one["caller"]["subject"].isdecimal() and one["caller"]["kind"] != "anonymous":
            continue  # a context that asks in its own name; nobody issues its token to a replay
        kinds.setdefault((_route(one["target"]), one["caller"]["kind"], one["status"]), []).append(line)
    few = {kind: lines[: 12 if kind[0] == PRODUCTS else 4] for kind, lines in kinds.items()}
    lists = sum(len(lines) for (route, _, status), lines in few.items() if (route, status) == (PRODUCTS, 200))
    hidden = len(few.get((PRODUCT, "buyer", 404), ())) >= 3 and any(
        (REVIEWS, kind, 404) in few for kind in ("anonymous", "buyer")
    )
    return [line for lines in few.values() for line in lines] if hidden and lists >= 45 else []


def _route(target: str) -> str:
    path = "/".join("<int:pk>" if word.isdigit() else word for word in target.partition("?")[0].split("/"))
    return f"GET {path}"


def test_the_same_service_is_found_to_be_the_same(loaded: Project, recording: Path) -> None:
    replayed = _compare(loaded, "--recording", str(recording))

    assert replayed.code == 0, replayed.out
    (seen,) = replayed.json
    assert seen["result"] == "same"
    assert (seen["comparable"], seen["different"]) == (seen["captured"], 0), seen["reasons"]
    kinds = set().union(*(route["callers"] for route in seen["routes"]))
    assert kinds == {"anonymous", "buyer", "seller_staff", "support", "admin"}


@pytest.fixture
def bug(request: pytest.FixtureRequest, loaded: Project) -> Iterator[Bug]:
    """The service with a bug in it, in shadow; put right again, and taken back, however the test ends."""
    one: Bug = request.param
    with loaded.edited(f"extracted/catalog/{one.file}", one.text, one.other):
        loaded.restart("catalog")
        loaded.does("apply", CAPABILITY, "shadow")
        yield one
        loaded.does("reverse", CAPABILITY)


@pytest.mark.parametrize("bug", BUGS, ids=str, indirect=True)
def test_a_bug_is_found_located_and_holds(bug: Bug, loaded: Project, recording: Path) -> None:
    replayed = _compare(loaded, "--recording", str(recording))
    assert replayed.code == 1, replayed.out + replayed.err
    assert _found(replayed) == (set(bug.fields), set(bug.slower))

    held = until(lambda: _held(loaded, bug), f"the gate {bug.gate} to name {bug.told}", pause=1)
    assert "hold catalog.read at shadow. Nothing was changed" in held.said.replace("holds", "hold")
    live = _compare(loaded, "--live", "--phase")
    assert live.code == 1, live.out + live.err
    fields, slower = _found(live)
    assert {*bug.fields[:1]} <= fields <= {*bug.fields}
    assert slower == {*bug.slower}
    assert loaded.ask("/api/catalog/products/1/").home == "monolith"


def _compare(project: Project, *arguments: str) -> Done:
    return project.strangler("compare", "catalog", "--json", *arguments)


def _found(compared: Done) -> tuple[set[Field], set[str]]:
    """The fields that differ without excuse, and the routes that are slower."""
    (seen,) = compared.json
    fields: list[dict[str, Any]] = [one for one in seen["fields"] if one["verdict"] == "different"]
    return (
        {(one["route"], one["path"], one["kind"]) for one in fields},
        {one["route"] for one in seen["slower"]},
    )


def _held(project: Project, bug: Bug) -> Done | None:
    """What `strangler apply` says once its gate names the bug; it may not let pass at any look."""
    held = project.strangler("apply", CAPABILITY, "canary=10")
    assert held.code == 4, held.out + held.err
    return (
        held if any(f"{bug.gate}: " in line and bug.told in line for line in held.err.splitlines()) else None
    )
