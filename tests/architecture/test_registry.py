"""Knots that no import shows: the debt list in monolith/.entanglements may only shrink.

Looked for: relations between models of two contexts (foreign keys, one-to-one, many-to-many, generic ones),
models named by strings, another context's tables in SQL, lookups that join another context's tables, and
templates that walk into another context.
"""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
from django.apps import AppConfig, apps
from django.contrib.contenttypes.fields import GenericForeignKey
from django.db import models
from django.db.models import DO_NOTHING
from django.test.utils import isolate_apps

ROOT = Path(__file__).parents[2]
DEBT = ROOT / "monolith" / ".entanglements"
SQL = re.compile(r"\b(select|update|insert|delete|copy|from|join)\b", re.IGNORECASE)
LABELS = sorted(path.parent.name for path in (ROOT / "monolith").glob("*/apps.py"))


def contexts() -> list[AppConfig]:
    return [apps.get_app_config(label) for label in LABELS]


# ── The registry ─────────────────────────────────────────────────────────────────────────────────


def relations(ours: Iterable[type[models.Model]]) -> Iterator[str]:
    """Fields that tie a row of one context to a row of another, with what a deletion does."""
    for model in ours:
        for field in [
            *model._meta.local_fields,
            *model._meta.local_many_to_many,
            *model._meta.private_fields,
        ]:
            where = f"{model._meta.label}.{field.name}"
            if isinstance(field, GenericForeignKey):
                yield f"generic {where}"
            elif crosses(field):
                target = field.related_model._meta.label
                if is_id_with_rule(field):
                    continue
                if field.many_to_many:
                    yield f"many-to-many {where} -> {target}"
                else:
                    yield f"foreign-key {where} -> {target} {field.remote_field.on_delete.__name__}"


def is_id_with_rule(field: models.Field) -> bool:
    """Whether a field joins rows and binds none: tests/architecture/test_rules.py asks for its rule."""
    return not field.many_to_many and not field.db_constraint and field.remote_field.on_delete is DO_NOTHING


def crosses(field: models.Field) -> bool:
    related = field.related_model
    if related is None or isinstance(related, str):
        return False
    label = related._meta.app_label
    return label in LABELS and label != field.model._meta.app_label


def ways_out(own: str) -> set[str]:
    """Names by which code and templates of a context step into another one, forward and reverse.

    A name that the context's own models use for a relation among themselves isn't one.
    """
    out, inside = set(), set()
    for context in contexts():
        for model in context.get_models():
            for field in model._meta.get_fields(include_hidden=True):
                if isinstance(field, GenericForeignKey) or not field.is_relation:
                    continue
                name = field.get_accessor_name() if field.auto_created and not field.concrete else field.name
                if name and not name.endswith("+"):
                    if crosses(field):
                        out.add(name)
                    elif context.label == own:
                        inside.add(name)
    return out - inside


# ── Code and templates ───────────────────────────────────────────────────────────────────────────


def sources() -> Iterator[tuple[str, str, Path]]:
    """The monolith's code: the context ("" for what belongs to none), the file's name, and where it lies."""
    folder = ROOT / "monolith"
    for path in sorted(folder.rglob("*.py")):
        inside = path.relative_to(folder)
        if "migrations" not in inside.parts and path.name not in ("anticorruption.py", "settings.py"):
            yield inside.parts[0] if inside.parts[0] in LABELS else "", inside.as_posix(), path


def in_code(own: str, name: str, path: Path) -> Iterator[str]:
    """Models and tables of other contexts that are named in strings, and lookups that join other contexts."""
    others = "|".join(label for label in LABELS if label != own)
    out = ways_out(own)
    for node in ast.walk(ast.parse(path.read_text())):
        lookup = None
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            text = node.value
            lookup = text if re.fullmatch(r"-?[a-z]\w*", text) else None
            if re.fullmatch(rf"({others})\.[A-Z]\w+", text) and path.name != "models.py":
                yield f"named-model {name} {text}"
            if re.fullmatch(r"\w+", text) or SQL.search(text):
                yield from (f"sql {name} {table}" for table in re.findall(rf"\b(?:{others})_[a-z]+\b", text))
        elif isinstance(node, ast.keyword):
            lookup = node.arg
        if lookup and "__" in lookup and not out.isdisjoint(lookup.removeprefix("-").split("__")):
            yield f"lookup {name} {lookup}"


