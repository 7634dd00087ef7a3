"""`strangler steps`: the migration as a chain of tags, built from main; checked, edited and saved."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from functools import wraps
from pathlib import Path
from typing import Any

import rich_click as click

from strangler.errors import ChangesPending
from strangler.steps import edit as editing
from strangler.steps import rewrite
from strangler.steps.build import (
    BEHIND,
    FOREIGN,
    MISSING,
    UP_TO_DATE,
    Built,
    build,
    commits,
    named,
    read,
    refuse_unclean,
    sound,
    states,
    write_tags,
)
from strangler.steps.check import Outcome, check
from strangler.steps.errors import CheckFailed
from strangler.steps.git import Repository
from strangler.steps.rewrite import Written

as_json = click.option("--json", "in_json", is_flag=True, help="Print JSON instead of text.")


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def steps() -> None:
    """Build, check and edit the steps of the migration, each of them a tag.

    The tags are made from the tree that is committed, going backwards: docs/steps/README.md says how.
    """


def in_repository(verb: Callable[..., None]) -> Callable[..., None]:
    """Hand a verb the repository first."""

    @wraps(verb)
    def with_repository(**options: Any) -> None:
        context: Any = click.get_current_context()
        verb(Repository(context.find_root().obj or Path(".")), **options)

    return with_repository


@steps.command("list")
@as_json
@in_repository
def list_steps(repository: Repository, in_json: bool) -> None:
    """Show the steps, and whether their tags are up to date with what is committed."""
    built = build(repository)[1]
    if in_json:
        return _print_json([_as_json(one) for one in built])
    width = max(len(_tag(one)) for one in built)
    for one in built:
        state = "" if one.state == UP_TO_DATE else f"  ({one.state})"
        click.echo(f"{_tag(one).ljust(width)}  {one.commit[:12]}  {one.step.title}{state}")
    if paths := repository.unclean():
        click.echo(f"\nNot committed, and so in no step: {', '.join(paths[:5])}")
    if any(one.state != UP_TO_DATE for one in built):
        click.echo("\n`strangler steps build` writes the tags.")


@steps.command("build")
@click.option("--tags/--no-tags", default=True, help="Write the tags, or build the commits alone.")
@click.option(
    "--check", "only_check", is_flag=True, help="Write no tag; exit with 3 if one isn't up to date."
)
@click.option("--force", is_flag=True, help="Overwrite a tag even if no build has made it.")
@as_json
@in_repository
def build_steps(repository: Repository, tags: bool, only_check: bool, force: bool, in_json: bool) -> None:
    """Build every step's tree from the committed one, and name them with tags.

    The same tree gives the same object ids, however often and wherever it is built.
    """
    refuse_unclean(repository)
    record, built = build(repository)
    moved: list[Built] = []
    if tags and not only_check:
        moved = write_tags(repository, built, force=force)
        built = states(repository, record, [one.commit for one in built])
    if in_json:
        _print_json([_as_json(one) for one in built])
    else:
        words = {MISSING: "made", BEHIND: "moved", FOREIGN: "overwritten"}
        wrote = {one.tag: words[one.state] for one in moved}
        for one in built:
            click.echo(f"{_tag(one)}  {one.commit[:12]}  {wrote.get(one.tag, one.state)}")
        for notice in read(repository)[1].notices:
            click.echo(f"Note: {notice}")
    if only_check and (late := [_tag(one) for one in built if one.state != UP_TO_DATE]):
        raise ChangesPending(f"{', '.join(late)}: not up to date. `strangler steps build` writes the tags.")


@steps.command("check")
@click.argument("numbers", metavar="[NN]...", nargs=-1)
@click.option("--run", is_flag=True, help="Run each step's own commands too: minutes instead of seconds.")
@as_json
@in_repository
def check_steps(repository: Repository, numbers: tuple[str, ...], run: bool, in_json: bool) -> None:
    """Check every step's tree, or those of the steps NN, in worktrees that are gone afterwards.

    Always: the way back is whole, nobody has edited before/, migrations only get added, and the quick
    commands of docs/steps/steps.toml pass. With --run also the commands of each step.toml, what they must
    show, and that each marked red_before fails by an assertion on the step before.
    """
    refuse_unclean(repository)
    record, chain = sound(repository)
    chosen = {named(record, word).name for word in numbers} or {step.name for step in record.steps}
    made = commits(repository, chain)
    outcomes = check(
        repository, record, chain, made, chosen, run=run, tell=(lambda _: None) if in_json else _tell
    )
    if in_json:
        _print_json({"outcomes": [asdict(one) for one in outcomes], "notices": chain.notices})
    else:
        for name in sorted(chosen):
            click.echo(f"{name}: {sum(one.seconds for one in outcomes if one.step == name):.1f} s")
        for notice in chain.notices:
            click.echo(f"Note: {notice}")
    if failed := [one for one in outcomes if not one.passed]:
        raise CheckFailed(f"{len(failed)} of {len(outcomes)} checks failed: no tag was touched.")


@steps.command("edit")
@click.argument("number", metavar="NN", required=False)
@click.option("--onto-main", is_flag=True, help="Take the edit under way onto main as it is now.")
@click.option("--abort", is_flag=True, help="Give the edit up; main's files were never touched.")
@in_repository
def edit_step(repository: Repository, number: str | None, onto_main: bool, abort: bool) -> None:
    """Lay the steps out as a branch in a worktree, checked out at step NN; commit there, then save."""
    if (number is not None) + onto_main + abort != 1:
        raise click.UsageError("Name a step NN, or say --onto-main or --abort.")
    if abort:
        given_up = editing.abort(repository)
        click.echo(f"The edit of {given_up.step} is given up." if given_up else "No step is being edited.")
        return
    if onto_main:
        edit = editing.onto_main(repository)
        click.echo(
            f"{edit.step} and your commits stand on main as it is now. `strangler steps save` goes on."
        )
        return
    edit = editing.begin(repository, named(read(repository)[0], str(number)))
    click.echo(f"{edit.step} is checked out in {edit.worktree}, on the branch {editing.BRANCH}.")
    click.echo("Commit there what it should be. The steps after it are rebased by `strangler steps save`.")


@steps.command("save")
@as_json
@in_repository
def save_steps(repository: Repository, in_json: bool) -> None:
    """Rebase the later steps onto the edited one, and write the overlays back to main's working tree."""
    _print_written(editing.save(repository), in_json)


