"""From a commit to a chain of commits, one for each step, and to the tags that name them."""

from __future__ import annotations

from dataclasses import dataclass

from strangler.steps import record as records
from strangler.steps.errors import BrokenSteps, ForeignTag, NoSteps, Unclean
from strangler.steps.git import Repository
from strangler.steps.record import FOLDER, Record
from strangler.steps.tree import Chain, Step, backwards

FIRST_DAY, DAY = 1767225600, 86400  # 2026-01-01, and the steps follow day by day
TRAILER = "Step: "

UP_TO_DATE, MISSING, BEHIND, FOREIGN = "up to date", "missing", "behind", "somebody else's"


@dataclass(frozen=True)
class Built:
    """A step's commit, the full name of its tag, and what that tag points at ("" if there is none)."""

    step: Step
    commit: str
    tag: str
    points_at: str
    state: str


def read(repository: Repository, commit: str = "HEAD") -> tuple[Record, Chain]:
    """The steps as a commit records them, and the trees that follow from its own, with their findings."""
    tree = repository.tree(commit)
    record = records.read(tree, lambda entry: repository.blob(entry.blob).decode())
    last = {path: entry for path, entry in tree.items() if not records.left_out(path)}
    return record, backwards(record.roots, record.steps, last)


def sound(repository: Repository, commit: str = "HEAD") -> tuple[Record, Chain]:
    """The same; BrokenSteps if there is anything wrong with the way back."""
    record, chain = read(repository, commit)
    if chain.findings:
        raise BrokenSteps(chain.findings, f"{chain.steps[-1].number:02}")
    return record, chain


def refuse_unclean(repository: Repository) -> None:
    """Steps are made of what is committed; anything else would silently be missing from them."""
    if paths := repository.unclean():
        more = f" and {len(paths) - 3} more" if len(paths) > 3 else ""
        raise Unclean(
            f"{', '.join(paths[:3])}{more} would be missing from the steps: commit or stash first. "
            "Nothing was changed."
        )


def commits(repository: Repository, chain: Chain) -> list[str]:
    """A linear chain of commits, one for each step. The same trees and titles give the same ids."""
    made: list[str] = []
    for step, tree in zip(chain.steps, chain.trees, strict=True):
        message = (
            f"{step.number:02}: {step.title}\n\n"
            f"Why, what changed, how to verify it and the way back: {FOLDER}/{step.name}/README.md\n\n"
            f"{TRAILER}{step.name}\n"
        )
        when = FIRST_DAY + step.number * DAY
        made.append(repository.write_commit(repository.write_tree(tree), made[-1:], message, when))
    return made


def build(repository: Repository) -> tuple[Record, list[Built]]:
    """Every step's commit, beside what its tag says now. No tag is touched."""
    record, chain = sound(repository)
    return record, states(repository, record, commits(repository, chain))


def states(repository: Repository, record: Record, made: list[str]) -> list[Built]:
    """How the tags stand to the commits that they should name."""
    refs = repository.refs("refs/tags")
    built = []
    for step, commit in zip(record.steps, made, strict=True):
        tag = f"refs/tags/{record.prefix}{step.name}"
        there = refs.get(tag, "")
        if not there:
            state = MISSING
        elif there == commit:
            state = UP_TO_DATE
        else:
            state = BEHIND if repository.is_ours(there) else FOREIGN
        built.append(Built(step, commit, tag, there, state))
    return built


def write_tags(repository: Repository, built: list[Built], *, force: bool = False) -> list[Built]:
    """Point every tag at its step's commit, all or none; those that had to move.

    ForeignTag if one points at what no build has made, unless `force`.
    """
    foreign = [one for one in built if one.state == FOREIGN]
    if foreign and not force:
        named = ", ".join(one.tag.removeprefix("refs/tags/") for one in foreign)
        raise ForeignTag(
            f"{named}: a tag of this name is there, and it points at something that no build has made. "
            "No tag was changed. Delete or rename it, or overwrite it with --force."
        )
    moved = [one for one in built if one.state != UP_TO_DATE]
    if moved:
        repository.update_refs(
            {one.tag: one.commit for one in moved},
            {one.tag: one.points_at for one in moved if one.points_at},
            "strangler steps build",
        )
    return moved


def named(record: Record, word: str) -> Step:
    """The step that a number or a name means."""
    for step in record.steps:
        if word in (step.name, f"{step.number:02}", str(step.number), record.prefix + step.name):
            return step
    known = ", ".join(step.name for step in record.steps)
    raise NoSteps(f"There is no step {word!r}; there are: {known}. Nothing was changed.")