def in_templates(context: AppConfig) -> Iterator[str]:
    """Dots in a template that step over a relation into another context."""
    folder = Path(context.path) / "templates"
    out = ways_out(context.label)
    expression = re.compile(r"{[{%](.*?)[%}]}", re.DOTALL)
    for path in sorted(folder.rglob("*.html")):
        name = path.relative_to(ROOT / "monolith").as_posix()
        for text in expression.findall(path.read_text()):
            for dotted in re.findall(r"[a-z_]+(?:\.[a-z_]+)+", re.sub(r"\"[^\"]*\"|'[^']*'", "", text)):
                for step in dotted.split(".")[1:]:
                    if step in out:
                        yield f"template {name} .{step}"


def knots() -> set[str]:
    found = set(relations(model for context in contexts() for model in context.get_models()))
    for source in sources():
        found |= set(in_code(*source))
    for context in contexts():
        found |= set(in_templates(context))
    return found


def listed() -> list[str]:
    lines = DEBT.read_text().splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def test_no_knot_is_added_and_none_that_is_cut_stays_listed():
    found, debt = knots(), set(listed())
    added, cut = sorted(found - debt), sorted(debt - found)
    assert not added, "New knots between contexts; ask through anticorruption.py instead:\n" + "\n".join(
        added
    )
    assert not cut, f"Cut, well done; take these lines out of {DEBT.name}:\n" + "\n".join(cut)


def test_the_debt_list_is_sorted_and_names_each_knot_once():
    debt = listed()
    assert debt == sorted(debt)
    assert [line for line, times in Counter(debt).items() if times > 1] == []


# ── Each kind of knot is seen ────────────────────────────────────────────────────────────────────


@isolate_apps("monolith.ordering")
def test_relations_into_another_context_are_seen():
    class Hat(models.Model):
        product = models.ForeignKey(apps.get_model("catalog.Product"), on_delete=models.CASCADE)
        wearers = models.ManyToManyField(apps.get_model("identity.User"))
        order = models.ForeignKey(apps.get_model("ordering.Order"), on_delete=models.CASCADE)
        seller = models.ForeignKey(
            apps.get_model("catalog.Seller"), on_delete=models.DO_NOTHING, db_constraint=False
        )
        review = models.ForeignKey(
            apps.get_model("catalog.Review"), on_delete=models.CASCADE, db_constraint=False
        )

        class Meta:
            app_label = "ordering"

    assert sorted(relations([Hat])) == [
        "foreign-key ordering.Hat.product -> catalog.Product CASCADE",
        "foreign-key ordering.Hat.review -> catalog.Review CASCADE",
        "many-to-many ordering.Hat.wearers -> identity.User",
    ]


@pytest.mark.parametrize(
    ("code", "knot"),
    [
        ('apps.get_model("ordering.Order")', "named-model catalog/hats.py ordering.Order"),
        ('cursor.execute("SELECT * FROM ordering_order")', "sql catalog/hats.py ordering_order"),
        ("Product.objects.filter(order_lines__order=1)", "lookup catalog/hats.py order_lines__order"),
        ('products.prefetch_related("stock__warehouse")', "lookup catalog/hats.py stock__warehouse"),
    ],
)
def test_names_in_code_are_seen(tmp_path, code, knot):
    file = tmp_path / "hats.py"
    file.write_text(code)
    assert list(in_code("catalog", "catalog/hats.py", file)) == [knot]


def test_templates_that_walk_into_another_context_are_seen(tmp_path, monkeypatch):
    template = tmp_path / "monolith" / "catalog" / "templates" / "hats.html"
    template.parent.mkdir(parents=True)
    template.write_text(
        "{% if product.stock.all %}{{ review.author.display_name }}{{ product.name }}{% endif %}"
    )
    monkeypatch.setitem(globals(), "ROOT", tmp_path)
    context = apps.get_app_config("catalog")
    monkeypatch.setattr(context, "path", str(tmp_path / "monolith" / "catalog"))
    assert sorted(in_templates(context)) == [
        "template catalog/templates/hats.html .author",
        "template catalog/templates/hats.html .stock",
    ]
