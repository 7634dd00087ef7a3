"""Every id that names another context's row without a constraint has a rule, and somebody who keeps it."""

from __future__ import annotations

import inspect
import re
from importlib import import_module

import pytest
from django.apps import apps

from strangler.chassis.inbox import subscriptions
from tests.architecture.test_registry import contexts, crosses, is_id_with_rule
from tests.tree import ROOT, skip_without

skip_without("monolith/ordering/migrations/0002_pre_drop_catalog_constraints.py")

ROW = re.compile(
    r"\| `(?P<id>[\w.]+)` \| `(?P<of>[\w.]+)` \| (?P<rule>(?:cascade|null) by event) `(?P<event>[\w.]+)` "
    r"\| `(?P<file>[\w/.]+)` \|"
)
PAGE = (ROOT / "docs" / "ids.md").read_text()
RULES = {match["id"]: match for match in map(ROW.fullmatch, PAGE.splitlines()) if match}


def ids():
    """Fields that join rows of two contexts and bind none, by their name in the table."""
    models = [model for context in contexts() for model in context.get_models()]
    fields = [field for model in models for field in model._meta.local_fields]
    # Reporting keeps rows of its own of what it was told: those are no other context's.
    return {
        f"{one.model._meta.label}.{one.name}": one
        for one in fields
        if one.is_relation and crosses(one) and is_id_with_rule(one)
    }


def test_the_table_lists_every_id_and_whose_it_is():
    assert {name: rule["of"] for name, rule in RULES.items()} == {
        name: field.related_model._meta.label for name, field in ids().items()
    }
    assert len(RULES) >= 8


@pytest.mark.parametrize("name", sorted(RULES))
def test_the_rule_stands_beside_the_field(name):
    rule = RULES[name]
    model = apps.get_model(*name.split(".")[:2])
    declared = (
        rf"    {name.split('.')[2]} = models\.ForeignKey\(  # {rule['rule']}: {re.escape(rule['event'])}\n"
    )
    assert re.search(declared, inspect.getsource(model))


@pytest.mark.parametrize("name", sorted(RULES))
def test_the_rule_is_kept_by_a_handler_of_whoever_holds_the_id(name):
    rule = RULES[name]
    context = name.split(".")[0]
    assert rule["file"] == f"monolith/{context}/handlers.py"
    heard = {
        type: handler
        for one in subscriptions.declared()
        for type, (_, handler) in one._handlers.items()
        if handler.__module__ == f"monolith.{context}.handlers"
    }
    handler = inspect.getsource(heard[rule["event"]])
    assert re.search(rf"\b{name.split('.')[1]}\.objects", handler), f"{handler} does nothing about {name}"


@pytest.mark.parametrize("name", sorted(RULES))
def test_an_id_that_may_be_emptied_may_be_null(name):
    field = ids()[name]
    assert field.null is RULES[name]["rule"].startswith("null")


def test_every_event_of_a_rule_is_announced():
    types = {
        one.type.rpartition(".")[0]
        for rule in RULES.values()
        for one in vars(import_module(f"monolith.{rule['event'].split('.')[0]}.events")).values()
        if isinstance(one, type) and hasattr(one, "type")
    }
    assert {rule["event"] for rule in RULES.values()} <= types
