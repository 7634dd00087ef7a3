"""Editing a step: the chain laid out as a branch in a worktree, and its way back into the overlays.

The author commits in the worktree, git rebases the later steps, and what differs between two steps' trees
becomes the overlay again. Main's files are written at the end alone, and committed by the author.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from strangler.steps import record as records
from strangler.steps.build import TRAILER, commits, refuse_unclean, sound
from strangler.steps.errors import EditRefused
from strangler.steps.git import MAIL, NAME, Repository
from strangler.steps.record import Record
from strangler.steps.rewrite import Written, rewrite
from strangler.steps.tree import Step, Tree, carried, changed, under

BRANCH = "steps-edit"
KEPT = "refs/strangler/steps-edit"  # keeps the chain from being collected while it is edited
US = {"GIT_COMMITTER_NAME": NAME, "GIT_COMMITTER_EMAIL": MAIL}


@dataclass(frozen=True)
class Edit:
    """An edit under way: the step, main's commit that it began from, and the chain's commits by step.

    `main` is the working tree that `save` writes to. `tip` is the author's last commit, once the later steps
    are being rebased onto it; `left` the one that a rebase onto a newer main began with.
    """

    step: str
    base: str
    chain: Mapping[str, str]
    main: str
    worktree: str
    tip: str = ""
    left: str = ""


# ── Beginning, and giving up ─────────────────────────────────────────────────────────────────────


def begin(repository: Repository, step: Step) -> Edit:
    """Lay the steps out as a branch, checked out at `step`, in a worktree of its own."""
    if found := current(repository):
        raise EditRefused(
            f"{found.step} is being edited in {found.worktree}. `strangler steps save` writes it back, "
            "`strangler steps edit --abort` gives it up. Nothing was changed."
        )
    refuse_unclean(repository)
    if repository.refs(f"refs/heads/{BRANCH}"):
        raise EditRefused(
            f"There is a branch {BRANCH} that this didn't make. Rename or delete it. Nothing was changed."
        )
    record, chain = sound(repository)
    made = commits(repository, chain)
    edit = Edit(
        step=step.name,
        base=repository.head(),
        chain={one.name: commit for one, commit in zip(record.steps, made, strict=True)},
        main=str(repository.directory),
        worktree=str(repository.directory / ".strangler" / "steps" / "edit"),
    )
    _remember(repository, edit)  # first, so that --abort finds whatever comes next
    try:
        _drop_worktree(repository, edit)
        repository.run("update-ref", KEPT, made[-1])
        repository.run("worktree", "add", "--quiet", "-b", BRANCH, edit.worktree, edit.chain[step.name])
    except BaseException:
        abort(repository)
        raise
    return edit


def abort(repository: Repository) -> Edit | None:
    """Give an edit up: worktree, branch and what kept the chain are gone; main's files were never touched."""
    edit = current(repository)
    if edit:
        _drop_worktree(repository, edit)
        _state(repository).unlink()
    return edit


def current(repository: Repository) -> Edit | None:
    """The edit that is under way."""
    try:
        return Edit(**json.loads(_state(repository).read_text()))
    except FileNotFoundError:
        return None


def _drop_worktree(repository: Repository, edit: Edit) -> None:
    shutil.rmtree(edit.worktree, ignore_errors=True)
    repository.run("worktree", "prune")
    for ref, points_at in {**repository.refs(f"refs/heads/{BRANCH}"), **repository.refs(KEPT)}.items():
        repository.run("update-ref", "-d", ref, points_at)


def _state(repository: Repository) -> Path:
    return repository.common() / "strangler-steps-edit.json"


def _remember(repository: Repository, edit: Edit) -> None:
    path = _state(repository)
    path.with_suffix(".new").write_text(json.dumps(asdict(edit), indent=2))
    path.with_suffix(".new").replace(path)


# ── Main has moved ───────────────────────────────────────────────────────────────────────────────


def onto_main(repository: Repository) -> Edit:
    """Lay the steps out anew from main as it is now, and take the author's commits over."""
    edit = _under_way(repository)
    worktree, main = Path(edit.worktree), Repository(Path(edit.main))
    at_rest(repository, worktree)
    refuse_unclean(main)
    record, chain = sound(main)
    made = dict(zip((step.name for step in record.steps), commits(main, chain), strict=True))
    if edit.step not in made:
        raise EditRefused(f"Main has no step {edit.step} any more. Your commits stay in {worktree}.")
    same = made[edit.step] == edit.chain[edit.step]  # main has moved in later steps alone
    left = "" if same else repository.run("rev-parse", BRANCH)
    moved = replace(edit, base=main.head(), chain=made, tip="", left=left)
    _remember(repository, moved)
    repository.run("update-ref", KEPT, list(made.values())[-1])
    _rebase(repository, worktree, made[edit.step], edit.chain[edit.step], BRANCH, "onto main as it is now")
    return moved


# ── Saving ───────────────────────────────────────────────────────────────────────────────────────


