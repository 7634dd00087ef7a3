"""A tree as git sees it, and the way backwards: from the tree after a step to the tree before it. Pure.

Every tree of the chain is computed here, on names and object ids alone; nothing is read, nothing is written.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache


@dataclass(frozen=True)
class Entry:
    """What a path holds: git's mode ("100644", "100755", "120000") and the id of the blob."""

    mode: str
    blob: str


Tree = Mapping[str, Entry]


@dataclass(frozen=True)
class Overlay:
    """What lies between the tree before a step and the tree after it, under the overlaid roots.

    `adds` are paths or globs that the step brings, `deletes` paths that it takes away. `before` holds the
    files that it changes or deletes as they stood before it. `stood` says what the last `steps save` wrote:
    for each of those files the blob before the step, and the one after it ("" for a deleted one).
    """

    adds: tuple[str, ...] = ()
    deletes: tuple[str, ...] = ()
    before: Tree = field(default_factory=dict)
    stood: Mapping[str, tuple[str, str]] = field(default_factory=dict)


@dataclass(frozen=True)
class Step:
    """A step of the migration; `name` is the folder's, `NN-slug`."""

    name: str
    title: str
    overlay: Overlay

    @property
    def number(self) -> int:
        return int(self.name[:2])


@dataclass(frozen=True)
class Finding:
    """What is wrong with a step, as a sentence. `main` says that work on main brought it about, and that
    `strangler steps absorb` can put it right; otherwise somebody has edited the record."""

    sentence: str
    main: bool = True


@dataclass(frozen=True)
class Chain:
    """Every step's tree, from 00 to the last coexisting state, and what is wrong with the way there.

    `notices` are no faults: files that main has changed since an overlay was made from them.
    """

    steps: tuple[Step, ...]
    trees: tuple[Tree, ...]
    findings: tuple[Finding, ...]
    notices: tuple[str, ...]


@cache
def _pattern(glob: str) -> re.Pattern[str]:
    """`**` reaches across folders, `*` and `?` stay inside one."""
    parts = re.split(r"(\*\*|\*|\?)", glob)
    regex = {"**": ".*", "*": "[^/]*", "?": "[^/]"}
    return re.compile("".join(regex.get(part, re.escape(part)) for part in parts))


def matching(globs: Iterable[str], paths: Iterable[str]) -> set[str]:
    """Those of the paths that one of the globs matches whole."""
    patterns = [_pattern(glob) for glob in globs]
    return {path for path in paths if any(one.fullmatch(path) for one in patterns)}


def under(roots: Iterable[str], path: str) -> bool:
    """Whether a path belongs to one of the roots: folders end in `/`, anything else is a file."""
    return any(path.startswith(root) if root.endswith("/") else path == root for root in roots)


def only(roots: Collection[str], tree: Tree) -> dict[str, Entry]:
    """The part of a tree that overlays may cover."""
    return {path: entry for path, entry in tree.items() if under(roots, path)}


def backwards(roots: Collection[str], steps: tuple[Step, ...], last: Tree) -> Chain:
    """All trees of the steps, found by going backwards from the tree after the last of them.

    The first step has no tree before it: what it `adds` is the inventory of everything it starts with, so
    that a file which no step lists is noticed instead of appearing in every tree.
    """
    trees: list[Tree] = [last]
    findings: list[Finding] = []
    notices: list[str] = []
    for step in reversed(steps[1:]):
        findings += _wrong_with(roots, step, trees[0])
        notices += _outdated(step, trees[0])
        trees.insert(0, _before(roots, step.overlay, trees[0]))
    findings += _wrong_with_the_first(roots, steps[0], trees[0])
    return Chain(steps, tuple(trees), tuple(findings), tuple(notices))


def _before(roots: Collection[str], overlay: Overlay, after: Tree) -> Tree:
    added = matching(overlay.adds, only(roots, after))
    return {path: entry for path, entry in after.items() if path not in added} | dict(overlay.before)


