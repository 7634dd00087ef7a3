"""What docs/steps holds for the building, read from a commit: steps.toml, each step's step.toml and before/.

Only the part of a step.toml below MARK is ever written by a command.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass

from strangler import toml
from strangler.steps.errors import NoSteps
from strangler.steps.tree import Entry, Overlay, Step, Tree, under

FOLDER = "docs/steps"
SETTINGS = f"{FOLDER}/steps.toml"
NAMED = re.compile(rf"{FOLDER}/(?P<step>\d\d-[a-z0-9-]+)/(?P<rest>.+)")
MARK = "# ── Written by `strangler steps save` and `absorb`, not by hand "
RULE = 110  # columns


@dataclass(frozen=True)
class Check:
    """A command that must end with 0 in a step's tree, or in those that hold a path like `where`."""

    title: str
    command: tuple[str, ...]
    where: str | None


@dataclass(frozen=True)
class Verify:
    """A command of one step. `shows` are expressions that its output must match; `(?P<name>...)` in them is a
    figure, and `least` says how much it must be. `red_before`: an assertion fails on the step before."""

    title: str
    command: tuple[str, ...]
    shows: tuple[str, ...]
    least: dict[str, float]
    red_before: bool


@dataclass(frozen=True)
class Record:
    """All that a commit says about its steps."""

    roots: tuple[str, ...]
    prefix: str
    checks: tuple[Check, ...]
    steps: tuple[Step, ...]
    verifies: dict[str, tuple[Verify, ...]]
    texts: dict[str, str]  # each step.toml as it is written


def read(tree: Tree, text_of: Callable[[Entry], str]) -> Record:
    """The record in a commit's tree; NoSteps where there is none, ConfigError where it can't be read."""
    if SETTINGS not in tree:
        raise NoSteps(
            f"There is no {SETTINGS} in this tree. If it is the tree of a step, the steps are built on main: "
            "`git switch main`. Nothing was changed."
        )
    settings = toml.parse(SETTINGS, text_of(tree[SETTINGS]))
    roots = settings.words("roots")
    prefix = settings.get("prefix", str, "step-")
    checks = tuple(_check(one) for one in settings.array("checks"))
    settings.done()
    before: dict[str, dict[str, Entry]] = {}
    texts: dict[str, str] = {}
    for path, entry in tree.items():
        if found := NAMED.fullmatch(path):
            step, rest = found["step"], found["rest"]
            if rest == "step.toml":
                texts[step] = text_of(entry)
            elif rest.startswith("before/"):
                before.setdefault(step, {})[rest.removeprefix("before/")] = entry
    if not texts:
        raise NoSteps(f"No folder of {FOLDER} has a step.toml. Nothing was changed.")
    steps, verifies = [], {}
    for name in sorted(texts):
        table = toml.parse(f"{FOLDER}/{name}/step.toml", texts[name])
        verifies[name] = tuple(_verify(one) for one in table.array("verify"))
        steps.append(
            Step(name, table.get("title", str), _overlay(table.table("overlay", {}), before.get(name, {})))
        )
        table.done()
    for lost in sorted(before.keys() - texts.keys()):
        raise NoSteps(f"{FOLDER}/{lost} has a before/ and no step.toml. Nothing was changed.")
    numbers = [step.number for step in steps]
    if len(set(numbers)) < len(numbers):
        raise NoSteps(f"Two folders of {FOLDER} have the same number. Nothing was changed.")
    return Record(roots, prefix, checks, tuple(steps), verifies, texts)


def _check(table: toml.Table) -> Check:
    check = Check(table.get("title", str), table.words("command"), table.get("where", str, None))
    table.done()
    return check


def _verify(table: toml.Table) -> Verify:
    least = table.get("least", dict, {})
    for name, value in least.items():
        if isinstance(value, bool) or not isinstance(value, int | float):
            table.fail(f"'least' must be a table of numbers; {name!r} isn't one.", "least")
    shows = table.words("shows", [])
    try:
        figures = {name for one in shows for name in re.compile(one).groupindex}
    except re.error as error:
        table.fail(f"'shows' holds no regular expression: {error}.", "shows")
    if lost := least.keys() - figures:
        table.fail(f"'least' names {min(lost)!r}, which no expression of 'shows' does.", "least")
    verify = Verify(
        title=table.get("title", str),
        command=table.words("command"),
        shows=shows,
        least={name: float(value) for name, value in least.items()},
        red_before=table.get("red_before", bool, False),
    )
    table.done()
    return verify


def _overlay(table: toml.Table, before: dict[str, Entry]) -> Overlay:
    stood = {}
    for path, pair in table.get("before", dict, {}).items():
        if not isinstance(pair, list) or len(pair) != 2:
            table.fail(f"{path!r} must hold two blobs: the one before the step and the one after it.", path)
        stood[path] = (str(pair[0]), str(pair[1]))
    overlay = Overlay(table.words("adds", []), table.words("deletes", []), before, stood)
    table.done()
    return overlay


def written(text: str, overlay: Overlay) -> str:
    """A step.toml's text with another overlay in it."""
    own = re.split(rf"^(?:{re.escape(MARK)}|\[overlay[.\]])", text, maxsplit=1, flags=re.MULTILINE)[
        0
    ].rstrip()
    return "\n".join([own, "", MARK + "─" * (RULE - len(MARK)), "", *_lines(overlay), ""])


def _lines(overlay: Overlay) -> Iterator[str]:
    yield "[overlay]"
    yield from _list("adds", overlay.adds)
    yield from _list("deletes", overlay.deletes)
    if overlay.stood:
        yield ""
        yield "# What before/ holds: the blob before this step, and the one after it that it was made from."
        yield "[overlay.before]"
        for path, (before, after) in sorted(overlay.stood.items()):
            yield f"{_text(path)} = [{_text(before)}, {_text(after)}]"


def _list(key: str, values: Collection[str]) -> Iterator[str]:
    if values:
        yield f"{key} = ["
        yield from (f"    {_text(one)}," for one in values)
        yield "]"


def _text(value: str) -> str:
    return json.dumps(value, ensure_ascii=False)  # a basic string of TOML is written as one of JSON


def left_out(path: str) -> bool:
    """Whether a path serves the building alone, and is no part of a step's tree."""
    found = NAMED.fullmatch(path)
    return path == SETTINGS or bool(
        found and (found["rest"] == "step.toml" or under(("before/",), found["rest"]))
    )
