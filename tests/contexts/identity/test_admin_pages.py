"""The admin's lists, and a page for a row of every model"""

import pytest
from django.apps import apps
from django.contrib import admin
from django.core.management import call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext

from monolith.ordering.models import Note
from monolith.payments.models import Payment, ProviderEvent
from monolith.reporting.tasks import sum_up_sales
from tests.contexts.factories import (
    ADDRESS,
    a_category,
    a_product,
    a_review,
    a_seller,
    a_user,
    a_voucher,
    a_watch,
    an_offer,
    stock_of,
)

CONTEXTS = (
    "catalog",
    "identity",
    "inventory",
    "ordering",
    "promotions",
    "payments",
    "fulfilment",
    "notifications",
    "reporting",
)
MODELS = [model for model in apps.get_models() if model._meta.app_label in CONTEXTS]


@pytest.fixture
def fill(visit, deliver):
    """Makes one row of every model at least, with a seller, a shelf, a buyer and a note of their own."""

    def fill(number):
        buyer, seller = (
            a_user(f"buyer{number}"),
            a_seller(f"Seller {number}", staff=(a_user(f"staff{number}"),)),
        )
        shelf = a_category(f"Leaf {number}", parent=a_category(f"Shelf {number}"))
        product = a_product(f"RUG-{number}", seller=seller, category=shelf)
        stock_of(product, 5, f"W{number}")
        a_review(product, buyer)
        a_watch(product, buyer)
        browser = visit("anonymous")
        browser.force_login(buyer)
        browser.post(f"/cart/{product.pk}/add/", {"quantity": 1})
        a_voucher(f"RUG-{number}")
        an_offer(product)
        assert browser.post("/checkout/", ADDRESS | {"voucher": f"RUG-{number}"}).status_code == 302
        payment = Payment.objects.latest("id")
        ProviderEvent.objects.create(event=f"evt_{number}", kind="payment.authorised", payment=payment)
        call_command("restate_events", verbosity=0)
        deliver()
        sum_up_sales("2000-01-01", "2100-01-01")
        Note.objects.create(subject=product, author=buyer, text="Asked about this.")

    return fill


def address(model, page):
    return f"/admin/{model._meta.app_label}/{model._meta.model_name}/{page}"


def test_the_admin_asks_strangers_to_sign_in(visit):
    assert "Garish Parts" in visit("anonymous").get("/admin/", follow=True).text


def test_every_model_is_in_the_admin():
    assert [model for model in MODELS if not admin.site.is_registered(model)] == []


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model._meta.label)
def test_every_row_has_a_page_with_what_hangs_on_it(fill, boss, model):
    fill(1)
    page = boss.get(address(model, f"{model._default_manager.first().pk}/change/"))
    assert page.status_code == 200


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model._meta.label)
def test_every_list_is_searched_and_a_longer_one_costs_no_more_queries(fill, boss, model):
    def queries():
        with CaptureQueriesContext(connection) as captured:
            page = boss.get(address(model, "?q=" if admin.site._registry[model].search_fields else ""))
        assert page.status_code == 200
        assert page.context["cl"].result_count
        return len(captured)

    fill(1)
    few = queries()
    for number in range(2, 6):
        fill(number)
    assert queries() <= few


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model._meta.label)
def test_every_model_that_may_be_added_has_a_form_for_it(boss, model):
    answer = boss.get(address(model, "add/")).status_code
    assert answer == (
        200 if admin.site._registry[model].has_add_permission(boss.get("/admin/").wsgi_request) else 403
    )


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model._meta.label)
def test_support_looks_at_every_row_and_changes_none(fill, visit, model):
    fill(1)
    browser = visit("anonymous")
    browser.force_login(a_user("support", "support", is_staff=True))
    page = browser.get(address(model, f"{model._default_manager.first().pk}/change/"))
    assert page.status_code == 200
    assert not page.context["has_change_permission"]
    assert 'name="_save"' not in page.text
    assert browser.post(address(model, f"{model._default_manager.first().pk}/change/"), {}).status_code == 403


def test_the_opened_admin_shows_staff_without_the_role_nothing(visit):
    browser = visit("anonymous")
    browser.force_login(a_user("clerk", "buyer", is_staff=True))
    assert browser.get("/admin/catalog/product/").status_code == 403


@pytest.mark.parametrize("role", ["anonymous", "buyer", "staff"])
def test_the_admin_is_closed_to_everybody_else(visit, role):
    assert visit(role).get("/admin/")["Location"] == "/admin/login/?next=/admin/"