def _wrong_with(roots: Collection[str], step: Step, after: Tree) -> Iterator[Finding]:
    """What doesn't fit between a step's overlay and the tree after it, and what was touched by hand."""
    overlay, name, here = step.overlay, step.name, only(roots, after)
    added = matching(overlay.adds, here)
    for glob in overlay.adds:
        if not matching([glob], here):
            yield Finding(f"{name} adds {glob}, and nothing of that name is in the tree after it.")
    for path in overlay.deletes:
        if path in here:
            yield Finding(f"{name} deletes {path}, and the tree after it holds it.")
        elif path not in overlay.before:
            yield Finding(f"{name} deletes {path}, and its before/ doesn't hold it.", main=False)
    for path in sorted(overlay.before):
        if not under(roots, path):
            yield Finding(f"{name}/before/{path} lies outside of what overlays may cover.", main=False)
        elif path in added:
            yield Finding(f"{name} adds {path}, and its before/ holds it all the same.")
        elif path not in here and path not in overlay.deletes:
            yield Finding(f"{name}/before/{path} isn't in the tree after it, and {name} doesn't delete it.")
    stood = {path: blob for path, (blob, _) in overlay.stood.items()}
    by_hand = {
        path for path in stood.keys() | overlay.before.keys() if stood.get(path) != _blob(overlay, path)
    }
    for path in sorted(by_hand):
        how = "is gone" if path not in overlay.before else "was changed" if path in stood else "was put there"
        yield Finding(
            f"{name}/before/{path} {how} by hand. Put it back; `strangler steps edit` writes before/.",
            main=False,
        )


def _blob(overlay: Overlay, path: str) -> str | None:
    return overlay.before[path].blob if path in overlay.before else None


def _wrong_with_the_first(roots: Collection[str], first: Step, tree: Tree) -> Iterator[Finding]:
    here = only(roots, tree)
    for path in sorted(here.keys() - matching(first.overlay.adds, here)):
        yield Finding(f"{path} is added, and no step lists it.")
    for glob in first.overlay.adds:
        if not matching([glob], here):
            yield Finding(f"{glob} is listed in {first.name}, and it is gone though no step deletes it.")
    if first.overlay.before:
        yield Finding(f"{first.name} has a before/, and nothing comes before the first step.", main=False)


def _outdated(step: Step, after: Tree) -> Iterator[str]:
    for path, (_, made_from) in sorted(step.overlay.stood.items()):
        if path in after and after[path].blob != made_from:
            yield f"{path} has changed since {step.name}/before/ was made from it; earlier steps keep theirs."


def carried(earlier: Tree, then: Tree, now: Tree, kept: Collection[str] = ()) -> dict[str, Entry]:
    """A step's tree after main has gone from `then` to `now`: it follows wherever it was the same as main.

    Paths in `kept` stay as they are in the step.
    """
    result: dict[str, Entry] = {}
    for path in earlier.keys() | now.keys():
        follows = path not in kept and earlier.get(path) == then.get(path)
        entry = now.get(path) if follows else earlier.get(path)
        if entry is not None:
            result[path] = entry
    return result


def changed(one: Tree, other: Tree) -> set[str]:
    """Paths that differ between two trees."""
    return {path for path in one.keys() | other.keys() if one.get(path) != other.get(path)}


def overlay_between(roots: Collection[str], before: Tree, after: Tree, globs: Iterable[str] = ()) -> Overlay:
    """The overlay that leads from `after` back to `before`, with those of the globs that still say so."""
    earlier, later = only(roots, before), only(roots, after)
    added = later.keys() - earlier.keys()
    differing = {path: entry for path, entry in earlier.items() if later.get(path) != entry}
    return Overlay(
        adds=listing(added, later, globs),
        deletes=tuple(sorted(earlier.keys() - later.keys())),
        before=differing,
        stood={
            path: (entry.blob, later[path].blob if path in later else "")
            for path, entry in sorted(differing.items())
        },
    )


def listing(added: Collection[str], tree: Iterable[str], globs: Iterable[str]) -> tuple[str, ...]:
    """Names for the added paths: globs that match nothing else in the tree, then what is left, by name."""
    paths = list(tree)
    kept = [glob for glob in globs if (hits := matching([glob], paths)) and hits <= set(added)]
    kept = [glob for glob in kept if "*" in glob or "?" in glob]
    rest = set(added) - matching(kept, added)
    return tuple(sorted([*kept, *rest]))
