"""From trees back to overlays: what differs between two steps' trees is written to main's working tree.

Nothing is committed: the author looks at it, and commits it together with what it belongs to.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from strangler.steps import record as records
from strangler.steps.build import read, refuse_unclean
from strangler.steps.errors import BrokenSteps, EditRefused, StepsError
from strangler.steps.git import Repository
from strangler.steps.record import FOLDER, Record
from strangler.steps.tree import (
    Chain,
    Entry,
    Overlay,
    Step,
    Tree,
    backwards,
    carried,
    changed,
    listing,
    matching,
    only,
    overlay_between,
    under,
)


@dataclass(frozen=True)
class Written:
    """Files that were written to main's working tree: steps whose overlay changed, and main's own files."""

    steps: tuple[str, ...]
    files: tuple[str, ...]


@dataclass(frozen=True)
class Absorbed:
    """`kept` changed on main and reaches no step before the absorbing one; `follow` reaches every step that
    has no overlay for it. `since` is the commit that both are reckoned from."""

    since: str
    kept: tuple[str, ...]
    follow: tuple[str, ...]
    written: Written


def rewrite(repository: Repository, record: Record, trees: Sequence[Tree]) -> Written:
    """Write overlays that lead through exactly these trees, and main's files as the last of them has them.

    The working tree must be clean: what it holds is what HEAD holds.
    """
    steps = _with_overlays(record, trees)
    _prove(record, steps, trees)
    head = repository.tree("HEAD")
    wanted: dict[str, Entry | None] = {
        path: trees[-1].get(path)
        for path in changed({p: e for p, e in head.items() if not records.left_out(p)}, trees[-1])
    }
    files = tuple(sorted(wanted))
    touched = []
    for was, step in zip(record.steps, steps, strict=True):
        if was.overlay == step.overlay:
            continue
        touched.append(step.name)
        folder = f"{FOLDER}/{step.name}"
        for path in changed(was.overlay.before, step.overlay.before):
            wanted[f"{folder}/before/{path}"] = step.overlay.before.get(path)
        text = records.written(record.texts[step.name], step.overlay)
        blob = repository.run("hash-object", "-w", "--stdin", given=text.encode())
        wanted[f"{folder}/step.toml"] = Entry("100644", blob)
    for path, entry in sorted(wanted.items()):
        _put(repository, path, entry)
    return Written(tuple(touched), files)


def _with_overlays(record: Record, trees: Sequence[Tree]) -> tuple[Step, ...]:
    first, here = record.steps[0], only(record.roots, trees[0])
    steps = [replace(first, overlay=Overlay(adds=listing(here.keys(), here, first.overlay.adds)))]
    for step, before, after in zip(record.steps[1:], trees, trees[1:], strict=False):
        steps.append(replace(step, overlay=overlay_between(record.roots, before, after, step.overlay.adds)))
    return tuple(steps)


def _prove(record: Record, steps: tuple[Step, ...], trees: Sequence[Tree]) -> None:
    """What is about to be written leads back through the very trees; anything else would be ours to mend."""
    chain = backwards(record.roots, steps, trees[-1])
    differing = [
        step.name for step, one, other in zip(steps, chain.trees, trees, strict=True) if one != other
    ]
    if chain.findings or differing:
        said = [finding.sentence for finding in chain.findings]
        raise StepsError(f"The overlays wouldn't give back {differing} {said}. Nothing was written.")


def _put(repository: Repository, path: str, entry: Entry | None) -> None:
    file = repository.directory / path
    if entry is None:
        file.unlink(missing_ok=True)
        for folder in file.parents:
            if folder == repository.directory or any(folder.iterdir()):
                break
            folder.rmdir()
        return
    file.parent.mkdir(parents=True, exist_ok=True)
    file.unlink(missing_ok=True)
    if entry.mode == "120000":
        file.symlink_to(repository.blob(entry.blob).decode())
        return
    file.write_bytes(repository.blob(entry.blob))
    file.chmod(0o755 if entry.mode == "100755" else 0o644)


# ── What main has done since ─────────────────────────────────────────────────────────────────────


def absorb(repository: Repository, step: str, paths: Sequence[str], since: str | None) -> Absorbed:
    """Let a step bring what changed on main since the steps were last written: those before it stay the same.

    With `paths` (globs) only what they match; all else reaches every step that has no overlay for it.
    """
    refuse_unclean(repository)
    record, now = read(repository)
    if by_hand := [finding for finding in now.findings if not finding.main]:
        raise BrokenSteps(by_hand, step[:2])
    at = next(index for index, one in enumerate(record.steps) if one.name == step)
    since, was = _last_sound(repository, since) or ("", now)
    if not since and at:
        raise EditRefused(
            "No commit of this history has steps that lead back. After a rebase name the one before it, with "
            "--since (`git reflog` has it); where there were never any, `strangler steps absorb 00` begins. "
            "Nothing was changed."
        )
    then, there = was.trees[-1], now.trees[-1]
    moved = {path for path in changed(then, there) if under(record.roots, path)}
    kept = matching(paths, moved) if paths else moved
    if lost := [glob for glob in paths if not matching([glob], moved)]:
        after = f" since {since[:12]}" if since else ""
        raise EditRefused(f"Nothing that {', '.join(lost)} names has changed{after}. Nothing was changed.")
    earlier = {one.name: tree for one, tree in zip(was.steps, was.trees, strict=True)}
    trees = list(now.trees)
    for index, one in enumerate(record.steps[:at]):
        if one.name in earlier:
            trees[index] = carried(earlier[one.name], then, there, kept)
    written = rewrite(repository, record, trees)
    return Absorbed(since, tuple(sorted(kept)), tuple(sorted(moved - kept)), written)


def _last_sound(repository: Repository, since: str | None) -> tuple[str, Chain] | None:
    """The newest commit that wrote a step and whose steps lead back, or the one that is named."""
    if since:
        since = repository.run("rev-parse", "--verify", f"{since}^{{commit}}")
        chain = read(repository, since)[1]
        if chain.findings:
            raise BrokenSteps(chain.findings, f"{chain.steps[-1].number:02}")
        return since, chain
    written = (f":(glob){FOLDER}/*/step.toml", f":(glob){FOLDER}/*/before/**")
    for commit in repository.run("log", "--format=%H", "HEAD", "--", *written).split():
        chain = read(repository, commit)[1]
        if not chain.findings:
            return commit, chain
    return None
