"""Every command in the runbooks is one that the command line takes, as it is typed there."""

from __future__ import annotations

import re
import shlex
from importlib import import_module
from pathlib import Path

import pytest
import rich_click as click

from strangler.cli import VERBS

DOCS = Path(__file__).parents[2] / "docs"
PAGES = [*sorted((DOCS / "runbooks").glob("*.md")), DOCS / "switching.md"]
COMMANDS = {verb.name: verb.command for verbs in VERBS.values() for verb in verbs}
TYPED = [
    (page.name, line)
    for page in PAGES
    for line in re.findall(r"(?:^\$ |`)(strangler [a-z][^`\n]*)", page.read_text(), re.MULTILINE)
]


def parse(line: str) -> None:
    """As the shell and click do; UsageError for a verb, an option or an argument that isn't there."""
    _, verb, *arguments = shlex.split(line, comments=True)
    module, _, attribute = COMMANDS[verb].partition(":")
    command = getattr(import_module(module), attribute)
    with command.make_context(verb, arguments, obj=Path(".")):
        pass


@pytest.mark.parametrize(("page", "line"), TYPED, ids=[" ".join(one) for one in TYPED])
def test_a_command_of_a_runbook_can_be_typed(page, line):
    parse(line)


def test_a_command_with_an_option_that_is_not_there_is_found():
    with pytest.raises(click.UsageError):
        parse("strangler apply catalog.write switched --now")


def test_each_page_has_commands():
    assert {page for page, _ in TYPED} == {page.name for page in PAGES}