def save(repository: Repository) -> Written:
    """Rebase the later steps onto what was committed, and write every overlay that changed back to main."""
    edit = _under_way(repository)
    worktree, main = Path(edit.worktree), Repository(Path(edit.main))
    top = at_rest(repository, worktree)
    if edit.tip and not _is_ancestor(repository, edit.tip, top):
        # The rebase of the later steps was given up; it begins again from the author's branch.
        repository.run("checkout", "--quiet", BRANCH, at=worktree)
        edit, top = replace(edit, tip=""), repository.head(worktree)
    if edit.left and top == edit.left:
        raise EditRefused(
            "The rebase onto main as it is now was given up, and your commits stand on main as it was. "
            "`strangler steps edit --onto-main` tries again. Nothing was written to main."
        )
    names = list(edit.chain)
    before = names[: names.index(edit.step)][-1:]
    if before and not _is_ancestor(repository, edit.chain[before[0]], top):
        raise EditRefused(
            f"The branch doesn't hold {before[0]} as it was, and an edit of {edit.step} changes no step "
            f"before it. Edit the earliest one that changes. Your commits stay in {edit.worktree}."
        )
    if not edit.tip and names[-1] != edit.step:
        edit = replace(edit, tip=top)
        _remember(repository, edit)
        _rebase(
            repository,
            worktree,
            top,
            edit.chain[edit.step],
            edit.chain[names[-1]],
            "of the later steps onto it",
        )
        top = repository.head(worktree)
    record, trees = _onto_head(main, edit, _trees(repository, edit, top))
    written = rewrite(main, record, trees)
    abort(repository)
    return written


def _under_way(repository: Repository) -> Edit:
    if not (edit := current(repository)):
        raise EditRefused("No step is being edited; `strangler steps edit NN` begins. Nothing was changed.")
    if not Path(edit.worktree).is_dir():
        raise EditRefused(
            f"{edit.worktree} is gone; what was committed there is still on the branch {BRANCH}. Take it "
            "elsewhere if you need it: `strangler steps edit --abort` clears the rest."
        )
    return edit


def at_rest(repository: Repository, worktree: Path) -> str:
    """The commit that the worktree stands at; refused in a rebase, or with anything uncommitted."""
    git_directory = Path(repository.run("rev-parse", "--absolute-git-dir", at=worktree))
    if (git_directory / "rebase-merge").exists():
        raise EditRefused(_stopped(repository, worktree, "is under way"))
    if paths := repository.unclean(worktree):
        raise EditRefused(
            f"{', '.join(paths[:3])} in {worktree} isn't committed. Commit it there, then save again. "
            "Nothing was written to main."
        )
    return repository.head(worktree)


def _rebase(repository: Repository, worktree: Path, onto: str, since: str, last: str, what: str) -> None:
    words = ("rebase", "--quiet", "--empty=keep", "--reapply-cherry-picks", "--no-autosquash", "--onto")
    done = repository.attempt(*words, onto, since, last, env=US, at=worktree)
    if done.returncode:
        raise EditRefused(_stopped(repository, worktree, what, done.stderr.decode(errors="replace")))


def _stopped(repository: Repository, worktree: Path, what: str, said: str = "") -> str:
    files = repository.run("diff", "--name-only", "--diff-filter=U", at=worktree).splitlines()
    at = repository.attempt("log", "-1", "--format=%s", "REBASE_HEAD", at=worktree)
    where = f" at “{at.stdout.decode().strip()}”" if at.returncode == 0 else ""
    why = f", where {', '.join(files)} changed in both" if files else f": {said.strip()}" if said else ""
    return (
        f"The rebase {what} stopped{where}{why}. Nothing was written to main. In {worktree} make each file "
        "what it should be in that step, `git add` it, `git rebase --continue`, then `strangler steps save`. "
        "`strangler steps edit --abort` gives the whole edit up."
    )


def _is_ancestor(repository: Repository, one: str, other: str) -> bool:
    return repository.attempt("merge-base", "--is-ancestor", one, other).returncode == 0


def _trees(repository: Repository, edit: Edit, top: str) -> list[Tree]:
    """Each step's tree as the branch has it now: at the last commit before the next step's own."""
    names = list(edit.chain)
    at = names.index(edit.step)
    since = [edit.chain[name] for name in names[:at]][-1:]
    trailers = f"--format=%H %(trailers:key={TRAILER.rstrip(': ')},valueonly,separator=%x20)"
    log = repository.run("log", "--reverse", "--topo-order", trailers, top, *(f"^{one}" for one in since))
    last_of, step, ahead = {edit.step: edit.chain[edit.step]}, edit.step, names[at + 1 :]
    for line in log.splitlines():
        commit, _, trailer = line.partition(" ")
        if ahead and trailer == ahead[0]:
            step = ahead.pop(0)
        last_of[step] = commit
    if ahead:
        raise EditRefused(
            f"The branch holds no commit that ends with the line “{TRAILER}{ahead[0]}”. Nothing was written "
            f"to main, and your commits stay in {edit.worktree}."
        )
    return [repository.tree({**edit.chain, **last_of}[name]) for name in names]


def _onto_head(main: Repository, edit: Edit, trees: list[Tree]) -> tuple[Record, list[Tree]]:
    """The edited trees on main as it is now; refused where the edit and main have changed the same files."""
    record, chain = sound(main, edit.base)
    edited = [changed(was, now) for was, now in zip(chain.trees, trees, strict=True)]
    for name, paths in zip(edit.chain, edited, strict=True):
        if outside := sorted(path for path in paths if not under(record.roots, path)):
            raise EditRefused(
                f"{name} changes {', '.join(outside[:3])}, which is the same in every tree: change it "
                f"on main instead. Overlays cover {', '.join(record.roots)}. "
                f"Your commits stay in {edit.worktree}."
            )
    refuse_unclean(main)
    if main.head() == edit.base:
        return record, trees
    then, there = main.tree(edit.base), main.tree("HEAD")
    moved = changed(then, there)
    both = sorted(moved & set().union(*edited)) + sorted(path for path in moved if records.left_out(path))
    if both:
        raise EditRefused(
            f"Main has moved since this edit began, and {', '.join(both[:3])} changed there too. "
            "Nothing was written. `strangler steps edit --onto-main` takes your commits to main as it is "
            "now; then save again."
        )
    return record, [carried(tree, then, there) for tree in trees]
