"""The shop's page asks the catalog in process or over HTTP, and can't tell which by the answers"""

import pytest
from django.contrib.auth.models import AnonymousUser

from monolith.storefront import InProcess, OverHttp, Wanted
from tests.contexts.factories import a_category, a_product, a_review, a_seller, a_user


@pytest.fixture
def over_http(address):
    return OverHttp(address)


def both(over_http, user, **wanted):
    there, here = over_http.show(user, Wanted(**wanted)), InProcess().show(user, Wanted(**wanted))
    assert (list(there), there.number, there.paginator.count) == (
        list(here),
        here.number,
        here.paginator.count,
    )
    return [card.name for card in here]


def test_both_adapters_show_the_same(over_http):
    discs = a_category("Discs", parent=a_category("Brakes"))
    rug = a_product("GARISH-RUG", name="Garish rug", category=discs)
    a_review(rug, a_user(), rating=4)
    a_product("DRAFT", name="Draft", status="draft", price="1.00")
    for number in range(25):
        a_product(f"N{number:02}", name=f"N{number:02}", seller=a_seller("Rivals"), price="2.00")
    visitor, staff = AnonymousUser(), a_user("staff", "seller_staff")
    a_seller(staff=(staff,))
    assert both(over_http, visitor, category="brakes")[0] == "Garish rug"
    assert both(over_http, visitor, text="garish", ordering="price") == ["Garish rug"]
    assert both(over_http, staff, seller="rugs-and-rotors", ordering="name") == ["Draft", "Garish rug"]
    assert len(both(over_http, visitor)) == 24
    assert both(over_http, visitor, page=2) == both(over_http, visitor, page=99) == ["N23", "N24"]
    assert both(over_http, visitor, text="nothing", page=7) == []
    assert over_http.list_shelves() == InProcess().list_shelves()
    for slug in ("rivals", "nobody"):
        assert over_http.find_shop(slug) == InProcess().find_shop(slug)


def test_the_page_says_so_while_the_catalog_is_away(visit, settings):
    settings.CATALOG_URL = "http://127.0.0.1:9"
    page = visit("anonymous").get("/shop/")
    assert page.status_code == 503
    assert "can&#x27;t be looked up" in page.text