@steps.command("absorb")
@click.argument("number", metavar="NN")
@click.argument("paths", metavar="[PATH]...", nargs=-1)
@click.option(
    "--since", metavar="COMMIT", help="Reckon from here, not from where the steps were last written."
)
@as_json
@in_repository
def absorb_into(
    repository: Repository, number: str, paths: tuple[str, ...], since: str | None, in_json: bool
) -> None:
    """Let step NN bring what has changed on main; the steps before NN stay byte for byte as they were.

    With PATHs (globs) that holds for those alone; all else that has changed reaches every step.
    """
    step = named(read(repository)[0], number)
    absorbed = rewrite.absorb(repository, step.name, paths, since)
    if in_json:
        return _print_json(asdict(absorbed))
    click.echo(f"Since {absorbed.since[:12]}:" if absorbed.since else "From the beginning:")
    for path in absorbed.kept:
        click.echo(f"  {step.name} brings  {path}")
    for path in absorbed.follow:
        click.echo(f"  every step has  {path}")
    if not absorbed.kept and not absorbed.follow:
        click.echo("  nothing that overlays may cover has changed")
    _print_written(absorbed.written, in_json)


def _print_written(written: Written, in_json: bool) -> None:
    if in_json:
        return _print_json(asdict(written))
    if not written.steps and not written.files:
        click.echo("Nothing had to be written: the overlays say that already.")
        return
    for path in written.files:
        click.echo(f"wrote {path}")
    for name in written.steps:
        click.echo(f"wrote the overlay of {name}")
    click.echo("Look at it with `git status`, commit it, then `strangler steps check` and `build`.")


def _tell(outcome: Outcome) -> None:
    mark = "ok  " if outcome.passed else "FAIL"
    click.echo(f"{mark}  {outcome.step}  {outcome.check}  {outcome.seconds:.1f} s")
    if outcome.said:
        click.echo(f"      {outcome.said}")


def _tag(one: Built) -> str:
    return one.tag.removeprefix("refs/tags/")


def _as_json(one: Built) -> dict[str, str]:
    return {
        "step": one.step.name,
        "title": one.step.title,
        "tag": _tag(one),
        "commit": one.commit,
        "points_at": one.points_at,
        "state": one.state,
    }


def _print_json(value: Any) -> None:
    click.echo(json.dumps(value, indent=2))
