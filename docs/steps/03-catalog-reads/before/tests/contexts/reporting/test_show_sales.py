"""GET /api/reporting/sales/ and GET /reports/sales/"""

import pytest
from django.utils import timezone

from monolith.payments.models import Payment
from tests.contexts.factories import a_product, a_seller, a_user, a_voucher, an_order, stock_of

TODAY = timezone.now().date().isoformat()
URL = f"/api/reporting/sales/?since={TODAY}&until={TODAY}"


@pytest.fixture
def sold(ask):
    """Of Rugs and Rotors: two rugs with a voucher, paid; of Rivals: a hat. A third order was cancelled."""
    rug, hat = a_product(price="12.50"), a_product("HAT", price="8.00", seller=a_seller("Rivals"))
    stock_of(rug, 9)
    stock_of(hat, 9)
    a_voucher(percent=20)
    buyer = ask("buyer")
    an_order(buyer, rug, 2, voucher="GARISH-20")
    Payment.objects.update(state="captured")
    an_order(buyer, hat)
    cancelled = an_order(buyer, hat)
    buyer.post(f"/api/ordering/orders/{cancelled.pk}/cancel/")


def test_sales_are_summed_up_by_seller_without_what_was_cancelled(ask, sold):
    rows = [tuple(row.values())[1:] for row in ask("admin").get(URL).json()]
    assert rows == [
        ("Rugs and Rotors", 1, 2, "25.00", "5.00", "25.00"),
        ("Rivals", 1, 1, "8.00", "0.00", "0.00"),
    ]


def test_other_days_have_other_sales(ask, sold):
    assert ask("admin").get("/api/reporting/sales/?since=2020-01-01&until=2020-01-31").json() == []


@pytest.mark.parametrize(
    ("role", "answer"), [("anonymous", 401), ("buyer", 403), ("support", 403), ("admin", 200)]
)
def test_reports_are_for_admins(ask, role, answer):
    assert ask(role).get(URL).status_code == answer


@pytest.mark.parametrize(
    "days", ["", "?since=2026-02-01", "?since=x&until=y", "?since=2026-02-02&until=2026-02-01"]
)
def test_days_that_are_none_are_refused(ask, days):
    assert ask("admin").get(f"/api/reporting/sales/{days}").status_code == 400


@pytest.mark.parametrize("days", ["?since=0001-01-01&until=9999-12-31", "?until=0001-01-01"])
def test_the_first_and_the_last_day_of_all_are_days(ask, visit, days):
    assert visit("admin").get(f"/reports/sales/{days}").status_code == 200


def test_the_page_shows_the_last_thirty_days_and_what_they_come_to(visit, sold):
    page = visit("admin").get("/reports/sales/")
    assert [row["name"] for row in page.context["rows"]] == ["Rugs and Rotors", "Rivals"]
    assert "33.00" in page.text


def test_the_page_refuses_days_that_run_backwards_at_their_field(visit, sold):
    page = visit("admin").get("/reports/sales/?since=2026-02-02&until=2026-02-01")
    assert page.context["form"].errors.keys() == {"until"}


def test_the_page_is_for_admins(visit):
    assert visit("support").get("/reports/sales/").status_code == 403
    assert visit("anonymous").get("/reports/sales/")["Location"].startswith("/account/login/")
    assert "/reports/sales/" in visit("admin").get("/shop/").text
    assert "/reports/sales/" not in visit("buyer").get("/shop/").text


def test_the_report_costs_one_query_however_many_sellers_there_are(ask, sold, django_assert_num_queries):
    from monolith.reporting.selectors import list_sales

    a_user("admin", "admin")
    today = timezone.now().date()
    with django_assert_num_queries(1):
        assert len(list_sales(today, today)) == 2
